"""The scenario of `.ci/disk` on a file system that is remounted read-only."""
import time

from node import expect, until
from volume import Disk


def serves_for_reading(node):
    """A node on a disk that can't be written lets people read, and says why it refuses changes."""
    node.says_why("read-only")
    expect(node.request("GET", "/")[0] == 200, "the front page")
    imap = node.imap(readonly=True)
    expect(len(node.names(imap)) > 0, "no message can be read")
    status, data = imap.create("New")
    expect(status == "NO" and b"[UNAVAILABLE]" in data[0], f"CREATE: {status} {data}")
    imap.logout()
    expect(node.receive() == 451, "mail is accepted")
    node.log_in_without_lockout()


def read_only(scenario):
    disk, node = scenario.begin(Disk(scenario.base))
    node.kill()
    disk.remount("ro")
    node.start()
    until("a start on a read-only disk", 30, lambda: "read-only" in node.ready()[1].lower())
    serves_for_reading(node)
    cookie = node.log_in()
    status, page, _ = node.request("GET", "/home/mail", cookie=cookie)
    expect(status == 200 and 'id="alert"' in page, "the mailbox does not say why")
    status, _, _ = node.request("POST", "/home", {"text": "This can't be saved."}, cookie)
    expect(status == 503, f"a note got {status}")
    # Another process refuses the folder, and does not end with a crash.
    done = node.command("serve")
    expect(done.returncode == 69, f"a second process ended with {done.returncode}")
    disk.remount("rw")
    begun = time.monotonic()
    until("ready when the disk can be written", 60, node.is_ready)
    took = time.monotonic() - begun
    expect(node.receive() == 250, "mail")
    node.check()
    node.stop()
    return f"ready {took:.1f} s after the disk was writable"
