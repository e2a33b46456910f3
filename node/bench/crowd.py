#!/usr/bin/env python3
"""Measures a node's mail under a crowd, on loopback. Python's standard library only; Linux.

    node/bench/crowd.py target/release/freehold [flood] [idle] [kills]

flood  one network sends as many messages as it can for 30 seconds (goal: 1,000 a second are limited), while somebody from another
       network sends one every second: how long until that one is in the inbox (goal 2 s), and the node's memory. The clients' addresses
       are those of PROXY protocol headers, and a DNS server of the program's own answers that no name exists.
idle   5,000 IMAP sessions wait in IDLE: memory for each (goal 30 KiB), and how long until all are told of a new message (goal 2 s).
kills  the node is killed (SIGKILL) 200 times while it takes messages and sends them to a server that counts: each accepted message must
       come there. The exit code is 1 if one was lost. A message may come twice if the node died between the reply and its record.
"""
import asyncio
import collections
import contextlib
import imaplib
import random
import re
import resource
import signal
import smtplib
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

from node import Node, free_port, report, running, wait_until_idle

FLOOD_SECONDS, FLOOD_SESSIONS = 30, 64
IDLE_SESSIONS = 5000
KILLS, KILL_SESSIONS = 200, 4
# A node looks for memory to give back this often, at most.
TRIM_SECONDS = 31


def app_password(node):
    return node.ask(ask="app-password", label="bench")["app_password"]


def proxied(port, source):
    """A connection that a proxy passes through from `source` (PROXY protocol, version 2)."""
    line = socket.create_connection(("127.0.0.1", port), timeout=30)
    addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 40_000, port)
    line.sendall(b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + struct.pack("!H", len(addresses)) + addresses)
    return line


class Reader(imaplib.IMAP4):
    """An IMAP connection of the owner through the proxy."""

    def _create_socket(self, timeout):
        return proxied(self.port, "192.0.2.7")


def through_proxy(node, source):
    """An SMTP connection through the proxy."""
    line = proxied(node.ports["smtp"], source)
    smtp = smtplib.SMTP(local_hostname="bench.example", timeout=30)
    smtp.sock = line
    code, text = smtp.getreply()
    if code != 220:
        raise smtplib.SMTPConnectError(code, text)
    return smtp


