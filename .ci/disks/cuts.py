"""Power cuts for `.ci/disk`, under load, on a disk that keeps what a sync covered and some of the rest."""
import os
import random
import subprocess
import time
import uuid

from node import DISCONNECTED, Failure, Load, expect, until
from volume import FaultyDisk

CUTS = int(os.environ.get("FREEHOLD_DISK_CUTS", "12"))
SEED = int(os.environ.get("FREEHOLD_DISK_SEED", str(time.time_ns() % 1_000_000)))


def cut(scenario, rng):
    """Load, then a power cut, then a start as on another boot."""
    disk, node = scenario.disk, scenario.node
    load = Load(node)
    time.sleep(rng.uniform(0.2, 3))
    disk.cut(rng.randrange(1 << 30))
    node.kill()
    load.end()
    disk.detach()
    disk.attach()
    disk.volatile()
    boot = scenario.base / "boot"
    boot.write_text(f"{uuid.UUID(int=rng.getrandbits(128))}\n")
    node.start(boot)
    until("a start after a power cut", 60, node.is_ready)


def cuts(scenario, engine):
    rng = random.Random(SEED)
    disk, node = scenario.begin(FaultyDisk(scenario.base), engine)
    disk.volatile()
    for number in range(CUTS):
        cut(scenario, rng)
        node.check()
    acknowledged = len(node.acknowledged)
    disk.volatile(lying=True)
    lost = None
    for _ in range(5):
        try:
            cut(scenario, rng)
            node.check()
            disk.volatile(lying=True)
        except (Failure, *DISCONNECTED, subprocess.SubprocessError) as error:
            lost = error
            break
    expect(lost, "a disk that lies about syncs loses nothing, so the check detects nothing")
    return f"seed {SEED}, {CUTS} cuts, {acknowledged} messages; on a lying disk: {str(lost)[:100]}"
