#!/usr/bin/env python3
"""IMAP speed of a node and of Debian's Dovecot, in turns, on the same disk, in one run. Root only, on Debian.

    .ci/judge/imap_speed.py [--lab DIR] [--keep] [--quick] [--rounds N] FREEHOLD [PART...]

Parts (all, if none is named):

select   SELECT of a folder with 100,000 messages whose first message is unseen: warm, and the first after a restart
fetch    FETCH of everything in a folder of 10,000 messages: header fields, flags, structure, envelope, bodies
search   SEARCH UNSEEN, FROM and SUBJECT in that folder
store    flags of all its messages, added and removed
copy     COPY of a tenth of it to another folder
expunge  EXPUNGE of a fifth of it
append   APPEND with one session and with 20
noop     the slowest NOOP of another session while one of these commands runs
memory   the node's memory, size and number of files with 100,000 messages; takes a minute of waiting

A time is from sending the command to its tagged reply. Shown are the least and the median of the rounds; for `noop` the slowest answer in
the best and in the worst round. On a machine with other work, `nice -n -15` before the command makes the times steadier: both servers
inherit it.

The exit code is 1 if a command failed or the servers answered differently; the figures do not change it. The script installs Dovecot if
it is missing, and runs an instance of its own (dovecot.py).

The folders are filled in DIR, by default a new folder in target/judges, which takes a minute or two. With --keep they stay, and each
later run with the same DIR uses them, with another binary too. A newer binary may change its data so that an older one does not read
them. --quick uses 10,000 and 2,000 messages and three rounds: a trial whose goals mean little.
"""
import argparse
import contextlib
import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import dovecot
import sample_messages
from imap_client import CommandFailed, slowest_noop
from speed_sides import Ours, Theirs, each_session, fill_full, fill_list, session
from speed_table import Goal, Table

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "node/bench"))
from node import wait_until_given_back  # noqa: E402

FIELDS = "BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date Message-ID References In-Reply-To Content-Type)]"
FETCHES = [("header fields", f"(UID {FIELDS})", Goal(ratio=0.7)), ("FLAGS", "(FLAGS)", Goal(ratio=2)),
           ("BODYSTRUCTURE", "(BODYSTRUCTURE)", Goal(ratio=2)), ("ENVELOPE", "(ENVELOPE)", Goal(ratio=0.7)),
           ("BODY.PEEK[]", "(BODY.PEEK[])", Goal(ratio=1))]
SEARCHES = [("UNSEEN", Goal(most=2)), ('FROM "lindqvist"', Goal(ratio=1)), ('SUBJECT "harbour"', Goal(ratio=1))]
ORDERS = [(b"SORT", "SORT (SUBJECT) UTF-8 ALL", Goal(ratio=1)), (b"THREAD", "THREAD REFERENCES UTF-8 ALL", Goal(ratio=1))]
NOOP_MS_MAX = 20
NOOP_ROUNDS = 3
UNSEEN = 10
SETTLE_SECONDS = 0.5
LISTED_SECONDS = 60


