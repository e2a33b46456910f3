#!/usr/bin/env python3
"""Measures the import of an mbox: messages a second (goal 2,000), and the node's memory (goal 64 MiB). Python's standard library only; Linux.

    node/bench/importing.py target/release/freehold [messages]

The messages, 200,000 if nothing else is said, have 2 KB each. The figures are those of the node; the command itself only waits.
"""
import random
import subprocess
import sys
import tempfile
import threading
import time
from email.utils import formatdate
from pathlib import Path

from node import Node, report, running, wait_until_given_back

BEGIN, STEP = 1_600_000_000, 60


def write_mbox(path, count):
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(4000)]
    with open(path, "w") as file:
        for number in range(count):
            when, author = BEGIN + number * STEP, rng.choice(words)
            text = "\n".join(" ".join(rng.choices(words, k=10)) for _ in range(22))
            answer = f"In-Reply-To: <{number - 1}@example.org>\n" if number % 3 else ""
            file.write(f"From {author}@example.org {time.asctime(time.gmtime(when))}\n"
                       f"Received: from mx.example.org (mx.example.org [192.0.2.7]) by home.example; {formatdate(when)}\n"
                       f"From: {author.title()} <{author}@example.org>\nTo: Me <me@home.example>\n"
                       f"Subject: {' '.join(rng.choices(words, k=5))}\nDate: {formatdate(when)}\nMessage-ID: <{number}@example.org>\n"
                       f"{answer}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{text}\n\n")


def run_import(node, path):
    """Imports the mbox. Returns the seconds and the most memory, in MiB."""
    most, done = [0.0], threading.Event()

    def watch():
        while not done.wait(0.1):
            most[0] = max(most[0], node.memory("Pss"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.monotonic()
    subprocess.run([node.freehold, "--data", node.data, "import", "mbox", path], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    took = time.monotonic() - begun
    done.set()
    watcher.join()
    return took, most[0]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
    with tempfile.TemporaryDirectory() as base:
        path = Path(base) / "archive"
        write_mbox(path, count)
        node = Node(str(Path(sys.argv[1]).resolve()), Path(base) / "node", "bench")
        with running(node):
            wait_until_given_back(node)
            before = node.memory("Pss")
            took, most = run_import(node, path)
            report(f"{count} messages of an mbox, a second (goal 2,000)", f"{count / took:.0f}")
            report("memory, PSS: before, most (goal 64), MiB", f"{before:.1f}, {most:.1f}")
            took, _ = run_import(node, path)
            report("the same once more, when all are there, s", f"{took:.1f}")


main()
