"""A node for `.ci/disk`, the changes it has acknowledged, and load on it."""
import collections
import contextlib
import http.client
import imaplib
import json
import os
import random
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

from volume import run

PASSWORD = "a disk without a free byte"
PORTS = ("web", "smtp", "submission", "smtps", "imap", "imaps", "libp2p")
# The errors of a client whose server is gone or answers late.
DISCONNECTED = (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error, http.client.HTTPException)
# The messages whose flag the load changes.
FLAGGED = 20


class Failure(Exception):
    """A check that failed."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


def until(text, seconds, condition):
    """Waits until `condition` returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(*DISCONNECTED):
            if found := condition():
                return found
        expect(time.monotonic() < end, f"not within {seconds} s: {text}")
        time.sleep(0.05)


def held_port():
    """A listener on a free port below the ephemeral range: the port must still be free when a node starts again."""
    while True:
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", random.randrange(10_000, 32_000)))


def unverified():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Node:
    def __init__(self, program, disk, base, engine="sled"):
        self.program, self.disk, self.data, self.log = program, disk, disk.mount / "data", base / "log"
        self.process, self.processes, self.load = None, [], None
        self.ports = {}
        held = [held_port() for _ in PORTS]
        for name, port in zip(PORTS, held):
            self.ports[name] = port.getsockname()[1]
            port.close()
        self.address, self.number = "ann@ann.localhost", 0
        # Message-ID to text of each acknowledged message; the messages deleted; the flag of the first messages, if it is known.
        self.acknowledged, self.deleted, self.flagged = {}, set(), None
        self.data.mkdir()
        lines = ["[node]", 'log = "info"', f'engine = "{engine}"', "[listen]"]
        lines += [f'{name} = "127.0.0.1:{port}"' for name, port in self.ports.items()]
        (self.data / "freehold.toml").write_text("\n".join(lines) + "\n")
        run(program, "--data", self.data, "init", "--name", "Ann", "--login", "ann", "--password-file", "-", input=PASSWORD.encode())
        self.app_password = self.command("app-password", "test").stdout.split()[0]
        # The configuration must outlive a journal that is given up.
        os.sync()

    def command(self, *words):
        return subprocess.run([self.program, "--data", str(self.data), *words], capture_output=True, text=True, timeout=120, check=False)

    def start(self, boot=None):
        """`boot` is the file of another boot id than that of this machine."""
        command = [self.program, "--data", str(self.data), "serve"]
        if boot:
            command = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"', str(boot), *command]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        self.processes.append(self.process)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)

    def alive(self):
        expect(self.process.poll() is None, f"the process ended with {self.process.poll()}")

    def request(self, method, path, form=None, cookie=""):
        self.alive()
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["web"], timeout=20)
        try:
            headers = {"Cookie": cookie} if cookie else {}
            body = None
            if form is not None:
                body, headers["Content-Type"] = urllib.parse.urlencode(form), "application/x-www-form-urlencoded"
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace"), response.headers
        finally:
            connection.close()

    def ready(self):
        status, text, _ = self.request("GET", "/readyz")
        return status, text

    def is_ready(self):
        return self.ready()[0] == 200

    def health(self):
        done = self.command("status", "--json")
        expect(done.returncode == 0, f"status: {done.returncode} {done.stderr.strip()}")
        return json.loads(done.stdout)["health"]

    def log_in(self):
        status, _, headers = self.request("POST", "/login", {"password": PASSWORD})
        expect(status == 303, f"the login got {status}")
        return headers["Set-Cookie"].split(";")[0]

    def receive(self, size=3000):
        """Sends one message from outside, and returns the code of the reply; 250 acknowledges it."""
        self.number += 1
        name = f"<{self.number}@far.example>"
        text = f"From: bob@far.example\r\nTo: {self.address}\r\nSubject: {self.number}\r\nMessage-ID: {name}\r\n\r\n"
        text += f"word {self.number}\r\n" * (size // 10)
        try:
            with smtplib.SMTP("127.0.0.1", self.ports["smtp"], local_hostname="far.example", timeout=20) as smtp:
                smtp.sendmail("bob@far.example", [self.address], text)
        except smtplib.SMTPRecipientsRefused as refused:
            return next(iter(refused.recipients.values()))[0]
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code
        self.acknowledged[name] = text
        return 250

    def imap(self, readonly=False):
        imap = imaplib.IMAP4_SSL("127.0.0.1", self.ports["imaps"], ssl_context=unverified(), timeout=30)
        imap.login(self.address, self.app_password)
        status, _ = imap.select("INBOX", readonly=readonly)
        expect(status == "OK", "SELECT was refused")
        return imap

    def imap_login(self):
        """`OK`, or the response code of the refusal."""
        imap = imaplib.IMAP4_SSL("127.0.0.1", self.ports["imaps"], ssl_context=unverified(), timeout=30)
        try:
            imap.login(self.address, self.app_password)
            return "OK"
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as refused:
            code = re.search(r"\[[A-Z]+\]", str(refused))
            return code.group() if code else f"no response code: {refused}"
        finally:
            imap.shutdown()

    def says_why(self, words=""):
        """A node that does not take changes says so, and why."""
        status, text = self.ready()
        expect(status == 503 and len(text) > 20 and words in text.lower(), f"/readyz gives no reason: {status} {text}")
        done = self.command("status", "--json")
        if done.returncode:
            # On a dead disk the command can't read its configuration.
            expect("Input/output error" in done.stderr, f"status gives no reason: {done.stderr}")
            return
        health = json.loads(done.stdout)["health"]
        expect(not health["ready"] and health["reason"], f"status looks healthy: {health}")

    def log_in_without_lockout(self):
        """A store's failure is no wrong password: on no server, and not after it."""
        for _ in range(4):
            answer = self.imap_login()
            expect(answer in ("OK", "[UNAVAILABLE]", "[SERVERBUG]", "[OVERQUOTA]"), f"an IMAP login got {answer}")
            status, _, _ = self.request("POST", "/login", {"password": PASSWORD})
            expect(status in (303, 503, 507), f"the login got {status}")

    def fetched(self, item, imap=None):
        """UID to the answer and the literal of one item of all messages in the inbox."""
        imap = imap or self.imap(readonly=True)
        status, data = imap.uid("FETCH", "1:*", item)
        expect(status == "OK", f"FETCH: {data}")
        parts = [part for part in data if isinstance(part, tuple)]
        return {re.search(rb"UID (\d+)", part[0]).group(1).decode(): part for part in parts}

    def names(self, imap=None):
        """UID to Message-ID of the inbox."""
        found = self.fetched("(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])", imap)
        return {uid: re.search(rb"<[^>]*>", part[1]).group().decode() for uid, part in found.items()}

    def expunge_one(self):
        """Marks a message as deleted and expunges it. Not one of those whose flags the load changes."""
        imap = self.imap()
        try:
            uid, name = list(self.names(imap).items())[-1]
            status, data = imap.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
            expect(status == "OK", f"STORE: {data}")
            self.deleted.add(name)
            status, data = imap.expunge()
            expect(status == "OK", f"EXPUNGE: {data}")
        finally:
            with contextlib.suppress(*DISCONNECTED):
                imap.logout()

    def throw_away(self, cookie):
        """Moves a message to the trash in the browser."""
        uid, name = list(self.names().items())[-1]
        status, page, _ = self.request("GET", "/home/mail", cookie=cookie)
        folder = re.search(r"/home/mail/(\d+)", page)
        expect(status == 200 and folder, f"the inbox got {status}")
        self.deleted.add(name)
        status, _, _ = self.request("POST", f"/home/mail/{folder.group(1)}/{uid}/move", {"to": "trash"}, cookie)
        expect(status == 303, f"throwing a message away got {status}")

    def check(self):
        """Nothing acknowledged is lost, changed or doubled, and all data is whole."""
        imap = self.imap(readonly=True)
        found = self.fetched("(FLAGS BODY.PEEK[])", imap)
        imap.logout()
        texts = collections.defaultdict(list)
        for _, text in found.values():
            texts[re.search(rb"Message-ID: (<[^>]*>)", text).group(1).decode()].append(text.decode())
        lost = set(self.acknowledged) - self.deleted - set(texts)
        # A delete whose answer did not come may be made or not.
        doubled = [name for name, copies in texts.items() if len(copies) > 1]
        changed = [name for name, text in self.acknowledged.items() if name in texts and not texts[name][0].endswith(text)]
        expect(not lost and not doubled and not changed, f"lost {sorted(lost)[:5]}, doubled {doubled[:5]}, changed {changed[:5]}")
        flags = {rb"\Flagged" in part[0] for uid, part in found.items() if int(uid) <= FLAGGED}
        expect(self.flagged is None or flags == {self.flagged}, f"the flags are {flags}, acknowledged was {self.flagged}")
        done = self.command("check")
        expect(done.returncode == 0, f"check: {done.stdout[-500:]} {done.stderr[-500:]}")
        return len(found)


class Load:
    """Mail that comes in, and flags that change, all the time."""

    def __init__(self, node):
        self.node, self.codes, self.stores, self.stopping = node, collections.Counter(), collections.Counter(), False
        node.load = self
        self.threads = [threading.Thread(target=self.repeat, args=[work], daemon=True) for work in (self.receive, self.flag)]
        for thread in self.threads:
            thread.start()

    def repeat(self, work):
        while not self.stopping:
            try:
                work()
            except (Failure, *DISCONNECTED):
                time.sleep(0.05)

    def receive(self):
        self.codes[self.node.receive(random.choice((500, 3000, 90_000, 200_000)))] += 1

    def flag(self):
        imap = self.node.imap()
        while not self.stopping:
            for is_set, change in ((True, "+FLAGS"), (False, "-FLAGS")):
                self.node.flagged = None
                status, data = imap.uid("STORE", f"1:{FLAGGED}", change, r"(\Flagged)")
                if status == "OK":
                    self.node.flagged = is_set
                code = re.match(rb"\[\w+\]", data[0] or b"") if status != "OK" else None
                self.stores[status + (code.group().decode() if code else "")] += 1

    def end(self):
        """Ends the load. Returns the codes of SMTP's replies and the results of STORE, counted."""
        self.stopping = True
        for thread in self.threads:
            thread.join(60)
        # 421 is the answer of a node that starts.
        expect(set(self.codes) <= {250, 421, 451, 452}, f"SMTP answered {dict(self.codes)}")
        expect(set(self.stores) <= {"OK", "NO[UNAVAILABLE]", "NO[OVERQUOTA]", "NO[SERVERBUG]"}, f"STORE answered {dict(self.stores)}")
        return dict(self.codes), dict(self.stores)