class Bench:
    """The folders that this run fills, the table, and the number of failures."""

    def __init__(self, options, lab):
        self.freehold, self.lab = str(Path(options.freehold).resolve()), lab
        self.full_count, self.list_count = (10_000, 2_000) if options.quick else (100_000, 10_000)
        self.rounds = options.rounds or (3 if options.quick else 7)
        self.table, self.failures, self.filled = Table(), 0, []

    @contextlib.contextmanager
    def sides(self, login, count, fill):
        """Both servers with `count` messages, running. Folders that an earlier run filled are used again."""
        folder = self.lab / f"{login}-{count}"
        if folder.exists() and not (folder / "filled").exists():
            shutil.rmtree(folder)
        if not folder.exists():
            folder.mkdir()
            self.filled.append(folder)
        sides = (Ours(self.freehold, folder, login), Theirs(folder, login))
        try:
            if not (folder / "filled").exists():
                fill(sides, count)
                (folder / "filled").touch()
            for side in sides:
                side.stop()
                side.start()
            yield sides
        finally:
            for side in sides:
                side.stop()

    def full(self):
        return self.sides("full", self.full_count, fill_full)

    def list(self):
        return self.sides("list", self.list_count, fill_list)

    def measure(self, name, goal, sides, once, warm_up=True):
        """Calls `once(side)` in turns. That returns milliseconds, and a value that must be the same on both sides. Returns both sides'
        milliseconds, or None if a command failed."""
        times = [[], []]
        try:
            for number in range(-1 if warm_up else 0, self.rounds):
                results = [once(side) for side in sides]
                if results[0][1] != results[1][1]:
                    raise CommandFailed(f"ours answers with {results[0][1]!r:.60}, theirs with {results[1][1]!r:.60}")
                if number >= 0:
                    times[0].append(results[0][0])
                    times[1].append(results[1][0])
            self.table.add(name, goal, *times)
        except (CommandFailed, OSError) as error:
            self.fail(name, error)
            return None
        return times

    def fail(self, name, error):
        self.failures += 1
        print(f"FAILED {name}: {error}", flush=True)


def select(bench):
    def once(side):
        with session(side) as opened:
            answer = opened.command("SELECT INBOX")
        return answer.seconds * 1000, (answer.exists(), answer.first_unseen())

    def after_restart(side):
        side.stop()
        side.start()
        return once(side)

    with bench.full() as sides:
        bench.measure(f"SELECT of {bench.full_count}", Goal(most=20), sides, once)
        bench.measure(f"SELECT of {bench.full_count}, first after a restart", Goal(most=50), sides, after_restart, warm_up=False)


def fetched(opened, items):
    answer = opened.command(f"FETCH 1:* {items}")
    return answer.seconds * 1000, answer.count(b"FETCH")


def fetch(bench):
    with bench.list() as sides, each_session(sides, "List") as sessions:
        for name, items, goal in FETCHES:
            bench.measure(f"FETCH {name} of {bench.list_count}", goal, sides, lambda side, items=items: fetched(sessions[side], items))

    def after_restart(side):
        side.stop()
        side.start()
        with session(side, "List") as opened:
            return fetched(opened, FETCHES[0][1])

    with bench.list() as sides:
        bench.measure(f"FETCH header fields of {bench.list_count}, first after a restart", Goal(ratio=1), sides, after_restart,
                      warm_up=False)


def search(bench):
    with bench.list() as sides, each_session(sides, "List") as sessions:
        for opened in sessions.values():
            opened.command(r"STORE 1:* +FLAGS.SILENT (\Seen)")
            opened.command(rf"STORE 1:{UNSEEN} -FLAGS.SILENT (\Seen)")

        def once(side, key):
            answer = sessions[side].command(f"SEARCH {key}")
            return answer.seconds * 1000, answer.hits()

        for key, goal in SEARCHES:
            bench.measure(f"SEARCH {key} in {bench.list_count}", goal, sides, lambda side, key=key: once(side, key))

        def ordered(side, word, command):
            answer = sessions[side].command(command)
            return answer.seconds * 1000, answer.response(word)

        for word, command, goal in ORDERS:
            bench.measure(f"{command} in {bench.list_count}", goal, sides,
                          lambda side, word=word, command=command: ordered(side, word, command))


def store(bench):
    with bench.list() as sides, each_session(sides, "List") as sessions:
        for sign, other in (("+", "-"), ("-", "+")):
            def once(side, sign=sign, other=other):
                sessions[side].command(rf"UID STORE 1:* {other}FLAGS.SILENT (\Seen)")
                time.sleep(SETTLE_SECONDS)
                answer = sessions[side].command(rf"UID STORE 1:* {sign}FLAGS.SILENT (\Seen)")
                return answer.seconds * 1000, len(sessions[side].command("SEARCH UNSEEN").hits())

            bench.measure(rf"UID STORE {sign}FLAGS.SILENT (\Seen) of {bench.list_count}", Goal(ratio=1), sides, once)


