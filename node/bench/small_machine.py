#!/usr/bin/env python3
"""Runs a node with little memory and gives it what takes most: photos, a long letter, listings. As root, with control groups.

    node/bench/small_machine.py target/release/freehold [MIB...]

For each size (192 and 112 MiB) the node gets a control group with that limit, its cached files included. Prints whether it took each
thing, refused it, or was ended by the kernel, and the most memory that was used. Needs python3-pil for pictures.
"""
import contextlib
import os
import smtplib
import subprocess
import sys
import tempfile
from pathlib import Path

from node import PASSWORD, Node, deliver, wait_until_given_back

sys.path.append(str(Path(__file__).resolve().parents[2] / ".ci/judge"))
from faults.browser import Browser  # noqa: E402

FREEHOLD = str(Path(sys.argv[1]).resolve())
SIZES = [int(size) for size in sys.argv[2:]] or [192, 112]
GROUPS = Path("/sys/fs/cgroup")
# Version 2 of control groups has one tree; version 1 has one for memory.
TREE, LIMIT, PEAK = (GROUPS, "memory.max", "memory.peak") if (GROUPS / "cgroup.controllers").exists() else (
    GROUPS / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes")


@contextlib.contextmanager
def group(mib):
    """A control group with this much memory, for this process and those that it starts."""
    path, above = TREE / f"freehold-{os.getpid()}-{mib}", TREE / "cgroup.procs"
    if TREE == GROUPS:
        (TREE / "cgroup.subtree_control").write_text("+memory")
    path.mkdir()
    (path / LIMIT).write_text(str(mib << 20))
    try:
        yield path
    finally:
        above.write_text(str(os.getpid()))
        path.rmdir()


def pictures(folder):
    from PIL import Image
    noise = Image.effect_noise((1500, 1000), 40)
    made = []
    for name, size, kind in [("24 megapixels, JPEG", (6000, 4000), "jpg"), ("50 megapixels, JPEG", (8660, 5773), "jpg"),
                             ("24 megapixels, PNG", (6000, 4000), "png")]:
        path = folder / f"{len(made)}.{kind}"
        side = noise.resize(size, Image.BICUBIC)
        Image.merge("RGB", [side, side.rotate(180), side.transpose(Image.FLIP_LEFT_RIGHT)]).save(path, quality=90)
        made.append((name, path))
    return made


def run(mib, made, base):
    node = Node(FREEHOLD, base / str(mib), "small")
    with group(mib) as path, contextlib.ExitStack() as stack:
        # Only the node is in the group: this process leaves it once the node has started.
        (path / "cgroup.procs").write_text(str(os.getpid()))
        node.start()
        stack.callback(node.stop)
        (TREE / "cgroup.procs").write_text(str(os.getpid()))

        def result(what, work):
            try:
                answer = work()
            except (OSError, smtplib.SMTPException) as error:
                answer = f"no answer: {error}"
            if node.process.poll() is not None:
                print(f"{mib} MiB: {what}: THE NODE ENDED ({node.process.returncode})", flush=True)
                sys.exit(1)
            print(f"{mib} MiB: {what}: {answer}", flush=True)

        browser = Browser(node.ports["web"])
        result("log in", lambda: "in" if browser.log_in(PASSWORD) else "REFUSED")
        for name, file in made:
            def upload(file=file):
                answer = browser.upload("/home/photos/add", {"alt": "noise", "caption": "", "audience": "everyone"}, file.read_bytes())
                return "taken" if answer.status == 303 else f"refused with {answer.status}"
            result(name, upload)

        def letter():
            part = "--b\r\nContent-Type: text/plain\r\n\r\n" + "A line of a long letter.\r\n" * 10_000 + "\r\n"
            with smtplib.SMTP("127.0.0.1", node.ports["smtp"]) as smtp:
                smtp.sendmail("far@far.example", [f"{node.login}@{node.login}.localhost"],
                              f"Subject: long\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{part * 90}--b--\r\n")
            return "taken"
        result("a letter of 23 MB", letter)
        result("its page", lambda: browser.get("/home/mail/1/1").status)
        result("5,000 letters", lambda: deliver(node, 5000) or "taken")
        result("their list", lambda: browser.get("/home/mail").status)
        command = [FREEHOLD, "--data", node.data, "check"]
        result("`freehold check`", lambda: f"exit code {subprocess.run(command, capture_output=True).returncode}")
        wait_until_given_back(node)
        print(f"{mib} MiB: idle afterwards, PSS {node.memory('Pss'):.1f} MiB; peak of the group {int((path / PEAK).read_text()) >> 20} MiB, "
              "cached files included", flush=True)


with tempfile.TemporaryDirectory() as base:
    made = pictures(Path(base))
    for mib in SIZES:
        run(mib, made, Path(base))
