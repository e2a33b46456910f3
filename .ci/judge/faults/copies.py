"""Faults of two nodes with one key, and of wrong clocks."""
import re
import shutil

from faults.process import must, within
from faults.report import check

CLOCK_SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, t);
    const char *ahead = getenv("CLOCK_AHEAD");
    if (id == CLOCK_REALTIME && ahead) t->tv_sec += atol(ahead);
    return result;
}
"""


def copies(network, bob):
    erin = network.node("erin").start()
    check("friends-before-the-copy", bob.befriend(erin), bob.friends())
    erin.stop()
    copy = network.folder / "erin-copy"
    shutil.copytree(erin.data, copy)
    check("folder-holds-no-socket-after-a-stop", not (erin.data / "control.sock").exists())
    erin.start()
    other = network.node("erin", folder=copy).start()
    check("copy-is-told-to-the-first", within(60, lambda: "copy-running" in erin.notices()), erin.notices())
    check("copy-is-told-to-the-second", within(60, lambda: "copy-running" in other.notices()), other.notices())
    check("copy-is-told-to-the-friend", within(30, lambda: "Two copies" in bob.friends()), bob.friends())
    other.stop()
    erin.stop()


def clocks(network, bob):
    shim = network.folder / "clock.so"
    (network.folder / "clock.c").write_text(CLOCK_SHIM)
    must("cc", "-shared", "-fPIC", "-o", shim, network.folder / "clock.c", "-ldl")
    frank = network.node("frank").start()
    check("friends-before-the-clock", bob.befriend(frank), bob.friends())
    frank.stop()
    frank.start(LD_PRELOAD=str(shim), CLOCK_AHEAD="600")
    within(30, lambda: "connected" in frank.friends())
    check("clock-is-told-at-home", within(30, lambda: "clocks-differ" in frank.notices()), frank.notices())
    is_told = within(30, lambda: re.search(r"\b(9|10) minutes ahead", bob.friends()))
    check("clock-is-told-to-the-friend", is_told, bob.friends())
    frank.stop()
