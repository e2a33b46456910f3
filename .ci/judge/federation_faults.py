#!/usr/bin/env python3
"""Plays faults of federation and identity from outside: real nodes in network namespaces, a hostile caller, wrong clocks, copies of
folders, full disks. One line each, and a count at the end.

    .ci/judge/federation_faults.py [FREEHOLD]

Needs root (network namespaces), iproute2 and a C compiler (a shim for the clock). Python's standard library only.
"""
import base64
import contextlib
import ctypes
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

FREEHOLD = str(Path(sys.argv[1] if len(sys.argv) > 1 else "target/debug/freehold").resolve())
PASSWORD = "faults of federation and identity"
BASE = Path(tempfile.mkdtemp(prefix="fh-faults-"))
TAG = f"fh{os.getpid() % 10_000}"
CLONE_NEWNET = 0x40000000
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
passed, failed, nodes = 0, [], []


def check(name, holds, why=""):
    global passed
    if holds:
        passed += 1
        print(f"PASS {name}", flush=True)
    else:
        failed.append(name)
        print(f"FAIL {name}: {str(why)[-600:]}", flush=True)


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **{"timeout": 60, **options})


def must(*command, **options):
    done = run(*command, **options)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def within(seconds, condition):
    """The first true value of `condition`, or its last one."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.2)


class Network:
    """A bridge with one namespace per machine, at addresses that count as the Internet's."""

    def __init__(self):
        self.names = []
        must("ip", "link", "add", f"{TAG}b", "type", "bridge")
        must("ip", "link", "set", f"{TAG}b", "up")

    def machine(self, number):
        name = f"{TAG}n{number}"
        self.names.append(name)
        must("ip", "netns", "add", name)
        must("ip", "link", "add", f"{TAG}v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        must("ip", "link", "set", f"{TAG}v{number}", "master", f"{TAG}b", "up")
        for arguments in (["addr", "add", f"11.1.5.{number}/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            must("ip", "-n", name, *arguments)
        return name

    def close(self):
        for name in self.names:
            run("ip", "netns", "del", name)
        run("ip", "link", "del", f"{TAG}b")


class Node:
    def __init__(self, network, number, name, folder=None, **settings):
        self.name, self.number, self.ip = name, number, f"11.1.5.{number}"
        self.netns = network.machine(number)
        self.data = folder or BASE / f"{name}{number}"
        self.process, self.words = None, None
        nodes.append(self)
        if folder is None:
            self.data.mkdir()
            self.configure(**settings)
            self.words = words_of(must(FREEHOLD, "--data", self.data, "init", "--name", name.title(), "--login", name, "--password-file", "-",
                                       input=PASSWORD))

    def configure(self, external=(), public_url=True, libp2p="0.0.0.0:7001"):
        lines = ["[listen]", 'web = "0.0.0.0:7080"', f'libp2p = "{libp2p}"', "[federation]", f"external = {json.dumps(list(external))}"]
        if public_url:
            lines += ["[web]", f'public_url = "http://{self.ip}:7080"']
        (self.data / "freehold.toml").write_text("\n".join(lines) + "\n")

    def start(self, **env):
        log = open(BASE / f"{self.data.name}-{self.number}.log", "ab")
        self.process = subprocess.Popen(["ip", "netns", "exec", self.netns, FREEHOLD, "--data", str(self.data), "serve"], stdout=log, stderr=log,
                                        stdin=subprocess.DEVNULL, env={**os.environ, **env})
        if not within(60, lambda: run(FREEHOLD, "--data", self.data, "status").returncode == 0):
            raise RuntimeError(f"{self.name} did not start: {open(log.name).read()[-2000:]}")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def ask(self, *command, **options):
        return run(FREEHOLD, "--data", self.data, *command, **options)

    def do(self, *command, **options):
        return must(FREEHOLD, "--data", self.data, *command, **options)

    def status(self):
        return json.loads(self.do("status", "--json"))

    def notices(self):
        return [notice["name"] for notice in self.status().get("notices", [])]

    def friends(self):
        return self.do("friend", "list")

    def invite(self):
        return re.search(r"http\S+/i#\S+", self.do("invite")).group()

    def long_invite(self):
        return re.findall(r"http\S+/i#\S+", self.do("invite"))[-1]

    def befriend(self, other):
        other.do("friend", "add", self.invite())
        return within(30, lambda: self.is_friend_of(other) and other.is_friend_of(self))

    def is_friend_of(self, other):
        return re.search(rf"^friend +{other.name.title()}\b", self.friends(), re.M)

    def sign(self, request, out, words=None):
        return run(FREEHOLD, "identity", "sign", request, "--yes", "--out", out, input=words or self.words)


def words_of(printed):
    card = printed.split("Freehold recovery card")[1].split("Person")[0]
    numbered = re.findall(r"(\d+) ([a-z]+)\b", card)
    return " ".join(word for _, word in sorted(numbered, key=lambda pair: int(pair[0]))) + "\n"


def addresses_of(invite):
    """The texts in a long invite that look like multiaddrs."""
    code = invite.split("#")[1]
    raw = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
    return re.findall(r"/(?:ip4|ip6|dns4)/[\x20-\x7e]*?(?=[^\x20-\x7e]|$)", raw.decode("latin-1"))


def with_addresses(invite, addresses):
    """The invite with other addresses: a map with the keys 0, 2, 4, 6, 8, 10 (the addresses) and 11."""
    site, code = invite.split("#")
    raw = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))

    def head(major, number):
        return bytes([major << 5 | number]) if number < 24 else bytes([major << 5 | 24, number])

    at = raw.index(b"\x0a", raw.index(b"\x08\x1b")) if b"\x08\x1b" in raw else raw.index(b"\x0a")
    end = raw.rindex(b"\x0b" + head(3, len("Mallory")) + b"Mallory")
    texts = [text.encode() for text in addresses]
    listed = head(4, len(texts)) + b"".join(head(3, len(text)) + text for text in texts)
    return f"{site}#{base64.urlsafe_b64encode(raw[:at + 1] + listed + raw[end:]).decode().rstrip('=')}"


def in_namespace(netns, work):
    """Runs `work` in a thread whose new sockets are in the namespace."""
    result = []

    def body():
        with open(f"/var/run/netns/{netns}") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        result.append(work())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return result[0]


def addresses_and_invites(network):
    alice, bob = Node(network, 1, "alice").start(), Node(network, 2, "bob").start()
    listed = addresses_of(alice.long_invite())
    check("invite-names-the-machines-own-address", listed and all("/11.1.5.1/" in address for address in listed), listed)
    check("status-names-the-same-addresses", all("/11.1.5.1/" in address for address in alice.status()["libp2p"]), alice.status()["libp2p"])
    short = alice.invite()
    check("invite-holds-a-token-of-22-characters", re.fullmatch(r"http://11\.1\.5\.1:7080/i#[\w-]{22}", short), short)
    bob.do("friend", "add", short)
    met = within(30, lambda: alice.is_friend_of(bob) and bob.is_friend_of(alice))
    check("short-invite-makes-friends", met, alice.friends() + bob.friends())
    used = bob.ask("friend", "add", short)
    check("used-short-invite-is-refused", used.returncode == 65 and "does not know" in used.stderr, used.stderr)
    unknown = bob.ask("friend", "add", "http://11.1.5.1:7080/i#AAAAAAAAAAAAAAAAAAAAAA")
    check("unknown-short-invite-is-refused-clearly", unknown.returncode == 65 and "does not know" in unknown.stderr, unknown.stderr)
    inside = bob.ask("friend", "add", "http://127.0.0.1:7080/i#AAAAAAAAAAAAAAAAAAAAAA")
    check("short-invite-is-not-fetched-from-inside", inside.returncode == 69 and "inside a network" in inside.stderr, inside.stderr)
    page = urlopen(network, alice, "/i")
    check("strangers-page-says-what-freehold-is", "Freehold is a program" in page, page)
    return alice, bob


def urlopen(network, node, path):
    return must("ip", "netns", "exec", node.netns, "python3", "-c",
                f"import urllib.request as u; print(u.urlopen('http://{node.ip}:7080{path}').read().decode())")


def external_name(network):
    carol = Node(network, 3, "carol", external=["/dns4/carol.example/tcp/443"], libp2p="11.1.5.3:7001").start()
    listed = addresses_of(carol.long_invite())
    check("external-name-is-in-the-invite", listed and listed[0].startswith("/dns4/carol.example/tcp/443"), listed)
    check("external-port-is-not-put-on-the-listener", not any("/11.1.5.3/tcp/443" in address for address in listed), listed)
    check("status-shows-the-listeners-port", carol.status()["ports"].get("libp2p") == 7001, carol.status()["ports"])
    carol.stop()


def inner_addresses(network, bob):
    mallory = Node(network, 4, "mallory").start()
    caught = []

    def listen(address):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        listener.settimeout(6)
        return listener

    must("ip", "-n", bob.netns, "addr", "add", "192.168.77.1/24", "dev", "lo")
    listeners = in_namespace(bob.netns, lambda: [listen(("127.0.0.1", 5555)), listen(("192.168.77.1", 5556))])
    invite = with_addresses(mallory.long_invite(), ["/ip4/127.0.0.1/tcp/5555", "/ip4/192.168.77.1/tcp/5556", "/dns4/localhost/tcp/5555"])
    added = bob.ask("friend", "add", invite)
    for listener in listeners:
        with contextlib.suppress(TimeoutError):
            caught.append(listener.accept()[1])
    check("forged-invite-is-accepted-as-text", added.returncode == 0, added.stderr)
    check("addresses-inside-are-not-dialed", not caught, caught)
    must("ip", "-n", bob.netns, "addr", "del", "192.168.77.1/24", "dev", "lo")
    mallory.stop()


def half_open(network, alice):
    attacker, dave = network.machine(5), Node(network, 6, "dave").start()
    sockets, stop = [], threading.Event()

    def flood():
        while not stop.is_set():
            connection = socket.socket()
            connection.settimeout(2)
            with contextlib.suppress(OSError):
                connection.connect((alice.ip, 7001))
                sockets.append(connection)
            time.sleep(0.05)
            if len(sockets) > 500:
                sockets.pop(0).close()

    thread = threading.Thread(target=lambda: in_namespace(attacker, flood))
    thread.start()
    within(20, lambda: len(sockets) > 100)
    begun = time.monotonic()
    arrived = alice.befriend(dave)
    check("newcomer-gets-in-past-half-open-connections", arrived, dave.friends())
    check("newcomer-gets-in-soon", time.monotonic() - begun < 15, time.monotonic() - begun)
    stop.set()
    thread.join()
    dave.stop()


def copies(network, bob):
    erin = Node(network, 7, "erin").start()
    check("friends-before-the-copy", bob.befriend(erin), bob.friends())
    erin.stop()
    copy = BASE / "erin-copy"
    shutil.copytree(erin.data, copy)
    check("folder-holds-no-socket-after-a-stop", not (erin.data / "control.sock").exists())
    erin.start()
    other = Node(network, 8, "erin", folder=copy).start()
    check("copy-is-told-to-the-first", within(60, lambda: "copy-running" in erin.notices()), erin.notices())
    check("copy-is-told-to-the-second", within(60, lambda: "copy-running" in other.notices()), other.notices())
    check("copy-is-told-to-the-friend", within(30, lambda: "Two copies" in bob.friends()), bob.friends())
    other.stop()
    erin.stop()


def clocks(network, bob):
    shim = BASE / "clock.so"
    (BASE / "clock.c").write_text(CLOCK_SHIM)
    must("cc", "-shared", "-fPIC", "-o", shim, BASE / "clock.c", "-ldl")
    frank = Node(network, 9, "frank")
    frank.start()
    check("friends-before-the-clock", bob.befriend(frank), bob.friends())
    frank.stop()
    frank.start(LD_PRELOAD=str(shim), CLOCK_AHEAD="600")
    within(30, lambda: "connected" in frank.friends())
    check("clock-is-told-at-home", within(30, lambda: "clocks-differ" in frank.notices()), frank.notices())
    check("clock-is-told-to-the-friend", within(30, lambda: "10 minutes ahead" in bob.friends() or "9 minutes ahead" in bob.friends()), bob.friends())
    frank.stop()


def words():
    gina = BASE / "gina"
    must(FREEHOLD, "--data", gina, "init", "--name", "Gina", "--login", "gina", "--password-file", "-", input=PASSWORD)
    card = must(FREEHOLD, "--data", gina, "identity", "card").strip()
    claim = BASE / "claim.txt"
    new = [FREEHOLD, "identity", "new", "--node", card, "--out", str(claim)]
    with open("/dev/full", "w") as full:
        lost = subprocess.run(new, stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    check("words-to-a-full-disk-fail", lost.returncode != 0 and not claim.exists(), lost)
    reader, writer = os.pipe()
    os.close(reader)
    closed = subprocess.run(new, stdout=writer, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    os.close(writer)
    check("words-to-a-closed-pipe-fail", closed.returncode != 0 and not claim.exists(), closed)
    wrong = run(*new, input=" ".join(["abandon"] * 23 + ["art"]) + "\n")
    check("other-words-typed-back-are-refused", wrong.returncode == 65 and not claim.exists(), wrong)
    seen = on_terminal(new, lambda shown: words_of(shown) if shown.count("Person") else None)
    check("words-are-asked-back", claim.exists() and "Type the 24 words" in seen, seen)
    typed = words_of(seen).split()
    after = seen.split("Type the 24 words")[1]
    check("words-typed-are-not-echoed", sum(word in after.split() for word in typed) < 6, after)

    fresh = BASE / "fresh"
    process = subprocess.Popen([FREEHOLD, "--data", str(fresh), *free_ports(), "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    within(30, lambda: run(FREEHOLD, "--data", fresh, "status").returncode == 0)
    claim.unlink()
    card = must(FREEHOLD, "--data", fresh, "identity", "card").strip()
    must(FREEHOLD, "identity", "new", "--node", card, "--out", claim, stdin=subprocess.DEVNULL)
    claimed = must(FREEHOLD, "--data", fresh, "identity", "claim", claim)
    check("claim-says-what-comes-next", "set-up link" in claimed and "freehold init" in claimed, claimed)
    process.terminate()
    process.wait(20)


def free_ports():
    arguments = []
    for name in ("web", "smtp", "submission", "smtps", "imap", "imaps", "libp2p"):
        arguments += ["--set", f'listen.{name}="127.0.0.1:0"']
    return arguments


def on_terminal(command, answer):
    """Runs a command on a terminal and types the answer once there is one; what was shown."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(command[0], command)
    shown, answered = "", False
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 4096):
            shown += chunk.decode(errors="replace").replace("\r", "")
            if not answered and "then Enter" in shown and (text := answer(shown)):
                time.sleep(0.3)
                os.write(terminal, text.encode())
                answered = True
    os.waitpid(process, 0)
    return shown


def retirement(network, alice, bob):
    within(30, lambda: re.search(r"Alice +connected", bob.friends()))
    alice.do("post", "-", input="# A place\n\nwhere I write.\n")
    key = re.search(r"\b[0-9a-f]{64}\b", alice.do("identity", "show")).group()
    request, signed = BASE / "retire.txt", BASE / "retire-signed.txt"
    told = alice.do("identity", "request", "retire-node", key[:8], "--out", request)
    check("retirement-says-what-stays", "1 post" in told and "Stays:" in told and "Goes:" in told, told)
    check("retirement-says-it-is-this-and-the-last-node", "the node you are asking" in told and "last node" in told, told)
    check("retirement-names-friends-who-know-no-other", "Bob" in told and "no other node" in told, told)
    typed = alice.words.split()
    typo = " ".join(typed[:3] + [typed[3] + "x"] + typed[4:]) + "\n" + typed[3] + "\n"
    done = alice.sign(request, signed, typo)
    check("one-mistyped-word-is-asked-again", done.returncode == 0 and "Word 4" in done.stdout, done)
    check("description-does-not-count-entries-as-posts", "all that it has said up to this request stays" in done.stdout, done.stdout)
    alice.do("identity", "upload", signed)
    learned = within(10, lambda: "is retired" in bob.friends())
    check("retirement-reaches-a-connected-friend", learned, bob.friends())
    check("retired-node-says-so", "retired" in alice.notices(), alice.status())
    refused = alice.ask("invite")
    check("retired-node-makes-no-invite", refused.returncode == 65 and "retired" in refused.stderr, refused)
    shown = alice.do("identity", "show")
    check("show-marks-the-node-as-retired", "retired" in shown, shown)


def domain(network):
    hal = Node(network, 10, "hal").start()
    request, signed = BASE / "domain.txt", BASE / "domain-signed.txt"
    hal.do("identity", "request", "domain", "google.com", "--out", request)
    hal.sign(request, signed)
    hal.do("identity", "upload", signed)
    shown = hal.do("identity", "show")
    check("domain-that-nobody-asked-vouches-for-nothing", "does not check" in shown and "google.com vouches" not in shown, shown)
    hal.stop()


def main():
    if os.geteuid() != 0:
        sys.exit("needs root: network namespaces")
    network = Network()
    try:
        alice, bob = addresses_and_invites(network)
        external_name(network)
        inner_addresses(network, bob)
        half_open(network, alice)
        copies(network, bob)
        clocks(network, bob)
        words()
        domain(network)
        retirement(network, alice, bob)
    finally:
        for node in nodes:
            with contextlib.suppress(Exception):
                node.stop()
        network.close()
    if failed:
        print(f"the folders and logs are in {BASE}")
    else:
        shutil.rmtree(BASE)
    print(f"{passed} passed, {len(failed)} failed")
    sys.exit(bool(failed))


main()
