"""Faults of mail and logins, played from outside: python3 mail_faults.py DEMO.json FREEHOLD [SECONDS]

Against the first node of a demo, and against a node of its own with an international domain, whose next hop
is played here. For SECONDS (60) somebody guesses passwords once a second from the owner's address. One line for
each fault; the exit code is 1 if any is there.
"""
import base64
import http.client
import imaplib
import json
import os
import re
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

DEMO, FREEHOLD = json.load(open(sys.argv[1]))["people"][0], os.path.abspath(sys.argv[2])
SECONDS = int(sys.argv[3]) if len(sys.argv) > 3 else 60
faults = 0


def judge(name, is_good, detail=""):
    global faults
    faults += not is_good
    print(("ok    " if is_good else "FAULT ") + name + ("" if is_good else f": {detail}"), flush=True)


class Browser:
    """Keeps cookies, follows redirects."""

    def __init__(self, port):
        self.port, self.cookies = port, {}

    def send(self, method, path, form=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Host": f"localhost:{self.port}", "User-Agent": "Firefox/140.0 Linux", **dict(headers)}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if form is not None:
            body, sent["Content-Type"] = urllib.parse.urlencode(form), "application/x-www-form-urlencoded"
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        if answer.status == 303:
            return self.send("GET", answer.headers["Location"])
        return answer.status, text

    def login(self, password):
        status, text = self.send("POST", "/login", {"password": password})
        return status == 200 and "/logout" not in text and 'id="password"' not in text

    def app_password(self, label):
        _, text = self.send("POST", "/home/settings/apps", {"label": label})
        return re.search(r'id="new-password">([^<]+)<', text)[1]

    def revoke(self, label):
        _, text = self.send("GET", "/home/settings/apps")
        found = re.search(rf'{re.escape(label)}</b>.*?action="(/home/settings/apps/[0-9a-f]+/revoke)"', text)
        self.send("POST", found[1], {})


class Line:
    """A connection of lines."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rwb")

    def read(self):
        return self.file.readline().decode("latin-1").rstrip("\r\n")

    def send(self, line):
        self.file.write(line.encode() + b"\r\n")
        self.file.flush()

    def smtp(self, line):
        self.send(line)
        while True:
            reply = self.read()
            if reply[3:4] != "-":
                return reply

    def close(self):
        self.file.close()
        self.socket.close()


def submission(node, password):
    line = Line(node["ports"]["submission"])
    line.read()
    line.smtp("EHLO judge.test")
    plain = base64.b64encode(f"\0{node['login']}\0{password}".encode()).decode()
    return line, line.smtp(f"AUTH PLAIN {plain}")


def imap(node, password):
    session = imaplib.IMAP4("127.0.0.1", node["ports"]["imap"], timeout=20)
    session.login(node["login"], password)
    return session


def may(login):
    try:
        login().logout()
        return True
    except (imaplib.IMAP4.error, OSError):
        return False


def wait(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    return condition()


def mailbox(node, password, folder="INBOX"):
    """The messages of a folder as text."""
    session = imap(node, password)
    session.select(folder, readonly=True)
    _, numbers = session.search(None, "ALL")
    texts = [session.fetch(number, "(BODY.PEEK[])")[1][0][1].decode("utf-8", "replace") for number in numbers[0].split()]
    session.logout()
    return texts


# A minute of guesses from the owner's address: at the site, by IMAP, by submission, and a program with an old password.
def guess(node, old, stop, counts):
    number = 0
    while not stop.is_set():
        number += 1
        stranger = Browser(node["ports"]["web"])
        counts["web"] += stranger.login(f"a guess {number}")
        counts["imap"] += may(lambda: imap(node, f"guess{number}"))
        counts["old"] += may(lambda: imap(node, old))
        line, reply = submission(node, f"guess{number}")
        counts["smtp"] += reply.startswith("235")
        line.close()
        stop.wait(1)


def revocation(node, owner):
    password = owner.app_password("stolen")
    idle, plain = Line(node["ports"]["imap"]), Line(node["ports"]["imap"])
    for session in (idle, plain):
        session.read()
        session.send(f"a LOGIN {node['login']} {password}")
        session.read()
        session.send("b SELECT INBOX")
        while not session.read().startswith("b "):
            pass
    idle.send("c IDLE")
    idle.read()
    sender, _ = submission(node, password)
    sender.smtp(f"MAIL FROM:<{node['address']}>")
    sender.smtp(f"RCPT TO:<{node['address']}>")
    sender.smtp("DATA")
    sender.send("Subject: stolen")
    _, page = owner.send("GET", "/home/settings/sessions")
    judge("sessions of programs and browsers are listed", page.count("stolen") >= 3 and "Firefox" in page, page[:300])
    owner.revoke("stolen")
    judge("revocation ends a session in IDLE", idle.read().startswith("* BYE"))
    plain.send("d NOOP")
    judge("revocation ends a session before its next command", plain.read().startswith("* BYE"))
    try:
        reply = sender.smtp("\r\ntext\r\n.")
    except OSError:
        reply = "closed"
    judge("revocation queues no message", not reply.startswith("250"), reply)
    judge("a revoked password logs nobody in", not may(lambda: imap(node, password)))


def crowd(node, password):
    idle = []
    for _ in range(300):
        try:
            idle.append(socket.create_connection(("127.0.0.1", node["ports"]["imap"]), timeout=5))
        except OSError:
            break
    time.sleep(6)
    judge("the owner logs in beside 300 idle connections", wait(lambda: may(lambda: imap(node, password)), 10))
    for connection in idle:
        connection.close()


def requests(node, owner):
    port = node["ports"]["web"]
    for host in ("localhost:evil", "[::1]evil", "localhost:80:80"):
        status, _ = Browser(port).send("GET", "/", headers={"Host": host}.items())
        judge(f"Host {host} is refused", status == 400, status)
    connection = Line(port)
    connection.send("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n")
    judge("two Host fields are refused", " 400 " in connection.read())
    origin = {"Origin": f"https://localhost:{port}"}
    status, _ = owner.send("POST", "/home", {"text": ""}, origin.items())
    judge("a form from another scheme is refused", status == 403, status)
    limits = open(f"/proc/{node['pid']}/limits").read()
    judge("no core dump has the keys", re.search(r"Max core file size\s+0\s+0", limits) is not None, limits)


class NextHop(threading.Thread):
    """Plays a next hop: `replies` by the command's name, `.` for the text; counts the texts."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.replies, self.commands = {}, []

    def play(self, **replies):
        self.replies, self.commands = {name.replace("end", "."): reply for name, reply in replies.items()}, []

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            connection.sendall(b"220 hop.test\r\n")
            is_text = False
            for line in connection.makefile("rb"):
                line = line.decode("latin-1").rstrip("\r\n")
                if is_text and line != ".":
                    continue
                name = line.split(" ")[0]
                usual = {"EHLO": b"250-hop.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", "DATA": b"354 go on\r\n"}
                reply = self.replies.get(name, usual.get(name, b"250 ok\r\n"))
                is_text = name == "DATA" and reply.startswith(b"354")
                self.commands.append(line)
                connection.sendall(reply)
        except OSError:
            pass


class OwnNode:
    """A node with an international domain and a route to the next hop."""

    def __init__(self, folder, hop):
        self.data = os.path.join(folder, "node")
        listen = {f"FREEHOLD_LISTEN_{name}": "127.0.0.1:0" for name in ("WEB", "SMTP", "SUBMISSION", "SMTPS", "IMAP", "IMAPS", "LIBP2P")}
        routes = f'{{ "hop.test" = "127.0.0.1:{hop.port}" }}'
        self.env = {**os.environ, **listen, "FREEHOLD_NODE_STRANGERS_FREE_MIB": "0", "FREEHOLD_MAIL_ROUTES": routes, "FREEHOLD_MAIL_RETRY_FIRST_MS": "500"}
        self.init = self.run("init", "--name", "Ruth", "--login", "ruth", "--domain", "müller.example", "--password-file", "-", text="the kettle sings at four")

    def run(self, *arguments, text="", data=None):
        command = [FREEHOLD, "--data", data or self.data, *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, env=self.env, timeout=60)

    def start(self):
        self.process = subprocess.Popen([FREEHOLD, "--data", self.data], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait(lambda: self.run("status", "--json").returncode == 0)
        status = json.loads(self.run("status", "--json").stdout)
        self.password = self.run("app-password", "--bare", "judge").stdout.strip()
        return status

    def stop(self):
        self.process.terminate()
        self.process.wait()


def send(node, password, to, parameters="", sender=None, options="", text="Subject: hello\r\n\r\nhello"):
    line, reply = submission(node, password)
    for command in (f"MAIL FROM:<{sender or node['address']}>{options}", f"RCPT TO:<{to}>{parameters}", "DATA"):
        reply = line.smtp(command)
        if not reply.startswith(("250", "354")):
            return reply
    return line.smtp(f"{text}\r\n.")


def next_hops(own, node, hop):
    queued = lambda: json.loads(own.run("status", "--json").stdout)["queued"]
    reports = lambda: mailbox(node, own.password)

    def one(name, expected_reports, good=lambda texts: True, parameters="", options="", **replies):
        before = len(reports())
        hop.play(**replies)
        reply = send(node, own.password, "bob@hop.test", parameters, options=options)
        done = wait(lambda: queued() == 0)
        new = reports()[before:]
        texts = hop.commands.count(".")
        is_good = reply.startswith("250") and done and texts <= 1 and len(new) == expected_reports and all(map(good, new))
        judge(name, is_good, f"{reply}; queue empty {done}; {texts} texts; reports {new}; {hop.commands}")

    one("250 without text ends the message", 0, end=b"250\r\n")
    one("250 with bytes of GBK ends the message", 0, end=b"250 \xc4\xe3\xba\xc3\r\n")
    one("299 with a rare enhanced code ends the message", 0, end=b"299 2.999.999 x\r\n")
    one("replies without text are understood everywhere", 0, EHLO=b"250\r\n", MAIL=b"250\r\n", RCPT=b"250\r\n", DATA=b"354\r\n", end=b"250\r\n")
    one("550 in Latin-1 is reported at once", 1, lambda text: "boîte" in text, RCPT=b"550 bo\xeete inconnue\r\n")
    one("550 without text is reported at once", 1, end=b"550\r\n")
    one("a refused EHLO is followed by HELO", 0, EHLO=b"502 unknown\r\n")
    one("NOTIFY=NEVER gets no report", 0, parameters=" NOTIFY=NEVER", RCPT=b"550 5.1.1 no\r\n")
    one("NOTIFY=SUCCESS gets a report", 1, lambda text: "Action: relayed" in text and "Original-Recipient: rfc822; b+o@hop.test" in text and "Original-Envelope-Id: Q7" in text,
        parameters=" NOTIFY=SUCCESS ORCPT=rfc822;b+2Bo@hop.test", options=" ENVID=Q7")
    one("NOTIFY=SUCCESS gets no report of a failure", 0, parameters=" NOTIFY=SUCCESS", RCPT=b"550 5.1.1 no\r\n")
    one("RET=FULL returns the message", 1, lambda text: "message/rfc822" in text and text.count("hello") > 2, options=" RET=FULL", RCPT=b"550 5.1.1 no\r\n")
    one("a next hop with DSN gets NOTIFY and RET", 0, parameters=" NOTIFY=SUCCESS,FAILURE", options=" RET=FULL", EHLO=b"250-hop.test\r\n250 DSN\r\n")
    judge("NOTIFY and RET are passed on", any("NOTIFY=SUCCESS,FAILURE" in c for c in hop.commands) and any("RET=FULL" in c for c in hop.commands), hop.commands)
    before = len(reports())
    hop.play(RCPT=b"550 5.1.1 no\r\n")
    send(node, own.password, "дядя@hop.test", options=" SMTPUTF8")
    new = wait(lambda: reports()[before:])
    judge("the report about a UTF-8 address is of the type utf-8", any("Final-Recipient: utf-8; дядя@hop.test" in text for text in new), new)


def domains(own, node):
    judge("a domain of letters beyond ASCII is taken", own.init.returncode == 0, own.init.stderr)
    line = Line(node["ports"]["smtp"])
    line.read()
    line.smtp("EHLO judge.test")
    line.smtp("MAIL FROM:<a@b.example> SMTPUTF8")
    for address in ("ruth@müller.example", "ruth@xn--mller-kva.example", "RUTH@MÜLLER.EXAMPLE"):
        line.file.write(f"RCPT TO:<{address}>\r\n".encode())
        line.file.flush()
        judge(f"mail to {address} is the owner's", line.read().startswith("250"))
    line.smtp("RSET")
    for command in ("MAIL FROM:a@b.example", "MAIL FROM:<a.@docomo.example>", "MAIL FROM:<a..b@docomo.example>"):
        judge(f"{command} is taken", (reply := line.smtp(command)).startswith("250"), reply)
        judge("  and RCPT without brackets", (reply := line.smtp("RCPT TO:ruth@xn--mller-kva.example")).startswith("250"), reply)
        line.smtp("RSET")
    refused = own.run("init", "--name", "R", "--login", "r", "--domain", "1.2.3.4", "--password-file", "-", text="the kettle sings", data=own.data + "-2")
    judge("an address is no domain", refused.returncode == 65, refused.stderr)


def folders(own, folder):
    writable = os.path.join(folder, "writable")
    os.mkdir(writable)
    os.chmod(writable, 0o777)
    refused = own.run("status", data=writable), own.run("init", "--name", "R", "--login", "r", "--password-file", "-", text="the kettle sings", data=writable)
    judge("a data folder that others can write is refused", refused[1].returncode == 73 and "chmod" in refused[1].stderr, refused[1].stderr)
    linked, elsewhere = os.path.join(folder, "linked"), os.path.join(folder, "elsewhere")
    os.mkdir(linked, 0o700)
    os.symlink(elsewhere, os.path.join(linked, "lock"))
    own.run("init", "--name", "R", "--login", "r", "--password-file", "-", text="the kettle sings", data=linked)
    judge("a planted link makes no file elsewhere", not os.path.exists(elsewhere))


def letters(node, owner, password):
    sent = lambda: [text for text in mailbox(node, password, "Sent") if "judge-26" in text]
    text = f"From: {node['address']}\r\nMessage-ID: <judge-26@laptop>\r\nSubject: judge-26\r\n\r\nhello\r\n"
    smtp = smtplib.SMTP("127.0.0.1", node["ports"]["submission"], timeout=20)
    smtp.login(node["login"], password)
    smtp.sendmail(node["address"], [node["address"]], text)
    smtp.quit()
    session = imap(node, password)
    session.append("Sent", "(\\Seen)", None, text.encode())
    session.logout()
    judge("Sent has one copy", len(sent()) == 1, len(sent()))
    to = f'"Doe, Bob" <{node["address"]}>'
    status, page = owner.send("POST", "/home/mail/write", {"to": to, "subject": "judge-27", "text": "hello"})
    copies = [text for text in mailbox(node, password, "Sent") if "judge-27" in text]
    judge("a name with a comma is a recipient", status == 200 and len(copies) == 1 and '"Doe, Bob"' in copies[0], page[:300])
    status, _ = owner.send("POST", "/home/mail/write", {"to": node["address"], "subject": "", "text": ""})
    judge("an empty letter is asked about", status == 422, status)
    form = {"label": "judge-27", "key": "judge-27"}
    first, second = (owner.send("POST", "/home/settings/apps", form)[1] for _ in range(2))
    key = r'id="new-password">([^<]+)<'
    judge("a second press makes no second password", re.search(key, first)[1] == re.search(key, second)[1])


with tempfile.TemporaryDirectory() as folder:
    owner = Browser(DEMO["ports"]["web"])
    judge("the owner logs in", owner.login(DEMO["password"]))
    old = owner.app_password("old phone")
    owner.revoke("old phone")
    stop, counts = threading.Event(), {"web": 0, "imap": 0, "old": 0, "smtp": 0}
    guesses = threading.Thread(target=guess, args=(DEMO, old, stop, counts))
    guesses.start()
    end, tries, refused = time.monotonic() + SECONDS, 0, []

    def owner_comes_in():
        global tries
        tries += 1
        browser = Browser(DEMO["ports"]["web"])
        # The browser keeps what it has but the session.
        browser.cookies = {name: value for name, value in owner.cookies.items() if not name.startswith("fh_")}
        if not browser.login(DEMO["password"]):
            refused.append("browser")
        if not may(lambda: imap(DEMO, DEMO["app_password"])):
            refused.append("imap")
        line, reply = submission(DEMO, DEMO["app_password"])
        if not reply.startswith("235"):
            refused.append(reply)
        line.close()

    owner_comes_in()
    revocation(DEMO, owner)
    owner_comes_in()
    letters(DEMO, owner, DEMO["app_password"])
    requests(DEMO, owner)
    owner_comes_in()
    hop = NextHop()
    hop.start()
    own = OwnNode(folder, hop)
    own_node = own.start()
    try:
        domains(own, own_node)
        next_hops(own, own_node, hop)
        owner_comes_in()
    finally:
        own.stop()
    folders(own, folder)
    while time.monotonic() < end:
        owner_comes_in()
        time.sleep(3)
    stop.set()
    guesses.join()
    judge(f"the owner came in {tries} times amid {SECONDS} s of guesses", not refused and tries > 5, refused)
    judge("no guess came in", not any(counts.values()), counts)
    crowd(DEMO, DEMO["app_password"])

print(f"{faults} faults")
sys.exit(faults > 0)
