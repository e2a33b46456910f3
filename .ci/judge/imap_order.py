#!/usr/bin/env python3
"""Compares the answers to SORT and THREAD (RFC 5256) with those of Dovecot.

    imap_order.py [--count N] [--seeds N] FREEHOLD

Run it as root on Debian: it runs an instance of Dovecot of its own (dovecot.py). Each seed makes a folder of messages with subjects,
dates, people and references as programs write them, doubled, missing and damaged ones among them. Every answer must be the same on both
sides, but for what a comment here explains. The exit code is 1 if an answer differed.
"""
import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

import dovecot
from imap_client import CommandFailed
from speed_sides import Ours, Theirs, each_session, session

# The letter U+01C4 is not among them: Dovecot does not decompose it, RFC 5051 and UnicodeData.txt do.
SUBJECTS = ["the plan", "The  Plan", "lunch", "Äpfel", "äpfel", "zebra", "Banana", "[x]", "a (b) c", "10", "9", "", "[fwd: the plan]",
            "[Fwd: Re: lunch]", "Straße", "STRASSE", "ﬁsh", "fish", "ΣΊΣΥΦΟΣ", "σίσυφος", "ｗｉｄｅ", "wide", "x\ty", "x" * 700]
MARKS = ["", "", "", "Re: ", "RE: ", "Re: Fwd: ", "[list] ", "[list] Re: ", "Re[2]: ", "fw : ", "Re: [list] Re: ", "AW: "]
ENDS = ["", "", "", "", " (fwd)", " (FWD) (fwd)", "  "]
PEOPLE = ["anna@x.example", "Bob <bob@x.example>", "\"Zoe, A.\" <zoe@x.example>", "=?utf-8?q?J=C3=BCrgen?= <j@x.example>",
          "BOB <Bob@y.example>", "mike@x.example", "=?utf-8?q?=C3=84rne?= <zack@x.example>", "adam@x.example (Adam)",
          "friends: carl@x.example, dora@x.example;", "undisclosed-recipients:;", "\"\" <empty@x.example>", "plain"]
ZONES = ["+0000", "+0100", "-0800", "GMT", "EST", "nowhere", ""]
# A date without a time is not among them: Dovecot takes the internal date, RFC 5256 2.2 says midnight.
BAD_DATES = ["nonsense", "31 Feb 2026 10:00:00 +0000", "1 Nov 26 10:00:00 +0000", ""]
SORTS = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO", "REVERSE SUBJECT", "REVERSE DATE",
         "SUBJECT DATE", "REVERSE FROM SUBJECT REVERSE SIZE", "TO REVERSE CC DATE"]
SEARCHES = ["ALL", "SUBJECT plan", "1:40,90:*", "NOT FROM bob"]


def encoded(text):
    return text if text.isascii() else "=?utf-8?Q?" + "".join(f"={b:02X}" for b in text.encode()) + "?="


def message(chance, number, count):
    """One message: its references lead to earlier, later and missing ones."""
    lines = []
    if chance.random() < 0.95:
        lines.append(f"Subject: {chance.choice(MARKS)}{encoded(chance.choice(SUBJECTS))}{chance.choice(ENDS)}")
    if chance.random() < 0.9:
        day, hour, minute = chance.randint(1, 9), chance.randint(0, 23), chance.randint(0, 59)
        lines.append(f"Date: {day} Nov 2026 {hour:02}:{minute:02}:00 {chance.choice(ZONES)}")
    elif chance.random() < 0.5:
        lines.append(f"Date: {chance.choice(BAD_DATES)}")
    for field, most in (("From", 1), ("To", 3), ("Cc", 2)):
        people = [chance.choice(PEOPLE) for _ in range(chance.randint(0, most))]
        if people:
            lines.append(f"{field}: {', '.join(people)}")

    def some_id():
        return f"<{max(1, min(int(chance.gauss(number, 8)), count + 20))}@x.example>"

    if chance.random() < 0.95:
        lines.append(f"Message-ID: <{number if chance.random() < 0.97 else max(1, number - 1)}@x.example>")
    kind = chance.random()
    if kind < 0.3:
        lines.append("References: " + " ".join(some_id() for _ in range(chance.randint(1, 4))))
    elif kind < 0.5:
        lines.append(f"In-Reply-To: {some_id()}")
    elif kind < 0.55:
        lines.append(f"References: nonsense\r\nIn-Reply-To: Your message of Monday {some_id()}")
    elif kind < 0.6:
        # Dovecot reads no further than to an id that is not valid; the others are valid all the same (RFC 5256 3).
        lines.append(f"References: {some_id()} <\"{number}\"@x.example> <without-at>")
    body = "x" * chance.randint(1, 200)
    return ("\r\n".join(lines) + f"\r\n\r\n{body}\r\n").encode()


def fill(sides, name, seed, count):
    """The same messages on both sides, with the same internal dates."""
    for side in sides:
        chance = random.Random(seed)
        with session(side) as opened:
            opened.command(f"CREATE {name}")
            for number in range(1, count + 1):
                text = message(chance, number, count)
                arrival = f'"{chance.randint(10, 28)}-Nov-2026 {chance.randint(10, 23)}:00:00 +0000"'
                opened.send("APPEND", b"APPEND %s %s {%d+}\r\n%s" % (name.encode(), arrival.encode(), len(text), text))


def answer(opened, command, word):
    data = opened.command(command).data.decode()
    return next((line for line in data.split("\r\n") if line.startswith(f"* {word}")), "nothing")


def compare(sessions, sides, command):
    word = command.split(" ")[1 if command.startswith("UID") else 0]
    ours, theirs = (answer(sessions[side], command, word).rstrip() for side in sides)
    if ours == theirs:
        return 0
    at = max(0, next((at for at, (a, b) in enumerate(zip(ours, theirs)) if a != b), 0) - 40)
    print(f"DIFFERENT {command}\n    ours   …{ours[at:at + 110]}\n    theirs …{theirs[at:at + 110]}")
    return 1


def commands():
    for search in SEARCHES:
        for prefix in ("", "UID "):
            for algorithm in ("REFERENCES", "ORDEREDSUBJECT"):
                yield f"{prefix}THREAD {algorithm} UTF-8 {search}"
    for criteria in SORTS:
        yield f"SORT ({criteria}) UTF-8 ALL"
        yield f"UID SORT ({criteria}) UTF-8 {SEARCHES[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="messages of each folder (300)")
    parser.add_argument("--seeds", type=int, default=3, help="folders (3)")
    parser.add_argument("freehold", help="the binary")
    options = parser.parse_args()
    lab = Path(tempfile.mkdtemp(prefix="imap-order."))
    lab.chmod(0o755)
    dovecot.install(lab / "apt.log")
    sides = (Ours(str(Path(options.freehold).resolve()), lab, "order"), Theirs(lab, "order"))
    failures = compared = 0
    try:
        for side in sides:
            side.start()
        for seed in range(options.seeds):
            name = f"Seed{seed}"
            fill(sides, name, seed, options.count)
            with each_session(sides, name) as sessions:
                for command in commands():
                    compared += 1
                    failures += compare(sessions, sides, command)
    except CommandFailed as error:
        sys.exit(f"FAILED {error}")
    finally:
        for side in sides:
            side.stop()
        shutil.rmtree(lab)
    print(f"{compared} answers compared, {failures} differ")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
