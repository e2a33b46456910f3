"""Scenarios of `.ci/disk` on a disk that fails reads, writes or syncs."""
import time

from node import Failure, Load, expect, until
from read_only import serves_for_reading
from volume import FaultyDisk

FAULT_SECONDS = 8


def after_errors(scenario, begun):
    """The node recovers by itself, and nothing acknowledged is lost: also when only what is on the disk is left."""
    disk, node = scenario.disk, scenario.node
    until("ready after the disk works again", 90, node.is_ready)
    until("mail after the disk works again", 90, lambda: node.receive() == 250)
    took = time.monotonic() - begun
    expect(node.imap_login() == "OK", "an IMAP login after the failure")
    cookie = node.log_in()
    expect(node.request("GET", "/home/mail", cookie=cookie)[0] == 200, "the mailbox")
    node.expunge_one()
    node.check()
    # As after a power cut: the page cache is gone.
    node.kill()
    repaired = disk.repair()
    node.start()
    until("a start from the disk alone", 60, node.is_ready)
    node.check()
    node.stop()
    return f"mail again after {took:.1f} s" + (", e2fsck repaired the file system" if repaired else "")


def errors(scenario, *kinds, rounds=3):
    disk, node = scenario.begin(FaultyDisk(scenario.base, journal=False))
    cookie = node.log_in()
    counts, reasons = [], set()
    for _ in range(rounds):
        load = Load(node)
        time.sleep(1)
        disk.fail(*kinds)
        end, is_reported = time.monotonic() + FAULT_SECONDS, False
        while time.monotonic() < end:
            if "read" in kinds:
                disk.forget_pages(node.data)
            node.alive()
            status, text = node.ready()
            if status == 503 and not is_reported:
                try:
                    node.says_why()
                    is_reported = True
                    reasons.add(text.strip())
                except Failure:
                    # A failed engine is rebuilt within a second, and the node may be ready again meanwhile.
                    if not node.is_ready():
                        raise
            for path in ("/", "/home/mail"):
                status, _, _ = node.request("GET", path, cookie=cookie)
                expect(status in (200, 503), f"{path} got {status}")
            node.log_in_without_lockout()
            time.sleep(0.3)
        disk.heal()
        begun = time.monotonic()
        until("ready after the disk works again", 90, node.is_ready)
        counts.append(load.end())
    expect(reasons, "the failure is never reported")
    failed = disk.failed()
    result = after_errors(scenario, begun)
    return f"{failed} calls failed; SMTP, STORE: {counts}; {result}; {sorted(reasons)[:3]}"


def read_errors(scenario):
    disk, node = scenario.begin(FaultyDisk(scenario.base))
    for _ in range(30):
        node.receive(40_000)
    cookie = node.log_in()
    packs = until("a pack", 30, lambda: list((node.data / "packs").glob("*.pack")))
    time.sleep(3)
    for pack in packs:
        disk.fail_reads_of(pack)
    imap = node.imap(readonly=True)
    refused = 0
    for uid in range(1, 51):
        status, data = imap.uid("FETCH", str(uid), "(BODY.PEEK[])")
        if status != "OK":
            refused += 1
            expect(b"[SERVERBUG]" in data[0] or b"[UNAVAILABLE]" in data[0], f"FETCH: {data}")
    expect(refused, "every message could be read")
    # Lists come from rows.
    expect(len(node.names(imap)) == 50, "a list lacks messages")
    status, page, _ = node.request("GET", "/home/mail", cookie=cookie)
    expect(status == 200, f"the mailbox got {status}")
    folder = page.split("/home/mail/")[1].split("/")[0].split('"')[0]
    status, _, _ = node.request("GET", f"/home/mail/{folder}/21", cookie=cookie)
    expect(status == 503, f"a message that can't be read got {status}")
    status, _ = imap.uid("FETCH", "1:*", "(FLAGS ENVELOPE)")
    expect(status == "OK", "ENVELOPE was refused")
    expect(node.receive() == 250, "mail")
    node.log_in_without_lockout()
    done = node.command("check")
    expect(done.returncode != 0, "check finds no damage")
    node.alive()
    disk.heal()
    node.check()
    node.stop()
    return f"{refused} of 50 messages were refused, all whole afterwards; {disk.failed()[0]} reads failed"


def aborted(scenario):
    disk, node = scenario.begin(FaultyDisk(scenario.base))
    load = Load(node)
    time.sleep(1)
    disk.fail("write", "sync")
    until("the failure is reported", 60, lambda: not node.is_ready())
    time.sleep(FAULT_SECONDS)
    disk.heal()
    # ext4 has given up its journal: nothing can be written, whatever the disk does.
    load.end()
    until("reading", 15, lambda: len(node.names()) > 0 and node.request("GET", "/")[0] == 200)
    node.says_why()
    expect(node.receive() == 451, "mail is accepted")
    node.kill()
    node.start()
    until("a start after the journal was given up", 30, lambda: "read-only" in node.ready()[1].lower())
    serves_for_reading(node)
    node.stop()
    disk.repair()
    node.start()
    until("a start after fsck", 60, node.is_ready)
    expect(node.receive() == 250, "mail")
    node.check()
    node.stop()
    return "served for reading, whole after fsck"
