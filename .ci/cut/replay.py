#!/usr/bin/env python3
"""Rebuilds the states that a power cut may leave of recorded files, and checks each one. Python's standard library only.

    replay.py TRACE LAB CUTS SEED JUDGE...

TRACE was written by `record`. Cuts are made at CUTS random moments after the first output of the program. Of the writes and names that
no sync covers at that moment, a state holds none (`nothing`); the oldest ones, the last possibly in part (`prefix`); or a random set
(`subset`), writes in blocks of 4 KiB. A name is durable only after a sync of its folder, and sync_file_range makes nothing durable.
Each state is built as a folder in LAB, and `JUDGE... FOLDER N N N N` is called with it; the numbers are the last acknowledged change of
each writer before the cut. Prints one line of JSON with the counts.
"""
import concurrent.futures
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

BLOCK = 4096
MODES = ("nothing", "prefix", "subset")
VERDICTS = {0: "whole", 10: "lost", 11: "partial", 12: "did not open", 13: "did not go on"}
JUDGE_SECONDS = 120
WRITERS = 4


class File:
    def __init__(self):
        self.durable, self.pending = bytearray(), []


class Folder:
    def __init__(self):
        self.durable, self.pending = {}, []


def apply(content, change):
    """Applies a change to a file's bytes (in place) or a folder's names."""
    kind, *rest = change
    if kind == "write":
        offset, data = rest
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset:offset + len(data)] = data
    elif kind == "length":
        del content[rest[0]:]
        content.extend(bytes(rest[0] - len(content)))
    elif kind == "link":
        content[rest[0]] = rest[1]
    elif kind == "unlink":
        content.pop(rest[0], None)
    elif kind == "rename":
        content.pop(rest[0], None)
        content[rest[1]] = rest[2]


class Disk:
    """The visible and the durable state of the files."""

    def __init__(self):
        self.order, self.nodes, self.seen, self.syncs = 0, {}, {}, {}
        self.root = None
        self.acknowledged = [0] * WRITERS

    def change(self, inode, *change):
        self.order += 1
        self.nodes[inode].pending.append((self.order, change))

    def name(self, parent, name):
        return self.seen[parent][name]

    def step(self, fields, data):
        kind, *rest = fields
        if kind == "root":
            inode = int(rest[0])
            if self.root is None:
                self.root = self.nodes[inode] = Folder()
                self.seen[inode] = {}
        elif kind in ("file", "folder"):
            parent, name, inode = int(rest[0]), rest[1], int(rest[2])
            self.nodes[inode] = File() if kind == "file" else Folder()
            self.seen[inode] = {}
            self.seen[parent][name] = inode
            self.change(parent, "link", name, self.nodes[inode])
        elif kind == "write":
            self.change(int(rest[0]), "write", int(rest[1]), data)
        elif kind == "length":
            self.change(int(rest[0]), "length", int(rest[1]))
        elif kind == "unlink":
            parent, name = int(rest[0]), rest[1]
            self.seen[parent].pop(name)
            self.change(parent, "unlink", name)
        elif kind == "rename":
            parent, name, to, new = int(rest[0]), rest[1], int(rest[2]), rest[3]
            inode = self.seen[parent].pop(name)
            self.seen[to][new] = inode
            if parent == to:
                self.change(parent, "rename", name, new, self.nodes[inode])
            else:
                self.change(to, "link", new, self.nodes[inode])
                self.change(parent, "unlink", name)
        elif kind == "sync-begin":
            thread, inode = rest[0], int(rest[1])
            # A sync may miss a write that is made while it runs.
            self.syncs[thread] = (list(self.nodes.values()) if inode == 0 else [self.nodes[inode]], self.order)
        elif kind == "sync-end":
            nodes, order = self.syncs.pop(rest[0])
            for node in nodes:
                for at, change in node.pending:
                    if at <= order:
                        apply(node.durable, change)
                node.pending = [(at, change) for at, change in node.pending if at > order]
        elif kind == "output":
            for line in data.decode().splitlines():
                if line.startswith("acknowledged "):
                    _, writer, number = line.split()
                    self.acknowledged[int(writer)] = max(self.acknowledged[int(writer)], int(number))
        elif kind != "range":
            sys.exit(f"the trace holds {kind!r}, which is unknown")

    def orders(self):
        """The order numbers of all changes that are not durable, also in unlinked folders."""
        return sorted(at for node in set(self.nodes.values()) for at, _ in node.pending)


