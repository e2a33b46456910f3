#!/usr/bin/env python3
"""Measures how fast mail of strangers is taken in, beside Debian's Postfix, OpenDKIM, OpenDMARC and Dovecot, in turns.

    node/bench/intake.py target/release/freehold [rounds]

Needs root, and postfix opendkim opendkim-tools opendmarc dovecot-imapd dovecot-lmtpd knot knot-dnsutils unbound python3-dkim iproute2.

Machines in network namespaces: DNS with a signed zone (knot, unbound), the node, the other programs, and a sender. Both sides get the same
messages of 4 KiB over the same kind of connections (20 sessions, a new connection after ten messages), ask the same resolver, and check
SPF, DKIM and DMARC; the node also has its junk filter. A message counts when it is durable in its mailbox: in the other side's Maildir,
and in the node when its reply has come. Postfix replies earlier, after its queue has the message: that figure is printed too.
Before the measuring both sides' results for each kind of sender are compared; the exit code is 1 if they differ.
"""
import imaplib
import itertools
import os
import random
import re
import shutil
import smtplib
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".ci/judge"))
from faults.machines import Network, in_namespace, must  # noqa: E402
from faults.process import run, stop_nodes_on_sigterm, within  # noqa: E402
from small_internet.provider import DOMAIN, Provider  # noqa: E402
from small_internet.world import World, quoted  # noqa: E402

from node import report  # noqa: E402

SESSIONS, PER_CONNECTION, MESSAGE_LEN = 20, 10, 4096
# Messages of a round: each side needs some seconds for them.
OURS_EACH, THEIRS_EACH = 4000, 600
# How long the zone's records are valid, as those of most domains, in seconds.
TTL = 600
VARIANTS = 16
# Where the node may put a message.
FOLDERS = ("INBOX", "Junk")
# Name of the domain, what is done to its messages, its SPF record, its DMARC policy, and the results that both sides must find.
SENDERS = (
    *((f"signed{n}", "sign", "pass", "quarantine", ("dkim=pass", "dmarc=pass")) for n in range(4)),
    ("forwarded", "sign", "softfail", "none", ("dkim=pass", "dmarc=pass")),
    ("altered", "alter", "fail", "none", ("dmarc=fail",)),
    ("unsigned", "", "pass", "none", ("dmarc=pass",)),
    ("unknown", "", "fail", "none", ("dmarc=fail",)),
)
SIGN = """
import dkim, sys
key = open(sys.argv[1], "rb").read()
for path in sys.argv[3:]:
    text = open(path, "rb").read()
    open(path, "wb").write(dkim.sign(text, b"s1", sys.argv[2].encode(), key, include_headers=[b"From", b"To", b"Date", b"MIME-Version"]) + text)
"""


