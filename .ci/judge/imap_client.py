"""An IMAP session that costs little: it collects bytes and looks for the tagged reply; responses are counted afterwards."""
import multiprocessing
import re
import socket
import time

RECEIVED_LEN_MAX = 1 << 18
# A tagged reply is shorter than this.
TAIL_LEN = 4096


class CommandFailed(Exception):
    """A command that was not answered with OK."""


class Answer:
    """The bytes of an answer, and the seconds from sending the command to its tagged reply."""

    def __init__(self, seconds, data):
        self.seconds, self.data = seconds, data

    def count(self, word):
        """The number of untagged responses `* NUMBER WORD`."""
        return len(re.findall(rb"(?m)^\* \d+ " + word, self.data))

    def hits(self):
        """The numbers of a SEARCH response."""
        found = re.search(rb"(?m)^\* SEARCH([ \d]*)", self.data)
        return [int(number) for number in found[1].split()] if found else []

    def response(self, word):
        """The rest of the untagged response `* WORD`."""
        found = re.search(rb"(?m)^\* " + word + rb"\b ?(.*?)\r?$", self.data)
        return found[1].strip() if found else None

    def exists(self):
        """The number of messages that SELECT reports."""
        return int(re.search(rb"(?m)^\* (\d+) EXISTS", self.data)[1])

    def first_unseen(self):
        """The number of the first unseen message that SELECT reports."""
        found = re.search(rb"\[UNSEEN (\d+)\]", self.data)
        return int(found[1]) if found else None


class Session:
    """A session that is logged in."""

    def __init__(self, port, user, password):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = 0
        self.socket.recv(RECEIVED_LEN_MAX)
        self.command(f"LOGIN {user} {password}")

    def command(self, text):
        """Sends a command and reads up to its tagged reply."""
        return self.send(text.split(" ")[0], text.encode())

    def append(self, folder, message, flags=""):
        """APPEND with a literal for which the client does not wait (RFC 7888)."""
        return self.send("APPEND", b"APPEND %s (%s) {%d+}\r\n%s" % (folder.encode(), flags.encode(), len(message), message))

    def send(self, name, data):
        self.number += 1
        tag = b"t%d " % self.number
        chunks, tail = [], b"\r\n"
        begun = time.perf_counter()
        self.socket.sendall(tag + data + b"\r\n")
        while not ends_with_reply(tail, tag):
            chunk = self.socket.recv(RECEIVED_LEN_MAX)
            if not chunk:
                raise CommandFailed(f"{name}: the server closed the connection")
            chunks.append(chunk)
            tail = (tail + chunk[-TAIL_LEN:])[-TAIL_LEN:]
        seconds = time.perf_counter() - begun
        reply = tail[tail.rindex(b"\r\n" + tag) + 2:]
        if not reply.startswith(tag + b"OK"):
            raise CommandFailed(f"{name}: {reply.decode(errors='replace').strip()}")
        return Answer(seconds, b"".join(chunks))

    def close(self):
        self.socket.close()


def ends_with_reply(tail, tag):
    """True if the last whole line is the tagged reply."""
    return tail.endswith(b"\r\n") and tail.rfind(b"\r\n" + tag) >= 0 and tail.rfind(b"\r\n", 0, -2) == tail.rfind(b"\r\n" + tag)


def send_noops(port, user, password, near, pipe):
    """Sends NOOP every half millisecond until the pipe says so; then sends the slowest answer's seconds into the pipe."""
    # The other end, inherited. Without this, the end of the parent is not noticed.
    near.close()
    session = Session(port, user, password)
    session.command("SELECT INBOX")
    session.command("NOOP")
    pipe.send("ready")
    pipe.recv()
    slowest = 0
    while not pipe.poll():
        slowest = max(slowest, session.command("NOOP").seconds)
        time.sleep(0.0005)
    pipe.send(slowest)


def slowest_noop(port, user, password, work):
    """The seconds of the slowest NOOP of another session while `work` runs. The session has a process of its own, so that Python's lock
    does not count."""
    near, far = multiprocessing.Pipe()
    process = multiprocessing.Process(target=send_noops, args=(port, user, password, near, far), daemon=True)
    process.start()
    far.close()
    try:
        near.recv()
        near.send("begin")
        work()
        near.send("end")
        return near.recv()
    except EOFError:
        raise CommandFailed("NOOP: the session ended") from None
    finally:
        near.close()
        process.join()
