#!/usr/bin/env python3
"""Compares how node/mime and Python's email read the messages of a folder.

    cargo build -p freehold-mime --example read
    .ci/judge/mime.py target/debug/examples/read FOLDER

Prints each difference. Python is not always right (it does not decode damaged base64 and raw 8-bit headers, and ends a header
at a line that is no field), so a difference is to be looked at.
"""

import email
import email.header
import email.policy
import email.utils
import json
import pathlib
import subprocess
import sys


def leaves(message):
    for part in message.walk():
        if not part.is_multipart():
            yield part


def content(part):
    return part.get_payload(decode=True) or b""


def words(value):
    pieces = email.header.decode_header(value or "")
    text = "".join(
        piece if isinstance(piece, str) else piece.decode(charset if charset not in (None, "unknown-8bit") else "latin-1", "replace")
        for piece, charset in pieces
    )
    return " ".join(text.split())


def compare(ours, raw):
    theirs = email.message_from_bytes(raw, policy=email.policy.compat32)
    found = list(leaves(theirs))
    if len(found) != len(ours["leaves"]):
        yield f"parts: {len(ours['leaves'])}, Python {len(found)}"
        return
    for number, (our, their) in enumerate(zip(ours["leaves"], found)):
        if our["type"] != their.get_content_type():
            yield f"part {number}: type {our['type']}, Python {their.get_content_type()}"
        mine, other = bytes(our["bytes"]), content(their)
        if mine.strip() != other.strip():
            yield f"part {number}: {len(mine)} bytes, Python {len(other)}"
    try:
        subject = words(str(theirs["subject"] or ""))
        if " ".join(ours["subject"].split()) != subject:
            yield f"subject {ours['subject']!r}, Python {subject!r}"
    except (LookupError, UnicodeError, email.errors.HeaderParseError):
        pass
    for name in ("from", "to"):
        addresses = [address for _, address in email.utils.getaddresses([str(value) for value in theirs.get_all(name, [])]) if address]
        mine = [address for address in ours[name] if address]
        if mine != addresses:
            yield f"{name} {mine}, Python {addresses}"


program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".eml", ""))
different = 0
for path in paths:
    ours = json.loads(subprocess.run([program, path], check=True, capture_output=True).stdout)
    differences = list(compare(ours, path.read_bytes()))
    different += bool(differences)
    for difference in differences:
        print(f"{path.name}: {difference}")
print(f"{len(paths)} messages, {len(paths) - different} read alike")
