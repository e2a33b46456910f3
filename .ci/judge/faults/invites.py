"""Faults of invites and of the addresses in them, and of newcomers beside half-open connections."""
import base64
import contextlib
import re
import socket
import threading
import time

from faults.machines import in_namespace, page
from faults.process import must, within
from faults.report import check


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


def invites(alice, bob):
    listed = addresses_of(alice.long_invite())
    check("invite-names-the-machines-own-address", listed and all(f"/{alice.ip}/" in address for address in listed), listed)
    served = alice.status()["libp2p"]
    check("status-names-the-same-addresses", all(f"/{alice.ip}/" in address for address in served), served)
    short = alice.invite()
    check("invite-holds-a-token-of-22-characters", re.fullmatch(rf"http://{re.escape(alice.ip)}:7080/i#[\w-]{{22}}", short), short)
    bob.do("friend", "add", short)
    met = within(30, lambda: alice.is_friend_of(bob) and bob.is_friend_of(alice))
    check("short-invite-makes-friends", met, alice.friends() + bob.friends())
    used = bob.ask("friend", "add", short)
    check("used-short-invite-is-refused", used.returncode == 65 and "does not know" in used.stderr, used.stderr)
    unknown = bob.ask("friend", "add", f"http://{alice.ip}:7080/i#AAAAAAAAAAAAAAAAAAAAAA")
    check("unknown-short-invite-is-refused-clearly", unknown.returncode == 65 and "does not know" in unknown.stderr, unknown.stderr)
    inside = bob.ask("friend", "add", "http://127.0.0.1:7080/i#AAAAAAAAAAAAAAAAAAAAAA")
    check("short-invite-is-not-fetched-from-inside", inside.returncode == 69 and "inside a network" in inside.stderr, inside.stderr)
    shown = page(alice, "/i")
    check("strangers-page-says-what-freehold-is", "Freehold is a program" in shown, shown)


def external_name(network):
    carol = network.node("carol")
    carol.configure(external=["/dns4/carol.example/tcp/443"], libp2p=f"{carol.ip}:7001")
    carol.start()
    listed = addresses_of(carol.long_invite())
    check("external-name-is-in-the-invite", listed and listed[0].startswith("/dns4/carol.example/tcp/443"), listed)
    check("external-port-is-not-put-on-the-listener", not any(f"/{carol.ip}/tcp/443" in address for address in listed), listed)
    check("status-shows-the-listeners-port", carol.status()["ports"].get("libp2p") == 7001, carol.status()["ports"])
    carol.stop()


def inner_addresses(network, bob):
    mallory = network.node("mallory").start()
    caught = []

    def listen(address):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        listener.settimeout(6)
        return listener

    must("ip", "-n", bob.namespace, "addr", "add", "192.168.77.1/24", "dev", "lo")
    listeners = in_namespace(bob.namespace, lambda: [listen(("127.0.0.1", 5555)), listen(("192.168.77.1", 5556))])
    invite = with_addresses(mallory.long_invite(), ["/ip4/127.0.0.1/tcp/5555", "/ip4/192.168.77.1/tcp/5556", "/dns4/localhost/tcp/5555"])
    added = bob.ask("friend", "add", invite)
    for listener in listeners:
        with contextlib.suppress(TimeoutError):
            caught.append(listener.accept()[1])
    check("forged-invite-is-accepted-as-text", added.returncode == 0, added.stderr)
    check("addresses-inside-are-not-dialed", not caught, caught)
    must("ip", "-n", bob.namespace, "addr", "del", "192.168.77.1/24", "dev", "lo")
    mallory.stop()


def half_open(network, alice):
    (attacker, _), dave = network.machine(), network.node("dave").start()
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
