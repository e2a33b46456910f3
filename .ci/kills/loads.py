"""The load on the nodes of `.ci/kill`. Each kind is a function that makes some changes and notes what was acknowledged."""
import hashlib
import random
import re
import smtplib
import struct
import threading
import time
import zlib

from node import DISCONNECTED

# What went wrong, also what the checks find afterwards.
failures = []


def message(sender, to, number):
    """A message with its own Message-ID and a body that depends on its number."""
    name = f"<{number}.{sender.replace('@', '.')}>"
    body = f"Message {number}.\r\n" * (1 + number % 400)
    return name, (f"From: {sender}\r\nTo: {to}\r\nSubject: Message {number}\r\nMessage-ID: {name}\r\n"
                  f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n{body}")


def picture(rng):
    """A PNG of random pixels."""
    wide, high = 40, 30
    rows = b"".join(b"\0" + rng.randbytes(3 * wide) for _ in range(high))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def receive_mail(node, rng, numbers):
    sender = f"stranger{rng.randrange(1000)}@far.example"
    with smtplib.SMTP("127.0.0.1", node.ports["smtp"], local_hostname="far.example", timeout=20) as smtp:
        for _ in range(rng.randint(1, 10)):
            name, text = message(sender, node.address, next(numbers))
            with node.lock:
                node.sent_mail.add(name)
            smtp.sendmail(sender, [node.address], text)
            with node.lock:
                node.mail.add(name)


def submit_mail(node, friend, rng, numbers):
    with smtplib.SMTP_SSL("localhost", node.ports["smtps"], context=node.trust(), timeout=20) as smtp:
        smtp.login(node.address, node.app_password)
        for _ in range(rng.randint(1, 5)):
            name, text = message(node.address, friend.address, next(numbers))
            with friend.lock:
                friend.sent_mail.add(name)
            smtp.sendmail(node.address, [friend.address], text)
            with friend.lock:
                friend.mail.add(name)


def publish(node, rng, numbers):
    title = f"Entry {next(numbers)}"
    made = node.ask(ask="post", title=title, text="Written down while it thundered. " * rng.randint(1, 60), photos=[], draft=False)
    with node.lock:
        node.posts[title] = made["path"]


def store_photo(node, rng, numbers):
    cookie = getattr(node, "cookie", None) or node.log_in()
    # An acknowledged session must survive a kill too.
    node.cookie = cookie
    data, mark = picture(rng), f"edge{rng.randrange(10**9)}"
    parts = [('name="alt"', f"dots {next(numbers)}".encode()), ('name="file"; filename="dots.png"\r\nContent-Type: image/png', data)]
    body = b"".join(f"--{mark}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n" for head, value in parts)
    status, headers = node.post_form("/home/photos/add", body + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}", cookie)
    if status != 303 or not headers["Location"].startswith("/home/photos/"):
        if status == 303:
            with node.lock:
                failures.append(f"{node.login}: an acknowledged session is lost")
            node.cookie = None
        raise ConnectionError(f"the photo got status {status}")
    with node.lock:
        node.photos[headers["Location"]] = hashlib.sha256(data).hexdigest()


def uid_names(imap):
    """The messages of the selected folder: UID to Message-ID and flags."""
    status, data = imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    if status != "OK":
        raise ConnectionError("FETCH was refused")
    found = {}
    for part in data:
        if isinstance(part, tuple):
            uid = re.search(rb"UID (\d+)", part[0]).group(1).decode()
            flags = re.search(rb"FLAGS \(([^)]*)\)", part[0]).group(1).decode().split()
            found[uid] = (re.search(rb"<[^>]*>", part[1]).group().decode(), set(flags))
    return found


def change_mail(node, rng, _):
    """Sets and clears a flag on some messages, and sometimes expunges one."""
    imap = node.imap()
    try:
        status, data = imap.uid("SEARCH", None, "ALL")
        uids = data[0].decode().split()
        for uid in rng.sample(uids, min(len(uids), 4)):
            _, data = imap.uid("FETCH", uid, "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
            head = next((part[1] for part in data if isinstance(part, tuple)), None)
            if head is None:
                continue
            name = re.search(rb"<[^>]*>", head).group().decode()
            if rng.random() < 0.1:
                with node.lock:
                    node.pending_expunges.add(name)
                imap.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
                status, _ = imap.uid("EXPUNGE", uid)
                if status == "OK":
                    with node.lock:
                        node.expunged.add(name)
                continue
            want = rng.random() < 0.5
            with node.lock:
                node.pending_flags.add(name)
            status, _ = imap.uid("STORE", uid, "+FLAGS" if want else "-FLAGS", r"(\Flagged)")
            if status == "OK":
                with node.lock:
                    node.flags[name] = want
                    node.pending_flags.discard(name)
    finally:
        try:
            imap.logout()
        except DISCONNECTED:
            pass


class Numbers:
    def __init__(self):
        self.lock, self.last = threading.Lock(), 0

    def __next__(self):
        with self.lock:
            self.last += 1
            return self.last


def worker(stop, seed, load, tally):
    """Repeats one kind of load. A disconnect is expected."""
    rng = random.Random(seed)
    while not stop.is_set():
        try:
            load(rng)
            tally["done"] += 1
        except DISCONNECTED:
            tally["disconnected"] += 1
            time.sleep(0.02)
        except Exception as error:
            failures.append(f"an unexpected response: {error!r}")
            time.sleep(0.2)
        time.sleep(0.05)
