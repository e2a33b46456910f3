#!/usr/bin/env python3
"""Compares ENVELOPE and BODYSTRUCTURE of two IMAP servers over the messages of a folder.

    .ci/judge/structure.py FOLDER PORT:USER:PASSWORD PORT:USER:PASSWORD

Appends each message to INBOX of both (on 127.0.0.1) and prints each difference, the first server's side first. Case of types and
parameter names, and whether an absent parameter list is NIL or has the default charset, do not count.
"""

import imaplib
import pathlib
import re
import sys

imaplib._MAXLINE = 10_000_000
folder, servers = pathlib.Path(sys.argv[1]), sys.argv[2:4]


def connect(server):
    port, user, password = server.split(":")
    client = imaplib.IMAP4("127.0.0.1", int(port))
    client.login(user, password)
    # Without it, the envelope of a message whose header is not US-ASCII is encoded (RFC 6855).
    client.xatom("ENABLE", "UTF8=ACCEPT")
    client.select("INBOX")
    return client


def fetched(client, message):
    client.append("INBOX", None, None, message)
    client.noop()
    _, uids = client.uid("SEARCH", None, "ALL")
    _, data = client.uid("FETCH", uids[0].split()[-1], "(ENVELOPE BODYSTRUCTURE)")
    text = b""
    for piece in data:
        if isinstance(piece, tuple):
            # A literal is printed as a quoted string.
            text += re.sub(rb"\{\d+\}$", b"", piece[0]) + b'"' + piece[1].replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        elif b"ENVELOPE" in piece or text:
            text += piece
    return text


def split(text):
    envelope, structure = re.split(rb" ?BODYSTRUCTURE ", text, maxsplit=1)
    structure = structure.lower().replace(b'("charset" "us-ascii")', b"nil")
    # Dovecot ends BODYSTRUCTURE before the FETCH's parenthesis in the same way.
    return re.sub(rb"^.*ENVELOPE ", b"", envelope), structure


clients = [connect(server) for server in servers]
paths = sorted(path for path in folder.rglob("*.eml"))
alike = 0
for path in paths:
    message = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    answers = [split(fetched(client, message)) for client in clients]
    same = True
    for name, first, second in (("ENVELOPE", answers[0][0], answers[1][0]), ("BODYSTRUCTURE", answers[0][1], answers[1][1])):
        if first != second:
            same = False
            print(f"{path.name} {name}\n  {first.decode('latin-1')}\n  {second.decode('latin-1')}")
    alike += same
print(f"{len(paths)} messages, {alike} alike")