def records(path):
    with open(path, "rb") as trace:
        while line := trace.readline():
            fields = line.decode().rstrip("\n").split("\t")
            count = int(fields[-1]) if fields[0] in ("write", "output") else 0
            yield fields, trace.read(count)


class Cut:
    """The selection of pending changes for one state."""

    def __init__(self, mode, disk, rng):
        self.mode, self.rng = mode, rng
        orders = disk.orders() if mode == "prefix" else []
        self.last = rng.choice([0, *orders]) if orders else 0
        # Also states with few or most of the changes.
        self.share = rng.choice([0.1, 0.5, 0.9])

    def surviving_parts(self, order, change):
        if self.mode == "nothing" or (self.mode == "prefix" and order > self.last):
            return
        if self.mode == "prefix" and order < self.last:
            yield change
        elif change[0] != "write":
            if self.mode == "prefix" or self.rng.random() < self.share:
                yield change
        elif self.mode == "prefix":
            _, offset, data = change
            yield "write", offset, data[:self.rng.randint(0, len(data))]
        else:
            _, offset, data = change
            start = offset
            while start < offset + len(data):
                end = min(offset + len(data), (start // BLOCK + 1) * BLOCK)
                if self.rng.random() < self.share:
                    yield "write", start, data[start - offset:end - offset]
                start = end

    def left(self, node):
        content = node.durable.copy()
        for order, change in node.pending:
            for piece in self.surviving_parts(order, change):
                apply(content, piece)
        return content

    def build(self, node, path):
        path.mkdir(mode=0o700)
        for name, child in self.left(node).items():
            if isinstance(child, Folder):
                self.build(child, path / name)
            else:
                with open(os.open(path / name, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(self.left(child))


def judge(command, folder, acknowledged):
    try:
        done = subprocess.run([*command, folder, *map(str, acknowledged)], timeout=JUDGE_SECONDS, capture_output=True, text=True)
        # A judge that panics or is killed counts as "did not open".
        output = (done.stdout.strip() or done.stderr.strip()).splitlines()
        return VERDICTS.get(done.returncode, "did not open"), " ".join(output[-2:])
    except subprocess.TimeoutExpired:
        return "did not open", f"no result within {JUDGE_SECONDS} s"


def main():
    trace, lab, cuts, seed, *command = sys.argv[1:]
    lab, rng = Path(lab), random.Random(int(seed))
    kinds = Counter()
    first = None
    for at, (fields, _) in enumerate(records(trace)):
        kinds[fields[0]] += 1
        if first is None and fields[0] == "output":
            first = at + 1
    total = sum(kinds.values())
    moments = range(first, total + 1)
    chosen = set(rng.sample(moments, min(int(cuts), len(moments))))
    states, counts, examples = 0, {mode: Counter() for mode in MODES}, []
    disk, waiting = Disk(), {}

    def finish(done):
        for future in done:
            mode, moment, folder = waiting.pop(future)
            verdict, output = future.result()
            counts[mode][verdict] += 1
            if verdict != "whole" and len(examples) < 5:
                examples.append(f"cut before record {moment}, {mode}: {verdict}: {output}")
            shutil.rmtree(folder)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as judges:
        reader = records(trace)
        for moment in range(total + 1):
            if moment in chosen:
                for mode in MODES:
                    folder = lab / f"state-{states}"
                    Cut(mode, disk, random.Random(f"{seed} {moment} {mode}")).build(disk.root, folder)
                    states += 1
                    waiting[judges.submit(judge, command, folder, list(disk.acknowledged))] = (mode, moment, folder)
                    while len(waiting) > os.cpu_count():
                        finish(concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED).done)
            if moment < total:
                disk.step(*next(reader))
        finish(list(waiting))
    result = {"cuts": len(chosen), "states": states, "acknowledged": sum(disk.acknowledged), "records": total,
              "writes": kinds["write"], "syncs": kinds["sync-end"], "ranges": kinds["range"]}
    result |= {mode: dict(count) for mode, count in counts.items()}
    print(json.dumps(result | {"examples": examples}))


main()