class Rival(Provider):
    """Postfix, OpenDKIM, OpenDMARC, and Dovecot's LMTP into a Maildir."""

    name = "Postfix + OpenDKIM + OpenDMARC + Dovecot"
    to = f"carol@{DOMAIN}"

    def __init__(self, network, world):
        super().__init__(network, world)
        config = self.folder / "etc/opendmarc.conf"
        config.write_text(f"AuthservID mail.{DOMAIN}\nTrustedAuthservIDs mail.{DOMAIN}\nSocket inet:8893@127.0.0.1\nRejectFailures false\n"
                          f"SPFSelfValidate true\nSPFIgnoreResults true\nPidFile {self.folder}/opendmarc.pid\n")
        self.programs.append(self.start("opendmarc", "-f", "-c", config))

    def postfix(self):
        super().postfix()
        milters = "inet:127.0.0.1:8891, inet:127.0.0.1:8893"
        must("postconf", "-c", self.folder / "etc", "-e", f"smtpd_milters={milters}", "virtual_transport=lmtp:inet:127.0.0.1:24",
             "lmtp_destination_concurrency_limit=20", "lmtp_destination_recipient_limit=1", "smtpd_client_connection_count_limit=0",
             "smtpd_client_connection_rate_limit=0", "smtpd_client_message_rate_limit=0")

    def dovecot(self):
        super().dovecot()
        with open(self.folder / "etc/dovecot.conf", "a") as file:
            file.write("protocols = imap lmtp\nauth_username_format = %n\n"
                       "service lmtp {\n  process_min_avail = 2\n  inet_listener lmtp {\n    address = 127.0.0.1\n    port = 24\n  }\n}\n")

    def ready(self):
        return super().ready() and all(
            within(20, lambda: run("ip", "netns", "exec", self.namespace, "python3", "-c",
                                   f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)").returncode == 0)
            for port in (24, 8891, 8893))

    def count(self):
        return len(os.listdir(self.folder / "mail/carol/new")) if (self.folder / "mail/carol/new").exists() else 0

    def texts(self):
        return self.letters()


class Home:
    """A node with a domain of its own."""

    name = "Freehold"
    to = "alice@alice.house"

    def __init__(self, network, world):
        self.node = network.node("alice", network.folder / "alice")
        self.address = self.node.ip
        world.use(self.node.namespace)
        world.machine("mail.alice.house", self.node.ip)
        world.add("alice.house. MX 10 mail.alice.house.")
        self.node.data.mkdir()
        ports = "\n".join(f'{name} = "0.0.0.0:{port}"' for name, port in
                          (("smtp", 25), ("submission", 587), ("smtps", 465), ("imap", 143), ("imaps", 993)))
        # The load comes from one network, in one day.
        (self.node.data / "freehold.toml").write_text(
            f'[listen]\nweb = "0.0.0.0:7080"\nlibp2p = "0.0.0.0:7001"\n{ports}\n[mail]\nhostname = "mail.alice.house"\n'
            "strangers_mib_per_network_day = 1000000\nstrangers_mib_per_day = 1000000\nsmtp_connections_per_address_max = 64\n")
        self.node.do("init", "--name", "Alice", "--login", "alice", "--domain", "alice.house", "--password-file", "-", input="the intake of mail")
        self.node.start()
        self.password = self.node.do("app-password", "--bare", "bench").strip()

    def read(self, work):
        """The result of `work` with an IMAP connection of the owner."""
        def connect():
            with imaplib.IMAP4("127.0.0.1", 143, timeout=60) as line:
                line.login("alice", self.password)
                return work(line)
        return in_namespace(self.node.namespace, connect)

    def count(self):
        return self.read(lambda line: sum(int(line.select(folder, readonly=True)[1][0]) for folder in FOLDERS))

    def texts(self):
        def work(line):
            found = []
            for folder in FOLDERS:
                line.select(folder, readonly=True)
                for number in line.search(None, "ALL")[1][0].split():
                    found.append(line.fetch(number, "(BODY.PEEK[])")[1][0][1].decode().replace("\r\n", "\n"))
            return found
        return self.read(work)


class Senders:
    """A machine that sends for many domains, and the messages that it sends."""

    def __init__(self, network, world):
        self.folder, self.numbers = network.folder / "senders", itertools.count()
        self.folder.mkdir()
        self.namespace, self.address = network.machine()
        world.machine("mx.senders.house", self.address)
        spf = {"pass": f"v=spf1 ip4:{self.address} -all", "softfail": "v=spf1 ip4:11.1.5.99 ~all", "fail": "v=spf1 ip4:11.1.5.99 -all"}
        self.texts = {}
        for name, work, result, policy, _ in SENDERS:
            domain = f"{name}.house"
            world.add(f"{domain}. MX 10 mx.senders.house.", f'{domain}. TXT "{spf[result]}"', f'_dmarc.{domain}. TXT "v=DMARC1; p={policy}"')
            for side in (Home, Rival):
                self.texts[domain, side.to] = self.write(world, domain, work, side.to)

    def write(self, world, domain, work, to):
        """Messages of a domain, without the fields that differ in each."""
        rng, folder = random.Random(domain), self.folder / domain / to
        folder.mkdir(parents=True)
        words = ["".join(rng.choices("abcdefghiklmnoprstuvw", k=rng.randint(2, 9))) for _ in range(800)]
        paths = [folder / str(number) for number in range(VARIANTS)]
        for path in paths:
            text = (f"From: Writer <writer@{domain}>\r\nTo: {to}\r\nDate: Tue, 01 Dec 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
                    "Content-Type: text/plain; charset=utf-8\r\n\r\n")
            while len(text) < MESSAGE_LEN - 600:
                text += " ".join(rng.choices(words, k=10)) + "\r\n"
            path.write_bytes(text.encode())
        if work:
            key = self.folder / domain / "s1.private"
            if not key.exists():
                must("opendkim-genkey", "-b", "2048", "-d", domain, "-s", "s1", "-D", self.folder / domain)
                value = "".join((self.folder / domain / "s1.txt").read_text().split('"')[1::2])
                world.add(f"s1._domainkey.{domain}. TXT {quoted(value)}")
            must("/usr/bin/python3", "-c", SIGN, key, domain, *paths, timeout=300)
        texts = [path.read_bytes() for path in paths]
        return [text + b"One more line.\r\n" for text in texts] if work == "alter" else texts

    def next(self, to):
        """The next message: its sender and its text."""
        number = next(self.numbers)
        domain = f"{SENDERS[number % len(SENDERS)][0]}.house"
        text = self.texts[domain, to][number // len(SENDERS) % VARIANTS]
        return f"writer@{domain}", b"Message-ID: <%d@%s>\r\nSubject: Number %d\r\n" % (number, domain.encode(), number) + text

    def send(self, side, count):
        """Sends messages over all sessions. Returns the seconds until the last reply."""
        left, refused = iter(range(count)), []
        lock = threading.Lock()

        def session():
            while True:
                with lock:
                    messages = [self.next(side.to) for _ in itertools.islice(left, PER_CONNECTION)]
                if not messages:
                    return
                try:
                    with smtplib.SMTP(side.address, 25, local_hostname="mx.senders.house", timeout=120) as line:
                        for sender, text in messages:
                            line.sendmail(sender, [side.to], text)
                except (OSError, smtplib.SMTPException) as error:
                    refused.append(error)

        def all_sessions():
            threads = [threading.Thread(target=session) for _ in range(SESSIONS)]
            begun = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return time.monotonic() - begun

        took = in_namespace(self.namespace, all_sessions)
        if refused:
            sys.exit(f"{side.name} did not take all messages: {refused[:3]}")
        return took


def same_results(senders, sides):
    """Whether both sides find the expected results for each kind of sender."""
    good = True
    for side in sides:
        senders.send(side, 2 * len(SENDERS))
        within(60, lambda: side.count() >= 2 * len(SENDERS))
        texts = side.texts()
        for name, *_, expected in SENDERS:
            own = [text for text in texts if f"From: Writer <writer@{name}.house>" in text]
            found = [re.sub(r"\s+", " ", " ".join(re.findall(r"^Authentication-Results:.*?(?=^\S)", text, re.M | re.S))) for text in own]
            holds = len(own) == 2 and all(result in text for text in found for result in expected)
            if not holds:
                good = False
                print(f"{side.name}, {name}: {len(own)} messages, expected {expected}, found {found[:1]}")
    return good


def measure(senders, side, count):
    """The messages that are delivered in a second, and those that are replied to."""
    before = side.count()
    begun = time.monotonic()
    replied = senders.send(side, count)
    if isinstance(side, Rival):
        if not within(600, lambda: side.count() >= before + count):
            sys.exit(f"{side.name} delivered {side.count() - before} of {count}")
        delivered = time.monotonic() - begun
    else:
        delivered = replied
        if side.count() != before + count:
            sys.exit(f"{side.name} delivered {side.count() - before} of {count}")
    return count / delivered, count / replied


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    stop_nodes_on_sigterm()
    network, started = Network(os.path.abspath(sys.argv[1])), []
    try:
        world = World(network, ttl=TTL)
        started.append(world)
        rival = Rival(network, world)
        started.append(rival)
        ours = Home(network, world)
        senders = Senders(network, world)
        if not rival.ready():
            sys.exit("the other programs did not start")
        if not same_results(senders, (ours, rival)):
            return 1
        figures = {side.name: [] for side in (rival, ours)}
        for number in range(rounds):
            for side, count in ((rival, THEIRS_EACH), (ours, OURS_EACH)):
                delivered, replied = measure(senders, side, count)
                figures[side.name].append(delivered)
                report(f"round {number + 1}, {side.name}: delivered, replied to, a second", f"{delivered:.0f}, {replied:.0f}")
        middle = {name: sorted(found)[len(found) // 2] for name, found in figures.items()}
        for name, found in middle.items():
            report(f"{name}: delivered a second, median of {rounds}", f"{found:.0f}")
        report("times as many (goal 5)", f"{middle[ours.name] / middle[rival.name]:.1f}")
        return 0
    finally:
        names = list(network.machines)
        for part in reversed(started):
            part.close()
        network.close()
        for name in names:
            shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)
        if not os.environ.get("FREEHOLD_KEEP"):
            shutil.rmtree(network.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
