"""Both servers of the comparison: how they start, how their folders are filled, and sessions at them."""
import contextlib
import sys
from pathlib import Path

import dovecot
import sample_messages
from imap_client import Session

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "node/bench"))
from node import Node, deliver, free_port  # noqa: E402


class Ours:
    """A node."""

    def __init__(self, freehold, folder, login):
        self.node, self.login = Node(freehold, folder / "node", login), login
        self.secret = folder / "app-password"

    def start(self):
        self.node.start()
        if not self.secret.exists():
            self.secret.write_text(self.node.ask(ask="app-password", label="speed")["app_password"])
        self.port, self.password = self.node.ports["imap"], self.secret.read_text()

    def stop(self):
        if self.node.process and self.node.process.poll() is None:
            self.node.stop()


class Theirs:
    """An instance of Dovecot."""

    def __init__(self, folder, login):
        self.dovecot, self.login, self.password = dovecot.Dovecot(folder / "dovecot", free_port()), login, dovecot.PASSWORD
        self.port, self.start, self.stop = self.dovecot.port, self.dovecot.start, self.dovecot.stop


@contextlib.contextmanager
def session(side, folder=None):
    """A session, with the folder selected."""
    opened = Session(side.port, side.login, side.password)
    try:
        if folder:
            opened.command(f"SELECT {folder}")
        yield opened
    finally:
        opened.close()


@contextlib.contextmanager
def each_session(sides, folder):
    """A session at each side, with the folder selected."""
    with contextlib.ExitStack() as stack:
        yield {side: stack.enter_context(session(side, folder)) for side in sides}


def fill_full(sides, count):
    """Fills INBOX: the first message is unseen, the others are seen."""
    ours, theirs = sides
    ours.start()
    deliver(ours.node, count)
    with session(ours, "INBOX") as opened:
        opened.command(r"STORE 1:* +FLAGS.SILENT (\Seen)")
        opened.command(r"STORE 1 -FLAGS.SILENT (\Seen)")
    theirs.dovecot.fill(theirs.login, map(sample_messages.short, range(count)))
    theirs.start()
    for side in sides:
        with session(side) as opened:
            exists = opened.command("SELECT INBOX").exists()
        if exists != count:
            sys.exit(f"INBOX has {exists} messages in place of {count}")


def fill_list(sides, count):
    """Fills the folder List with the same messages in the same order, all seen."""
    for side in sides:
        side.start()
        with session(side) as opened:
            opened.command("CREATE List")
            for number in range(count):
                opened.append("List", sample_messages.listed(number), r"\Seen")
