"""Sessions of mail with one person's node: SMTP and IMAP line by line, and Python's imaplib."""
import base64
import imaplib
import socket


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
        """Sends a command. Returns the last line of the reply."""
        self.send(line)
        while True:
            reply = self.read()
            if reply[3:4] != "-":
                return reply

    def imap(self, command):
        """Sends a command. Returns all lines of the answer; the last one is the tagged reply, without its tag."""
        self.send(f"t {command}")
        lines = []
        while not lines or not lines[-1].startswith("t "):
            lines.append(self.read())
            if not lines[-1] and not self.file.peek(1):
                raise ConnectionError(f"{command}: the server closed the connection after {lines}")
        return [*lines[:-1], lines[-1][2:]]

    def close(self):
        self.file.close()
        self.socket.close()


def submission(node, password):
    """A session that tried to log in, and the reply."""
    line = Line(node["ports"]["submission"])
    line.read()
    line.smtp("EHLO judge.test")
    plain = base64.b64encode(f"\0{node['login']}\0{password}".encode()).decode()
    return line, line.smtp(f"AUTH PLAIN {plain}")


def imap(node, password):
    session = imaplib.IMAP4("127.0.0.1", node["ports"]["imap"], timeout=20)
    session.login(node["login"], password)
    return session


def may_log_in(node, password):
    try:
        imap(node, password).logout()
        return True
    except (imaplib.IMAP4.error, OSError):
        return False


def mailbox(node, password, folder="INBOX"):
    """The messages of a folder as text."""
    session = imap(node, password)
    session.select(folder, readonly=True)
    _, numbers = session.search(None, "ALL")
    texts = [session.fetch(number, "(BODY.PEEK[])")[1][0][1].decode("utf-8", "replace") for number in numbers[0].split()]
    session.logout()
    return texts
