"""Messages for the comparison of IMAP servers: the headers of real mail, about 2 KB each, the same for the same number."""
import random

FIRST_NAMES = "Ada Björn Carla Dmitri Elena Fatima Georg Hana Ivo Jonas Karin Luis Mia Noor Olga Pavel Ruth Samir Tove Wim".split()
LAST_NAMES = ("Abel Bergman Castro Dahl Eriksen Fischer Garcia Holm Ito Jansen Keller Lindqvist Moreau Novak Okafor Petrov Rossi Suzuki "
              "Tran Weber").split()
WORDS = ("meeting harbour invoice winter garden ticket report music kitchen letter window bridge travel paper school market summer coffee "
         "station evening library photo weekend bicycle recipe doctor island concert").split()
DOMAINS = ["example.org", "example.net", "mail.example.com", "post.example"]
BODY_LEN = 1010


def encoded(text):
    """An encoded word (RFC 2047) if the text is not ASCII."""
    if text.isascii():
        return text
    return "=?utf-8?Q?" + "".join(c if c.isascii() and c.isalnum() else "".join(f"={b:02X}" for b in c.encode()) for c in text) + "?="


def person(chance):
    first, last, domain = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES), chance.choice(DOMAINS)
    address = f"{last.lower()}{chance.randrange(50)}@{domain}"
    return f"{encoded(first)} {last} <{address}>"


def sentences(chance, length):
    lines = []
    while length > 0:
        line = " ".join(chance.choice(WORDS) for _ in range(10)).capitalize() + "."
        lines.append(line)
        length -= len(line) + 2
    return "\r\n".join(lines) + "\r\n"


def received(chance, number):
    names = [f"mx{chance.randrange(9)}.{chance.choice(DOMAINS)}" for _ in range(2)]
    ip = ".".join(str(chance.randrange(1, 255)) for _ in range(4))
    return (f"Received: from {names[0]} ({names[0]} [{ip}])\r\n"
            f"\tby {names[1]} with ESMTPS id {number:08x}{chance.randrange(1 << 24):06x}\r\n"
            f"\tfor <list@list.localhost>; {date(number)}\r\n")


def date(number):
    weekday = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")[number // 1440 % 7]
    return f"{weekday}, {1 + number // 1440 % 28:02} Nov 2026 {number // 60 % 24:02}:{number % 60:02}:00 +0000"


def content(chance, number):
    """The last header fields and the body. One of five messages has an HTML alternative."""
    if number % 5:
        return f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{sentences(chance, BODY_LEN)}"
    text, boundary = sentences(chance, BODY_LEN // 3), f"part-{number}-{chance.randrange(1 << 32):x}"
    html = "<p>" + text.replace("\r\n", "<br>\r\n") + "</p>\r\n"
    return (f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
            f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
            f"--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{html}\r\n"
            f"--{boundary}--\r\n")


def listed(number):
    """A message of the folder that is listed, fetched and searched."""
    chance = random.Random(number)
    subject = " ".join(chance.choice(WORDS) for _ in range(4)) + (" für später" if number % 11 == 0 else "")
    copies = "".join(f"Cc: {person(chance)},\r\n {person(chance)}\r\n" for _ in range(number % 3 == 0))
    thread = [f"<{max(number - back, 0)}.{back}@example.org>" for back in range(1, 1 + number % 4)]
    references = f"In-Reply-To: {thread[0]}\r\nReferences: " + "\r\n ".join(thread) + "\r\n" if thread else ""
    return ("".join(received(chance, number) for _ in range(3)) +
            f"From: {person(chance)}\r\nTo: The list <list@list.localhost>\r\n{copies}"
            f"Subject: {'Re: ' if thread else ''}{encoded(subject)}\r\nDate: {date(number)}\r\n"
            f"Message-ID: <{number}.0@example.org>\r\n{references}User-Agent: Example Mail 4.2\r\n"
            f"MIME-Version: 1.0\r\n{content(chance, number)}").encode()


def short(number):
    """A message of the large folder of Dovecot, like the ones that node/bench/node.py delivers by SMTP to a node."""
    body = "It rained, and then it did not.\r\n" * 40
    return (f"Return-Path: <sender@bench.example>\r\nReceived: from bench.example ([127.0.0.1])\r\n"
            f"\tby full.localhost with ESMTP id {number};\r\n\tSun, 22 Nov 2026 10:00:00 +0000\r\n"
            f"From: sender@bench.example\r\nTo: full@full.localhost\r\nSubject: Message {number}\r\n"
            f"Message-ID: <{number}@bench.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n{body}").encode()
