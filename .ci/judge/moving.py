"""Mail in files of Python's mailbox module, imported and exported again: python3 moving.py FREEHOLD

Two nodes of its own, which do not run. If Dovecot is installed, it reads the exports too, and its IMAP server is an account that is imported. One
line for each check; the exit code is 1 if one failed.
"""
import calendar
import collections
import email.utils
import imaplib
import mailbox
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import dovecot
from faults.report import check, finish

freehold = os.path.abspath(sys.argv[1])
START = 1_600_000_000


def run(data, *arguments, password="the kettle sings at four"):
    done = subprocess.run([freehold, "--data", data, *arguments], input=password, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def new_node(folder, name):
    data = os.path.join(folder, name)
    code, output = run(data, "init", "--name", "Ruth", "--login", "ruth", "--password-file", "-")
    assert code == 0, output
    return data


def text(number, more=""):
    date = email.utils.formatdate(START + number)
    return (f"From: a@example.org\nTo: b@example.org\nDate: {date}\nSubject: number {number}\n"
            f"Message-ID: <{number}@example.org>\n\nLine {number}\n{more}").encode()


FLAGS = ["", "S", "F", "RS", "FRS", "DS", "ST"]


def write_maildir(path):
    box = mailbox.Maildir(path)
    for name, count in ((None, 20), ("Papierkorb", 3), ("Lists.rust", 5)):
        folder = box if name is None else box.add_folder(name)
        for number in range(count):
            message = mailbox.MaildirMessage(text(number, f"in {name}\n"))
            message.set_subdir("cur")
            message.set_flags(FLAGS[number % len(FLAGS)])
            message.set_date(START + number)
            folder.add(message)


def write_mbox(path):
    box = mailbox.mbox(path)
    for number in range(100, 130):
        message = mailbox.mboxMessage(text(number, "\nFrom me to you\n\n>quoted\n"))
        message.set_flags(["", "RO", "ROF", "ROAF", "O"][number % 5])
        message.set_from("a@example.org", time.gmtime(START + number))
        box.add(message)
    box.flush()
    box.close()


def body(data):
    """The bytes of a message without the fields of mbox programs."""
    header, _, rest = data.partition(b"\n\n")
    lines = [line for line in header.split(b"\n") if not line.startswith((b"Status:", b"X-Status:", b"X-Keywords:", b"X-IMAPbase:"))]
    return b"\n".join(lines) + b"\n\n" + rest


def of_maildir(folder):
    found = collections.Counter()
    for key in folder.keys():
        message = folder.get_message(key)
        flags = "".join(flag for flag in message.get_flags() if flag.isupper())
        found[(folder.get_bytes(key), flags, int(message.get_date()))] += 1
    return found


def of_mbox(path, is_mboxrd=True):
    """The messages of an mbox. Python reads it as mboxo, so the quotes of mboxrd are undone here."""
    found = collections.Counter()
    box = mailbox.mbox(path, create=False)
    for key in box.keys():
        message = box.get_message(key)
        flags = mailbox.MaildirMessage(message).get_flags()
        date = message.get_from().split(" ", 1)[1].strip()
        date = calendar.timegm(time.strptime(date, "%a %b %d %H:%M:%S %Y"))
        data = body(box.get_bytes(key))
        data = re.sub(rb"^>(>*From )", rb"\1", data, flags=re.MULTILINE) if is_mboxrd else data
        found[(data, flags, date)] += 1
    return found


DOVECOT = """
base_dir = {folder}/dovecot
log_path = /dev/stderr
first_valid_uid = 0
mail_uid = nobody
mail_gid = nogroup
mail_location = {location}
namespace inbox {{
  inbox = yes
}}
"""


def of_dovecot(folder, location):
    """The flags of the messages in INBOX as Dovecot reads them: (flags and keywords, date) of each."""
    config = os.path.join(folder, "dovecot.conf")
    os.makedirs(os.path.join(folder, "home"), exist_ok=True)
    with open(config, "w") as file:
        file.write(DOVECOT.format(folder=folder, location=location))
    subprocess.run(["chown", "-R", "nobody:nogroup", folder], check=True)
    environment = {**os.environ, "HOME": os.path.join(folder, "home"), "USER": "nobody", "TZ": "UTC"}
    command = ["doveadm", "-c", config, "fetch", "flags date.received", "mailbox", "INBOX"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    flags = [line.removeprefix("flags:").split() for line in done.stdout.splitlines() if line.startswith("flags:")]
    dates = [line.removeprefix("date.received:").strip() for line in done.stdout.splitlines() if line.startswith("date.received:")]
    found = [(" ".join(sorted(set(names) - {"\\Recent"})), date) for names, date in zip(flags, dates)]
    return sorted(found), done.stderr


def fill_account(account):
    """Makes folders with messages of every flag at an IMAP server."""
    folders = {"INBOX": 300, "Papierkorb": 3, "Lists.rust": 5, '"a b"': 2, "Gr&APwA3w-e": 1, "Empty": 0}
    for name, count in folders.items():
        account.create(name)
        for number in range(count):
            flags = " ".join(["", "\\Seen", "\\Seen \\Flagged", "\\Answered $Forwarded", "\\Draft work"][number % 5].split())
            date = imaplib.Time2Internaldate(START + number)
            account.append(name, f"({flags})", date, text(number, f"in {name}\n").replace(b"\n", b"\r\n"))
    return folders


def of_account(account, folders):
    """The flags and dates of all messages at an IMAP server."""
    found = {}
    for name in folders:
        account.select(name, readonly=True)
        data = account.fetch("1:*", "(FLAGS INTERNALDATE RFC822.SIZE)")[1] if folders[name] else []
        lines = [line for line in data if line]
        flags = [sorted(flag.decode() for flag in imaplib.ParseFlags(line) if flag != b"\\Recent") for line in lines]
        dates = [calendar.timegm(time.gmtime(time.mktime(imaplib.Internaldate2tuple(line)))) for line in lines]
        sizes = [re.search(rb"RFC822.SIZE (\d+)", line).group(1) for line in lines]
        found[name] = sorted(zip(flags, dates, sizes))
    return found


def import_of_account(at, new_node):
    """An account at Dovecot is imported twice, interrupted by nothing, and read back from the running node."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = dovecot.Dovecot(at("account"), port)
    server.start()
    try:
        account = imaplib.IMAP4("127.0.0.1", port)
        account.login("ruth", dovecot.PASSWORD)
        folders = fill_account(account)
        before = of_account(account, folders)
        node, total = new_node("account-node"), sum(folders.values())
        command = ["import", "imap", "127.0.0.1", "--port", str(port), "--user", "ruth", "--plain-for-loopback"]
        code, output = run(node, *command, password="wrong")
        check("a wrong password is refused", code == 65 and "refuses" in output, output)
        code, output = run(node, *command, password=dovecot.PASSWORD)
        check("an account of Dovecot is imported", code == 0 and f"Imported {total} messages" in output, output)
        code, output = run(node, *command, password=dovecot.PASSWORD)
        check("a second import of the account stores nothing", code == 0 and "Imported 0 messages; 0 were" in output, output)
        check("the account is as it was", of_account(account, folders) == before)
        code, output = run(node, "export", "maildir", at("account-out"))
        check("what was imported is exported", code == 0, output)
        there = {name: collections.Counter(date for _, date, _ in messages) for name, messages in before.items()}
        here = maildirs(at("account-out"))
        letters = {"\\Seen": "S", "\\Flagged": "F", "\\Answered": "R", "\\Draft": "D"}
        for name, exported in (("INBOX", ""), ("Papierkorb", "Trash"), ("Lists.rust", "Lists.rust"), ("Gr&APwA3w-e", "Gr&APwA3w-e")):
            of_name = lambda flags: "".join(sorted(letters[flag] for flag in flags if flag in letters))
            expected = collections.Counter((of_name(flags), date) for flags, date, _ in before[name])
            found = collections.Counter()
            for (_, flags, date), count in here[exported].items():
                found[("".join(sorted(set(flags) & set("SFRD"))), date)] += count
            check(f"flags and dates of {name} are the same", expected == found and sum(there[name].values()) == sum(found.values()), f"{expected} {found}")
    finally:
        server.stop()


def maildirs(path):
    box = mailbox.Maildir(path, create=False)
    return {"": of_maildir(box), **{name: of_maildir(box.get_folder(name)) for name in box.list_folders()}}


with tempfile.TemporaryDirectory() as folder:
    def at(name):
        return os.path.join(folder, name)

    ruth, other = new_node(folder, "ruth"), new_node(folder, "other")
    write_maildir(at("maildir"))
    write_mbox(at("Old.mbox"))
    code, output = run(ruth, "import", "maildir", at("maildir"))
    check("a Maildir of Python is imported", code == 0 and "Imported 28 messages" in output, output)
    code, output = run(ruth, "import", "mbox", at("Old.mbox"))
    check("an mbox of Python is imported", code == 0 and "Imported 30 messages" in output, output)
    code, output = run(ruth, "import", "mbox", at("Old.mbox"))
    check("a second import stores nothing", "Imported 0 messages; 30 were" in output, output)

    for form in ("maildir", "mbox"):
        code, output = run(ruth, "export", form, at("out-" + form))
        check(f"the export as {form} succeeds", code == 0 and "Exported 58 messages" in output, output)
    before, after = maildirs(at("maildir")), maildirs(at("out-maildir"))
    for name, exported in (("", ""), ("Papierkorb", "Trash"), ("Lists.rust", "Lists.rust")):
        check(f"Python reads the same Maildir {exported or 'INBOX'}", before[name] == after[exported], f"{before[name]} {after[exported]}")
    check("Python reads the same mbox", of_mbox(at("Old.mbox"), False) == of_mbox(at("out-mbox/Old")))
    check("Maildir and mbox hold the same", after["Lists.rust"] == of_mbox(at("out-mbox/Lists.sbd/rust")))

    if shutil.which("doveadm") and os.geteuid() == 0:
        os.chmod(folder, 0o755)
        with open(at("Inbox"), "w") as file:
            file.write("From a@b Tue May  4 12:00:00 2021\nStatus: RO\nX-Status: AF\nX-Keywords: $Label1 work\nSubject: a\n\nx\n\n"
                       "From a@b Tue May  4 12:00:01 2021\nSubject: b\n\ny\n\n")
        third = new_node(folder, "third")
        run(third, "import", "mbox", at("Inbox"))
        expected = [("", "2021-05-04 12:00:01"), ("$Label1 \\Answered \\Flagged \\Seen work", "2021-05-04 12:00:00")]
        for form, location in (("maildir", "maildir:{0}/mail"), ("mbox", "mbox:{0}/mail:INBOX={0}/mail/INBOX")):
            parent = at("dovecot-" + form)
            run(third, "export", form, os.path.join(parent, "mail"))
            os.chmod(parent, 0o755)
            found, why = of_dovecot(parent, location.format(parent))
            check(f"Dovecot reads the export as {form}", found == expected, f"{found} {why}")

        if os.path.exists("/usr/sbin/dovecot"):
            import_of_account(at, lambda name: new_node(folder, name))

    code, output = run(other, "import", "maildir", at("out-maildir"))
    check("the export is imported into another node", code == 0 and "Imported 58 messages" in output, output)
    code, output = run(other, "import", "mbox", at("out-mbox"))
    check("the same mail as mbox is there", code == 0 and "Imported 0 messages; 58 were" in output, output)
    run(other, "export", "maildir", at("again"))
    check("a second export is the same", maildirs(at("again")) == after)
    code, output = run(other, "check")
    check("the node is undamaged", code == 0, output)
sys.exit(finish())
