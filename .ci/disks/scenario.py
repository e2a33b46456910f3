"""What the scenarios of `.ci/disk` begin with and leave behind."""
import contextlib

from node import Node, expect, until


class Scenario:
    """The disk and the node of one scenario. `clean` ends what is left of it."""

    def __init__(self, freehold, base):
        self.freehold, self.base, self.disk, self.node = freehold, base, None, None

    def begin(self, disk, engine="sled"):
        self.disk = disk
        self.node = Node(self.freehold, disk, self.base, engine)
        self.node.start()
        until("the first start", 60, self.node.is_ready)
        for _ in range(20):
            expect(self.node.receive() == 250, "mail on an empty disk")
        return self.disk, self.node

    def clean(self):
        if self.node:
            if self.node.load:
                self.node.load.stopping = True
            for process in self.node.processes:
                process.kill()
                process.wait()
        if self.disk:
            with contextlib.suppress(OSError, AttributeError):
                self.disk.heal()
            self.disk.detach()