def new_folder(opened, name):
    """An empty folder."""
    with contextlib.suppress(CommandFailed):
        opened.command(f"DELETE {name}")
    opened.command(f"CREATE {name}")


def prepare_copy(opened):
    opened.command("SELECT List")
    new_folder(opened, "Copies")
    time.sleep(SETTLE_SECONDS)


def prepare_expunge(opened, count):
    """Selects a folder with `count` messages that are marked as deleted."""
    opened.command("SELECT List")
    new_folder(opened, "Bin")
    opened.command(f"COPY 1:{count} Bin")
    opened.command("SELECT Bin")
    opened.command(r"STORE 1:* +FLAGS.SILENT (\Deleted)")
    time.sleep(SETTLE_SECONDS)


def copy(bench):
    count = bench.list_count // 10
    with bench.list() as sides, each_session(sides, "List") as sessions:
        def once(side):
            prepare_copy(sessions[side])
            seconds = sessions[side].command(f"COPY 1:{count} Copies").seconds
            return seconds * 1000, sessions[side].command("SELECT Copies").exists()

        bench.measure(f"COPY of {count} to another folder", Goal(ratio=1), sides, once)


def expunge(bench):
    count = bench.list_count // 5
    with bench.list() as sides, each_session(sides, "List") as sessions:
        def once(side):
            prepare_expunge(sessions[side], count)
            answer = sessions[side].command("EXPUNGE")
            return answer.seconds * 1000, answer.count(b"EXPUNGE")

        bench.measure(f"EXPUNGE of {count}", Goal(ratio=1), sides, once)


def append(bench):
    with bench.list() as sides:
        for session_count, each in ((1, 500), (20, 50)):
            count = session_count * each
            times = bench.measure(f"APPEND of {count}, sessions: {session_count}", Goal(ratio=2), sides,
                                  lambda side, session_count=session_count, each=each: append_all(side, session_count, each))
            if times:
                bench.table.line("  in messages a second, median", *(f"{count * 1000 / statistics.median(side):.0f}" for side in times),
                                 "", "", "")


