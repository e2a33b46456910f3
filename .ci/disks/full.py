"""Scenarios of `.ci/disk` on a disk without a free byte."""
import os
import time

from node import DISCONNECTED, Failure, Load, expect, until
from volume import Disk

ROUNDS = int(os.environ.get("FREEHOLD_DISK_ROUNDS", "10"))
FULL_SECONDS = 5
REBUILD_SECONDS = 10


def try_to_delete(node, cookie):
    """A delete is never refused while the reserve stands, except while a failed engine is rebuilt. Returns how many were made."""
    made = 0
    for delete in (node.expunge_one, lambda: node.throw_away(cookie)):
        end = time.monotonic() + REBUILD_SECONDS
        while True:
            had_reserve = (node.data / "reserve").exists()
            try:
                delete()
                made += 1
                break
            except (Failure, *DISCONNECTED) as error:
                if not had_reserve:
                    break
                expect(time.monotonic() < end, f"a delete was refused while the reserve stood: {error}")
                time.sleep(0.2)
    return made


def filled(scenario, engine):
    disk, node = scenario.begin(Disk(scenario.base), engine)
    cookie = node.log_in()
    recovered, deleted = [], 0
    for number in range(1, ROUNDS + 1):
        load = Load(node)
        time.sleep(1)
        disk.fill()
        if number % 3 == 0:
            node.kill()
            disk.fill()
            node.start()
            until("reading on a full disk", 60, lambda: node.imap(readonly=True))
        end = time.monotonic() + FULL_SECONDS
        while time.monotonic() < end:
            disk.fill()
            node.alive()
            status, text = node.ready()
            expect(status in (200, 503), f"/readyz: {status} {text}")
            status, _, _ = node.request("GET", "/home/mail", cookie=cookie)
            expect(status in (200, 503), f"the mailbox: {status}")
            deleted += try_to_delete(node, cookie)
            time.sleep(0.5)
        load.end()
        disk.give_back()
        begun = time.monotonic()
        until("ready after space was given back", 60, node.is_ready)
        until("mail after space was given back", 60, lambda: node.receive() == 250)
        recovered.append(round(time.monotonic() - begun, 1))
        node.expunge_one()
    rebuilt = node.log.read_text(errors="replace").count("rows were rebuilt")
    node.check()
    node.stop()
    return (f"{ROUNDS} rounds, mail again after {recovered} s, {deleted} deletes while full, {rebuilt} rebuilds, "
            f"{len(node.acknowledged)} messages")


def start(scenario):
    disk, node = scenario.begin(Disk(scenario.base))
    for _ in range(60):
        node.receive(20_000)
    disk.fill()
    node.kill()
    disk.fill()
    expect((node.data / "reserve").exists(), "the reserve was released too early")
    expect(disk.free() == 0, f"{disk.free()} bytes are free")
    begun = time.monotonic()
    node.start()
    until("a start on a full disk", 60, node.is_ready)
    took = time.monotonic() - begun
    expect("full" in node.ready()[1], f"/readyz does not say that the disk is full: {node.ready()}")
    expect(node.health()["state"] == "full", f"status: {node.health()}")
    cookie = node.log_in()
    imap = node.imap()
    for change in ("+FLAGS", "-FLAGS"):
        status, data = imap.store("1:*", change, r"(\Flagged)")
        expect(status == "OK", f"STORE of all: {data}")
    imap.logout()
    for _ in range(3):
        node.expunge_one()
        node.throw_away(cookie)
    expect(node.receive() == 452, "mail is accepted on a full disk")
    # Once more, now without the reserve: changes are refused, but reading goes on.
    disk.fill()
    node.kill()
    disk.fill()
    node.start()
    until("a start without the reserve", 60, lambda: node.ready()[1])
    until("reading without the reserve", 30, lambda: node.imap(readonly=True))
    expect(node.request("GET", "/")[0] == 200, "the front page")
    disk.give_back()
    until("ready after space was given back", 60, node.is_ready)
    until("mail after space was given back", 60, lambda: node.receive() == 250)
    count = node.check()
    node.stop()
    return f"started in {took:.2f} s, {count} messages left"
