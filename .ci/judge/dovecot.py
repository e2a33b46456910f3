"""Debian's Dovecot as an instance of its own: own folder, own port on loopback, one password for all users, no TLS.

Mail is stored as Maildir: it is the format that Debian's and most providers' guides set up, each message is a file, and a folder can be
filled by writing files. All other settings that matter for speed (fsync, caches, index files) are Dovecot's defaults.
"""
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

PASSWORD = "measuring"
POLICY = Path("/usr/sbin/policy-rc.d")
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = freehold-speed
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
mail_max_userip_connections = 100
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/home/%n
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


def install(log):
    """Installs Dovecot from Debian if it is missing. No installed package may start a service."""
    if shutil.which("dovecot", path="/usr/sbin:" + os.environ["PATH"]):
        return
    if not POLICY.exists():
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with open(log, "wb") as output:
        for command in (["apt-get", "update", "-qq"],
                        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "dovecot-imapd"]):
            if subprocess.run(command, env=environment, stdout=output, stderr=output, check=False).returncode != 0:
                sys.exit(f"{' '.join(command)} failed, see {log}")


class Dovecot:
    """An instance in its own folder. It runs in the foreground as a child and is stopped by its pid."""

    def __init__(self, folder, port):
        self.folder, self.port, self.process = Path(folder).resolve(), port, None
        for name in ("run", "state", "home"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self.folder / "home", "nobody", "nogroup")
        self.config = self.folder / "dovecot.conf"
        self.config.write_text(CONFIG.format(folder=self.folder, port=port, password=PASSWORD))

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", self.config])
        end = time.monotonic() + 20
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"Dovecot did not start, see {self.folder}/dovecot.log")
            time.sleep(0.01)

    def is_ready(self):
        """True if a greeting comes."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(100).startswith(b"* OK")
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def fill(self, user, messages):
        """Writes messages into the INBOX of a user as files: the first is unseen, the others are seen."""
        maildir = self.folder / "home" / user / "Maildir"
        for name in ("cur", "new", "tmp"):
            (maildir / name).mkdir(parents=True, exist_ok=True)
        for number, message in enumerate(messages):
            # Dovecot stores lines that end with LF. W is the size with CR LF, which it writes into the names of its own files too.
            stored = message.replace(b"\r\n", b"\n")
            flags = "" if number == 0 else "S"
            name = f"{1_700_000_000 + number}.M{number}P1.bench,S={len(stored)},W={len(message)}:2,{flags}"
            (maildir / "cur" / name).write_bytes(stored)
        subprocess.run(["chown", "-R", "nobody:nogroup", maildir.parent], check=True)
