"""Faults of logins: guesses beside the owner, revocation, crowds of idle strangers."""
import re
import socket
import threading
import time

from faults.browser import Browser
from faults.mail import Line, may_log_in, submission
from faults.process import within
from faults.report import check

# Logins of the owner while somebody guesses.
LOGINS_MIN = 8


class Guesses:
    """Once a second, somebody at the owner's address guesses a password: at the site, by IMAP and by submission. A mail program with a
    revoked password tries too. Meanwhile the owner must get in."""

    def __init__(self, node, owner):
        self.node, self.owner = node, owner
        self.stopping, self.successes, self.refused, self.logins = threading.Event(), [], [], 0
        self.begun = time.monotonic()
        self.revoked = owner.app_password("old phone")
        owner.revoke("old phone")
        self.thread = threading.Thread(target=self.guess, daemon=True)
        self.thread.start()

    def guess(self):
        number = 0
        while not self.stopping.wait(1):
            number += 1
            password = f"a-guess-{number}"
            line, reply = submission(self.node, password)
            line.close()
            got_in = {"site": Browser(self.node["ports"]["web"]).log_in(password), "IMAP": may_log_in(self.node, password),
                      "old phone": may_log_in(self.node, self.revoked), "submission": reply.startswith("235")}
            self.successes += [name for name, is_in in got_in.items() if is_in]

    def owner_logs_in(self):
        """The owner logs in everywhere, in the browser that logged in before."""
        self.logins += 1
        browser = Browser(self.node["ports"]["web"])
        # What the browser has kept, without the session.
        browser.cookies = {name: value for name, value in self.owner.cookies.items() if not name.startswith("fh_")}
        if not browser.log_in(self.node["password"]):
            self.refused.append("browser")
        if not may_log_in(self.node, self.node["app_password"]):
            self.refused.append("imap")
        line, reply = submission(self.node, self.node["app_password"])
        line.close()
        if not reply.startswith("235"):
            self.refused.append(reply)

    def end(self, seconds):
        """Ends the guesses when they have lasted so long, and the owner has logged in often enough beside them: on a busy machine the
        other checks may take all the time."""
        while time.monotonic() < self.begun + seconds or self.logins < LOGINS_MIN:
            self.owner_logs_in()
            time.sleep(3)
        self.stopping.set()
        self.thread.join()
        check(f"the owner logged in {self.logins} times amid {seconds} s of guesses", not self.refused, self.refused)
        check("no guess logged in", not self.successes, self.successes)


def revocation(node, owner):
    password = owner.app_password("stolen")
    idle, plain = Line(node["ports"]["imap"]), Line(node["ports"]["imap"])
    for session in (idle, plain):
        session.read()
        session.imap(f"LOGIN {node['login']} {password}")
        session.imap("SELECT INBOX")
    idle.send("c IDLE")
    idle.read()
    sender, _ = submission(node, password)
    sender.smtp(f"MAIL FROM:<{node['address']}>")
    sender.smtp(f"RCPT TO:<{node['address']}>")
    sender.smtp("DATA")
    sender.send("Subject: stolen")
    page = owner.get("/home/settings/sessions").text
    check("sessions of programs and browsers are listed", page.count("stolen") >= 3 and "Firefox" in page, page[:300])
    owner.revoke("stolen")
    check("revocation ends a session in IDLE", idle.read().startswith("* BYE"))
    plain.send("d NOOP")
    check("revocation ends a session before its next command", plain.read().startswith("* BYE"))
    try:
        reply = sender.smtp("\r\ntext\r\n.")
    except OSError:
        reply = "closed"
    check("revocation queues no message", not reply.startswith("250"), reply)
    check("a revoked password logs nobody in", not may_log_in(node, password))


def second_press(owner):
    form = {"label": "pressed twice", "key": f"judge-{time.time_ns()}"}
    first, second = (owner.submit("/home/settings/apps", form).text for _ in range(2))
    key = r'id="new-password">([^<]+)<'
    check("a second press makes no second password", re.search(key, first)[1] == re.search(key, second)[1])


def crowd(node, password):
    idle = []
    for _ in range(300):
        try:
            idle.append(socket.create_connection(("127.0.0.1", node["ports"]["imap"]), timeout=5))
        except OSError:
            break
    time.sleep(6)
    check("the owner logs in beside 300 idle connections", within(10, lambda: may_log_in(node, password)), len(idle))
    for connection in idle:
        connection.close()
