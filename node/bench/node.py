"""A node in its own folder, for the programs that measure one from outside."""
import contextlib
import os
import random
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import control

PORTS = ("web", "smtp", "submission", "smtps", "imap", "imaps", "libp2p")
TICKS = os.sysconf("SC_CLK_TCK")
PASSWORD = "measuring a node"
# A node gives back what only its start needed ten seconds after it.
GIVEN_BACK_SECONDS = 12


def free_port(given=set()):
    """A free port below the ephemeral range that was not returned before."""
    while True:
        port = random.randrange(10_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        if port not in given:
            given.add(port)
            return port


class Node:
    """A node in its own folder. An existing folder is kept, with new ports. `mail` are lines of its configuration."""

    def __init__(self, freehold, folder, login, mail=()):
        self.freehold, self.data, self.login, self.process = freehold, Path(folder), login, None
        self.data.mkdir(parents=True, exist_ok=True)
        self.ports = {name: free_port() for name in PORTS}
        config = self.data / "freehold.toml"
        exists = config.exists()
        # A load comes from one network, in one day.
        shares = ["strangers_mib_per_network_day = 1000000", "strangers_mib_per_day = 1000000"]
        lines = ["[node]", 'log = "warn"', "[mail]", *shares, *mail, "[listen]"] + [f'{name} = "127.0.0.1:{port}"' for name, port in self.ports.items()]
        config.write_text("\n".join(lines) + "\n")
        if not exists:
            subprocess.run([freehold, "--data", self.data, "init", "--name", login.title(), "--login", login, "--password-file", "-"],
                           input=PASSWORD.encode(), check=True, stdout=subprocess.DEVNULL)

    def start(self):
        """Starts the node. Returns the seconds until /readyz answers 200."""
        begun = time.monotonic()
        self.process = subprocess.Popen([self.freehold, "--data", self.data, "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                if b" 200 " in self.get("/readyz").split(b"\r\n")[0]:
                    return time.monotonic() - begun
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"the node in {self.data} ended with {self.process.returncode}")
                time.sleep(0.002)

    def get(self, path, host="127.0.0.1"):
        with socket.create_connection(("127.0.0.1", self.ports["web"]), timeout=10) as s:
            s.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}:{self.ports['web']}\r\n\r\n".encode())
            response = b""
            while chunk := s.recv(65536):
                response += chunk
            return response

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()

    def ask(self, **request):
        """Sends a request through the control socket."""
        try:
            return control.ask(self.data, request)
        except OSError as error:
            sys.exit(f"{request['ask']}: {error}")

    def memory(self, field):
        """A field of smaps_rollup, in MiB."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu(self):
        """Processor time used so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak(self):
        """The peak resident memory, in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0.0


@contextlib.contextmanager
def running(node):
    """The node while it runs."""
    node.start()
    try:
        yield node
    finally:
        node.stop()


def report(name, value):
    """Prints a figure."""
    print(f"{name:72} {value}", flush=True)


def wait_until_given_back(node):
    """Waits until the node has given back the memory that only its start needed."""
    time.sleep(GIVEN_BACK_SECONDS)
    wait_until_idle(node)


def wait_until_idle(node):
    """Waits until the node was idle for a second."""
    while True:
        before = node.cpu()
        time.sleep(1)
        if node.cpu() - before < 0.02:
            return


def deliver(node, count, sessions=32):
    """Delivers `count` messages by SMTP over `sessions` connections."""
    address = f"{node.login}@{node.login}.localhost"
    body = "It rained, and then it did not.\r\n" * 40

    def session(numbers):
        with smtplib.SMTP("127.0.0.1", node.ports["smtp"], local_hostname="bench.example") as smtp:
            for number in numbers:
                smtp.sendmail("sender@bench.example", [address],
                              f"From: sender@bench.example\r\nTo: {address}\r\nSubject: Message {number}\r\n"
                              f"Message-ID: <{number}@bench.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n{body}")

    threads = [threading.Thread(target=session, args=(range(i, count, sessions),)) for i in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