class NoNames:
    """A DNS server that answers each question with NXDOMAIN (RFC 1035 4.1.1)."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            question, sender = self.socket.recvfrom(4096)
            end = 12
            while end < len(question) and question[end]:
                end += question[end] + 1
            answer = question[:2] + b"\x81\x83" + b"\0\1\0\0\0\0\0\0" + question[12:end + 5]
            self.socket.sendto(answer, sender)


def flood(freehold, base):
    mail = ['proxy_protocol_from = ["127.0.0.1"]', f'dns_servers = ["{NoNames().address}"]', "greeting_delay_ms = 0"]
    node = Node(freehold, base / "flood", "bench", mail)
    # The usual shares of the disk.
    config = node.data / "freehold.toml"
    config.write_text("".join(line + "\n" for line in config.read_text().splitlines() if "strangers_mib" not in line))
    with running(node):
        address = f"{node.login}@{node.login}.localhost"
        outcomes, stop = collections.Counter(), threading.Event()
        body = "It rained, and then it did not.\r\n" * 40

        def attack(number):
            while not stop.is_set():
                try:
                    with through_proxy(node, f"203.0.113.{number % 250 + 1}") as smtp:
                        while not stop.is_set():
                            try:
                                smtp.sendmail("ads@flood.example", [address], f"From: ads@flood.example\r\nSubject: Buy\r\n\r\n{body}")
                                outcomes["accepted"] += 1
                            except smtplib.SMTPServerDisconnected:
                                outcomes["disconnected"] += 1
                                break
                            except smtplib.SMTPException as error:
                                outcomes[f"refused {re.findall(r'[45][0-9][0-9]', str(error))[:1]}"] += 1
                except smtplib.SMTPConnectError as error:
                    outcomes[f"not let in {error.smtp_code}"] += 1
                except OSError:
                    outcomes["connection lost"] += 1

        before = node.memory("Pss")
        threads = [threading.Thread(target=attack, args=(number,), daemon=True) for number in range(FLOOD_SESSIONS)]
        for thread in threads:
            thread.start()
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        begun, times, most = time.monotonic(), [], 0.0
        password = app_password(node)
        while time.monotonic() < begun + FLOOD_SECONDS:
            subject = f"From another network {len(times)}"
            sent = time.monotonic()
            with through_proxy(node, "198.51.100.7") as smtp:
                smtp.sendmail("carol@other.example", [address], f"From: carol@other.example\r\nSubject: {subject}\r\n\r\nHello.\r\n")
            with Reader("127.0.0.1", node.ports["imap"]) as line:
                line.starttls(unverified)
                line.login(node.login, password)
                line.select("INBOX", readonly=True)
                while not line.search(None, "SUBJECT", f'"{subject}"')[1][0]:
                    line.noop()
            times.append(time.monotonic() - sent)
            most = max(most, node.memory("Pss"))
            time.sleep(max(0.0, sent + 1 - time.monotonic()))
        stop.set()
        took = time.monotonic() - begun
        for thread in threads:
            thread.join(40)
        report(f"attempts of one network in {took:.0f} s, a second", f"{sum(outcomes.values()) / took:.0f}")
        report("  their outcomes", ", ".join(f"{name}: {count}" for name, count in outcomes.most_common()))
        report("a message of another network, s until it can be read: median, most (goal 2)",
               f"{sorted(times)[len(times) // 2]:.2f}, {max(times):.2f}")
        # Freed memory is given back within half a minute.
        time.sleep(TRIM_SECONDS)
        wait_until_idle(node)
        report("PSS before, most, afterwards, MiB", f"{before:.1f}, {most:.1f}, {node.memory('Pss'):.1f}")
    return True


def idle(freehold, base):
    resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    most = IDLE_SESSIONS + 100
    node = Node(freehold, base / "idle", "bench", [f"imap_connections_max = {most}", f"imap_connections_per_address_max = {most}"])
    with running(node):
        password = app_password(node)
        wait_until_idle(node)
        before = node.memory("Pss")
        asyncio.run(idle_sessions(node, password, before))
    return True


async def idle_sessions(node, password, before):
    async def session():
        reader, writer = await asyncio.open_connection("127.0.0.1", node.ports["imap"])
        await reader.readline()
        for number, command in enumerate((f"LOGIN {node.login} {password}", "SELECT INBOX")):
            writer.write(f"{number} {command}\r\n".encode())
            while not (line := await reader.readline()).startswith(b"%d " % number):
                assert line, "the connection ended"
            assert b"OK" in line, line
        writer.write(b"2 IDLE\r\n")
        assert (await reader.readline()).startswith(b"+")
        return reader, writer

    begun, sessions = time.monotonic(), []
    while len(sessions) < IDLE_SESSIONS:
        sessions += await asyncio.gather(*(session() for _ in range(min(50, IDLE_SESSIONS - len(sessions)))))
    report(f"{IDLE_SESSIONS} IMAP sessions log in and wait in IDLE after, s", f"{time.monotonic() - begun:.1f}")
    await asyncio.to_thread(wait_until_idle, node)
    report("memory of each, KiB (goal 30)", f"{(node.memory('Pss') - before) * 1024 / IDLE_SESSIONS:.1f}")

    async def told(reader):
        while b"EXISTS" not in await reader.readline():
            pass
        return time.monotonic()
    waiting = [asyncio.create_task(told(reader)) for reader, _ in sessions]
    address = f"{node.login}@{node.login}.localhost"

    def send():
        with smtplib.SMTP("127.0.0.1", node.ports["smtp"], local_hostname="bench.example") as smtp:
            smtp.sendmail("carol@bench.example", [address], "From: carol@bench.example\r\nSubject: Now\r\n\r\nHello.\r\n")
        return time.monotonic()
    sent = await asyncio.to_thread(send)
    times = await asyncio.wait_for(asyncio.gather(*waiting), 60)
    report("all are told of a new message after, s (goal 2)", f"{max(times) - sent:.2f}")
    for _, writer in sessions:
        writer.close()


class Sink:
    """A server that counts messages by Message-ID."""

    def __init__(self):
        self.port, self.seen = free_port(), collections.Counter()
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        ready.wait(30)

    async def serve(self, ready):
        server = await asyncio.start_server(self.converse, "127.0.0.1", self.port)
        ready.set()
        await server.serve_forever()

    async def converse(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            writer.write(b"220 sink.test\r\n")
            while line := await reader.readline():
                word = line.split(b" ")[0].strip().upper()
                if word == b"DATA":
                    writer.write(b"354 go on\r\n")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    self.seen[re.search(rb"^Message-ID: <(.*?)>", text, re.M)[1].decode()] += 1
                writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                await writer.drain()
                if word == b"QUIT":
                    break
        writer.close()


def kills(freehold, base):
    sink, rng = Sink(), random.Random(1)
    mail = [f'routes = {{ "sink.test" = "127.0.0.1:{sink.port}" }}', "retry_first_ms = 50", "recipients_per_day = 10000000",
            "new_recipients_per_day = 10000000"]
    node = Node(freehold, base / "kills", "bench", mail)
    node.start()
    password, own = app_password(node), f"{node.login}@{node.login}.localhost"
    accepted, stop = [], threading.Event()

    def submit(session):
        number = 0
        while not stop.is_set():
            try:
                with smtplib.SMTP("127.0.0.1", node.ports["submission"], local_hostname="bench.example", timeout=20) as smtp:
                    smtp.login(node.login, password)
                    while not stop.is_set():
                        number += 1
                        name = f"{session}.{number}@bench.example"
                        smtp.sendmail(own, [f"m{number}@sink.test"], f"From: {own}\r\nMessage-ID: <{name}>\r\nSubject: {number}\r\n\r\nHello.\r\n")
                        accepted.append(name)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)

    threads = [threading.Thread(target=submit, args=(session,), daemon=True) for session in range(KILL_SESSIONS)]
    for thread in threads:
        thread.start()
    starts = []
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.02, 0.5))
        node.stop(signal.SIGKILL)
        starts.append(node.start())
    report("start to ready after kill -9, s: median, most", f"{sorted(starts)[KILLS // 2]:.2f}, {max(starts):.2f}")
    report("in the queue then", sum(name not in sink.seen for name in accepted))
    stop.set()
    for thread in threads:
        thread.join(40)
    begun = time.monotonic()
    lost = lambda: [name for name in accepted if name not in sink.seen]
    while lost() and time.monotonic() < begun + 300:
        node.ask(ask="queue-retry")
        time.sleep(1)
    node.stop()
    twice = sum(times > 1 for times in sink.seen.values())
    report(f"{KILLS} kills while sending: accepted, lost, came twice", f"{len(accepted)}, {len(lost())}, {twice}")
    return not lost()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    freehold = str(Path(sys.argv[1]).resolve())
    parts = {"flood": flood, "idle": idle, "kills": kills}
    with tempfile.TemporaryDirectory() as base:
        good = [parts[name](freehold, Path(base)) for name in sys.argv[2:] or list(parts)]
    sys.exit(0 if all(good) else 1)


main()
