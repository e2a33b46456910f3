#!/usr/bin/env python3
"""Measures a node that sends to many domains, half of which do not answer. Python's standard library only; Linux, on loopback.

    node/bench/sending.py [--messages N] [--domains N] target/release/freehold

The messages are queued while no server answers; then the node starts anew, with a route for each domain. The servers that answer are at
addresses of their own in 127.2.0.0/16, those that do not in 127.3.0.0/16: their listening sockets are full, so the system drops every
further attempt to connect, as a firewall does. The messages that come to the servers are counted. The exit code is 1 if one was lost or
came twice; the other figures do not change it.
"""
import argparse
import asyncio
import collections
import shutil
import smtplib
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from node import Node, free_port, report, running, wait_until_idle

BODY = "It rained, and then it did not.\r\n" * 120
SESSIONS = 16
CONNECT_SECONDS = 30
GOAL_SECONDS, GOAL_START_SECONDS = 60, 1.0


class Servers:
    """Servers for some domains, in a thread of their own."""

    def __init__(self, count):
        self.port, self.seen, self.connections, self.most = free_port(), [], 0, 0
        self.open = 0
        self.per_server, self.most_per_server = collections.Counter(), 0
        self.hosts = [f"127.2.{number // 250}.{number % 250 + 1}" for number in range(count)]
        self.ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True).start()
        self.ready.wait(30)

    async def serve(self):
        servers = [await asyncio.start_server(self.converse, host, self.port) for host in self.hosts]
        self.ready.set()
        await asyncio.gather(*(server.serve_forever() for server in servers))

    async def converse(self, reader, writer):
        server = writer.get_extra_info("sockname")[0]
        self.connections += 1
        self.open += 1
        self.per_server[server] += 1
        self.most = max(self.most, self.open)
        self.most_per_server = max(self.most_per_server, self.per_server[server])
        to = ""
        try:
            writer.write(b"220 bench.test\r\n")
            while line := await reader.readline():
                word = line.split(b" ")[0].strip().upper()
                if word == b"RCPT":
                    to = line.split(b"<")[1].split(b">")[0].decode()
                if word == b"DATA":
                    writer.write(b"354 go on\r\n")
                    await reader.readuntil(b"\r\n.\r\n")
                    self.seen.append((time.monotonic(), to))
                writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    break
            await writer.drain()
        except OSError:
            pass
        self.open -= 1
        self.per_server[server] -= 1
        writer.close()


def silent(count):
    """Addresses at which nothing answers, and the sockets that make them so."""
    port, sockets, addresses = free_port(), [], []
    for number in range(count):
        address = (f"127.3.{number // 250}.{number % 250 + 1}", port)
        listening = socket.socket()
        listening.bind(address)
        listening.listen(0)
        sockets.append(listening)
        for _ in range(2):
            filling = socket.socket()
            filling.setblocking(False)
            filling.connect_ex(address)
            sockets.append(filling)
        addresses.append("%s:%d" % address)
    return addresses, sockets


def configured(routes, retry_ms):
    table = ", ".join(f'"{domain}" = "{server}"' for domain, server in routes.items())
    return [f"routes = {{ {table} }}", f"retry_first_ms = {retry_ms}", "recipients_per_day = 10000000", "new_recipients_per_day = 10000000"]


def queue(node, recipients):
    """Queues a message for each recipient."""
    password = node.ask(ask="app-password", label="bench")["app_password"]
    own = f"{node.login}@{node.login}.localhost"

    def session(some):
        with smtplib.SMTP("127.0.0.1", node.ports["submission"], local_hostname="bench.example", timeout=60) as smtp:
            smtp.login(node.login, password)
            for to in some:
                smtp.sendmail(own, [to], f"From: {own}\r\nTo: {to}\r\nSubject: To {to}\r\n\r\n{BODY}")

    threads = [threading.Thread(target=session, args=(recipients[i::SESSIONS],)) for i in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(freehold, base, count, domain_count):
    half = domain_count // 2
    answering, (addresses, _sockets) = Servers(domain_count - half), silent(half)
    names = [f"d{number}.bench.test" for number in range(domain_count)]
    dead = dict(zip(names[1::2], addresses))
    living = {name: f"{host}:{answering.port}" for name, host in zip(names[::2], answering.hosts)}
    recipients = [f"m{number}@{names[number % domain_count]}" for number in range(count)]
    wanted = {to for to in recipients if to.split("@")[1] in living}

    with running(Node(freehold, base / "node", "bench", configured({name: addresses[at % half] for at, name in enumerate(names)}, 1))) as node:
        begun = time.monotonic()
        queue(node, recipients)
        report(f"{count} messages queued for {domain_count} domains, s", f"{time.monotonic() - begun:.1f}")
    begun = time.monotonic()
    with running(Node(freehold, base / "node", "bench", configured({**living, **dead}, 60_000))) as node:
        report(f"start to ready with this queue, s (goal {GOAL_START_SECONDS:g})", f"{time.monotonic() - begun:.2f}")
        watch(node, answering, wanted)
    counted = collections.Counter(to for _, to in answering.seen)
    lost, twice = wanted - set(counted), [to for to, times in counted.items() if times > 1]
    report("lost, came twice", f"{len(lost)}, {len(twice)}")
    return not lost and not twice


def watch(node, answering, wanted):
    """Reports how the messages arrive, and what the node needs for that."""
    private = lambda: node.memory("Private_Dirty")
    begun, least, sending, waiting = time.monotonic(), private(), 0.0, 0.0
    while len({to for _, to in answering.seen}) < len(wanted) and time.monotonic() < begun + 10 * GOAL_SECONDS:
        sending = max(sending, private())
        time.sleep(0.2)
    seen = list(answering.seen)
    times = sorted(at - begun for at, _ in seen)
    report(f"messages to domains that answer: the last one after, s (goal {GOAL_SECONDS})", f"{times[-1]:.1f}" if times else "none came")
    report("  half of them after, s", f"{times[len(times) // 2]:.1f}" if times else "")
    report("connections at one time, in total and to one server", f"{answering.most}, {answering.most_per_server}")
    report("messages of a connection, mean", f"{len(seen) / max(answering.connections, 1):.1f}")
    while time.monotonic() < begun + CONNECT_SECONDS + 2:
        waiting = max(waiting, private())
        time.sleep(0.2)
    report("private memory at the start, most while sending, most afterwards, MiB", f"{least:.1f}, {sending:.1f}, {waiting:.1f}")
    # The list itself needs memory.
    while untried(node) and time.monotonic() < begun + 10 * CONNECT_SECONDS:
        time.sleep(0.5)
    report("each message to a domain that does not answer has a result after, s", f"{time.monotonic() - begun:.1f}")
    report("processor time until then, s", f"{node.cpu():.1f}")
    wait_until_idle(node)
    report("idle afterwards, PSS MiB", f"{node.memory('Pss'):.1f}")


def untried(node):
    """Whether a listed message was not tried yet."""
    return any(to["state"] == "waiting" and to["attempts"] == 0 for item in node.ask(ask="queue-list") for to in item["recipients"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--domains", type=int, default=500)
    parser.add_argument("freehold")
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="freehold-sending-"))
    try:
        return 0 if measure(str(Path(options.freehold).resolve()), base, options.messages, options.domains) else 1
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
