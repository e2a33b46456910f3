"""Faults of two nodes with one key, of a stolen key, and of wrong clocks."""
import re
import shutil

from faults.browser import Browser
from faults.machines import PASSWORD, in_namespace
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


def timeline(node):
    """The page on which the owner reads what friends say."""
    def read():
        browser = Browser(7080)
        return browser.get("/home").text if browser.log_in(PASSWORD) else "no login"
    return in_namespace(node.namespace, read)


def theft(network):
    """A thief's copy of the data folder posts to a friend; then the owner retires the key."""
    ivan, jane = network.node("ivan").start(), network.node("jane").start()
    check("friends-before-the-theft", ivan.befriend(jane), jane.friends())
    ivan.do("post", "-", input="Before the theft.")
    check("friend-has-the-first-post", within(20, lambda: "Before the theft" in timeline(jane)), timeline(jane)[-1500:])
    ivan.stop()
    shutil.copytree(ivan.data, network.folder / "ivan-stolen")
    ivan.start()
    ivan.do("post", "-", input="After the theft.")
    check("friend-has-the-second-post", within(20, lambda: "After the theft" in timeline(jane)), timeline(jane)[-1500:])
    ivan.stop()
    thief = network.node("ivan", folder=network.folder / "ivan-stolen").start()
    thief.do("post", "-", input="The words of a thief.")
    check("thief-is-believed-at-first", within(40, lambda: "words of a thief" in timeline(jane)), timeline(jane)[-1500:])
    thief.stop()
    jane.stop()
    ivan.start()
    request, signed = network.folder / "stolen.txt", network.folder / "stolen-signed.txt"
    key = re.search(r"\b[0-9a-f]{64}\b", ivan.do("identity", "show")).group()
    ivan.do("identity", "request", "retire-node", key[:8], "--stolen", "--out", request)
    ivan.sign(request, signed)
    ivan.do("identity", "upload", signed)
    jane.start()
    check("retirement-reaches-a-friend-who-was-away", within(40, lambda: "is retired" in jane.friends()), jane.friends())
    shown = within(20, lambda: "words of a thief" not in (text := timeline(jane)) and text)
    check("stolen-words-are-void", shown, timeline(jane)[-1500:])
    check("earlier-words-stay", shown and "Before the theft" in shown and "After the theft" in shown, shown)
    ivan.stop()
    jane.stop()


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