def append_all(side, session_count, each):
    """Appends `each` messages in each session, all sessions at once."""
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(session(side)) for _ in range(session_count)]
        new_folder(sessions[0], "New")
        time.sleep(SETTLE_SECONDS)
        failed = []

        def work(number):
            try:
                for message in messages[number]:
                    sessions[number].append("New", message)
            except (CommandFailed, OSError) as error:
                failed.append(error)

        messages = [[sample_messages.listed(number * each + i) for i in range(each)] for number in range(session_count)]
        threads = [threading.Thread(target=work, args=(number,)) for number in range(session_count)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begun
        if failed:
            raise failed[0]
        return seconds * 1000, sessions[0].command("SELECT New").exists()


def noop(bench):
    """The commands whose neighbours are measured: name, preparation, command."""
    def at_list(opened):
        opened.command("SELECT List")

    def flagged(sign):
        """All messages have the flag, or have it not."""
        def prepare(opened):
            at_list(opened)
            opened.command(rf"UID STORE 1:* {sign}FLAGS.SILENT (\Seen)")
            time.sleep(SETTLE_SECONDS)
        return prepare

    count = bench.list_count
    works = [(f"FETCH {name}", at_list, f"FETCH 1:* {items}") for name, items, _ in FETCHES]
    works += [(f"SEARCH {key}", at_list, f"SEARCH {key}") for key, _ in SEARCHES[1:]]
    works += [(command, at_list, command) for _, command, _ in ORDERS]
    works += [(rf"UID STORE {sign}FLAGS.SILENT (\Seen)", flagged(other), rf"UID STORE 1:* {sign}FLAGS.SILENT (\Seen)")
              for sign, other in ("+-", "-+")]
    works += [(f"COPY of {count // 10}", prepare_copy, f"COPY 1:{count // 10} Copies"),
              (f"EXPUNGE of {count // 5}", lambda opened: prepare_expunge(opened, count // 5), "EXPUNGE")]
    with bench.list() as sides, each_session(sides, "List") as sessions:
        for name, prepare, command in works:
            noop_beside(bench, name, sides, sessions, prepare, command)


def noop_beside(bench, name, sides, sessions, prepare, command):
    worst = ([], [])
    try:
        for _ in range(NOOP_ROUNDS):
            for side, values in zip(sides, worst):
                prepare(sessions[side])
                work = lambda: sessions[side].command(command)  # noqa: B023,E731
                values.append(slowest_noop(side.port, side.login, side.password, work) * 1000)
        bench.table.add_worst(f"slowest NOOP beside {name}", Goal(most=NOOP_MS_MAX), *worst)
    except (CommandFailed, OSError) as error:
        bench.fail(f"NOOP beside {name}", error)


def memory(bench):
    with bench.full() as (ours, _):
        node, count = ours.node, bench.full_count
        wait_until_given_back(node)
        bench.table.add(f"node with {count} messages, idle after a restart, PSS", Goal(most=32), [node.memory("Pss")], unit="MiB")
        with session(ours, "INBOX") as opened:
            found = fetched(opened, "(ENVELOPE BODYSTRUCTURE FLAGS)")[1]
        if found != count:
            bench.fail("FETCH of everything", f"{found} responses in place of {count}")
        time.sleep(LISTED_SECONDS)
        bench.table.add("the same, a minute after everything was listed, PSS", Goal(most=48), [node.memory("Pss")], unit="MiB")
        stats = [path.stat() for path in node.data.rglob("*") if path.is_file()]
        mib = 2**20
        bench.table.add("the same, data folder, blocks", Goal(most=450), [sum(s.st_blocks for s in stats) * 512 / mib], unit="MiB")
        bench.table.add("the same, data folder, apparent size", Goal(), [sum(s.st_size for s in stats) / mib], unit="MiB")
        bench.table.add("the same, data folder", Goal(most=300), [len(stats)], unit="files")


PARTS = {"select": select, "fetch": fetch, "search": search, "store": store, "copy": copy, "expunge": expunge, "append": append,
         "noop": noop, "memory": memory}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", type=Path, help="the folder for both servers' data, on the disk to test")
    parser.add_argument("--keep", action="store_true", help="keep the filled folders for the next run")
    parser.add_argument("--quick", action="store_true", help="smaller folders, three rounds")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (7)")
    parser.add_argument("freehold", help="the binary, built with --release")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    return options


def make_lab(options):
    """The lab's folder. Dovecot's user must be able to enter it."""
    if options.lab:
        options.lab.mkdir(parents=True, exist_ok=True)
        return options.lab.resolve()
    base = Path(__file__).resolve().parents[2] / "target/judges"
    base.mkdir(parents=True, exist_ok=True)
    lab = Path(tempfile.mkdtemp(prefix="speed.", dir=base))
    lab.chmod(0o755)
    return lab


def remove(folders):
    for folder in folders:
        shutil.rmtree(folder)


def main():
    options = parse()
    if os.getuid() != 0:
        sys.exit("run this as root: Dovecot's processes change their user")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab = make_lab(options)
    dovecot.install(lab / "apt.log")
    bench = Bench(options, lab)
    try:
        for name in options.parts or PARTS:
            PARTS[name](bench)
    finally:
        if options.keep:
            print(f"the filled folders are in {lab}")
        else:
            remove(bench.filled if options.lab else [lab])
    if bench.failures:
        sys.exit(f"{bench.failures} failed")


if __name__ == "__main__":
    main()
