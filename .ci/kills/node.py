"""A node for `.ci/kill`, and its acknowledged changes."""
import http.client
import imaplib
import json
import random
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

import control

PASSWORD = "killing nodes again and again"
PORTS = ("web", "smtp", "submission", "smtps", "imap", "imaps", "libp2p")
READY_SECONDS = 60
# The errors of a client whose node is killed.
DISCONNECTED = (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.abort, http.client.HTTPException, json.JSONDecodeError)


def held_port():
    """A listener on a free port below the ephemeral range: the port must still be free when a killed node starts again."""
    while True:
        try:
            return socket.create_server(("127.0.0.1", random.randrange(10_000, 32_000)))
        except OSError:
            continue


class Node:
    """A node and its acknowledged changes."""

    def __init__(self, freehold, base, login):
        self.freehold, self.login, self.data, self.process = freehold, login, base / login, None
        self.address = f"{login}@{login}.localhost"
        held = [held_port() for _ in PORTS]
        self.ports = {name: s.getsockname()[1] for name, s in zip(PORTS, held)}
        for s in held:
            s.close()
        self.lock = threading.Lock()
        self.mail, self.sent_mail = set(), set()
        self.posts, self.photos = {}, {}
        self.flags, self.expunged = {}, set()
        # Sent and not acknowledged: a pending flag excuses a flag, and only a pending expunge excuses a missing message.
        self.pending_flags, self.pending_expunges = set(), set()
        self.starts = []

    def init(self, friend):
        self.data.mkdir()
        lines = ["[node]", 'log = "warn"', "strangers_free_mib = 0", "[listen]"] + [f'{name} = "127.0.0.1:{port}"' for name, port in self.ports.items()]
        lines += ["[mail]", "retry_first_ms = 100", "[mail.routes]", f'"{friend.login}.localhost" = "127.0.0.1:{friend.ports["smtp"]}"']
        (self.data / "freehold.toml").write_text("\n".join(lines) + "\n")
        subprocess.run([self.freehold, "--data", self.data, "init", "--name", self.login.title(), "--login", self.login, "--password-file", "-"],
                       input=PASSWORD.encode(), check=True, stdout=subprocess.DEVNULL)

    def spawn(self):
        with open(self.data.parent / f"{self.login}.log", "ab") as log:
            self.process = subprocess.Popen([self.freehold, "--data", self.data, "serve"], stdout=subprocess.DEVNULL, stderr=log)

    def wait_ready(self):
        begun = time.monotonic()
        while True:
            try:
                if self.get("/readyz")[0] == 200:
                    self.starts.append(time.monotonic() - begun)
                    return
            except DISCONNECTED:
                pass
            if self.process.poll() is not None or time.monotonic() - begun > READY_SECONDS:
                sys.exit(f"FAIL {self.login} did not start again (exit {self.process.poll()}); its folder and log are in {self.data.parent}")
            time.sleep(0.005)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def get(self, path, cookie=""):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["web"], timeout=20)
        try:
            connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def ask(self, patience=0, **request):
        """Sends a request through the control socket."""
        return control.ask(self.data, request, patience)

    def make_app_password(self):
        """Makes the password for mail."""
        self.app_password = self.ask(READY_SECONDS, ask="app-password", label="kill")["app_password"]

    def post_form(self, path, body, content_type, cookie=""):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["web"], timeout=20)
        try:
            connection.request("POST", path, body, {"Content-Type": content_type, "Cookie": cookie})
            response = connection.getresponse()
            response.read()
            return response.status, response.headers
        finally:
            connection.close()

    def log_in(self):
        form = urllib.parse.urlencode({"password": PASSWORD})
        status, headers = self.post_form("/login", form, "application/x-www-form-urlencoded")
        if status != 303:
            raise ConnectionError(f"the login got status {status}")
        return headers["Set-Cookie"].split(";")[0]

    def trust(self):
        return ssl.create_default_context(cafile=str(self.data / "tls/cert.pem"))

    def imap(self):
        imap = imaplib.IMAP4_SSL("localhost", self.ports["imaps"], ssl_context=self.trust(), timeout=30)
        imap.login(self.address, self.app_password)
        imap.select("INBOX")
        return imap
