"""Faults of IMAP: names of folders, subscriptions, searches, and what is told about messages that keep to no RFC."""
import re

from faults.mail import Line, imap
from faults.report import check

FOLDER = "Judged"
ATTACHED = (b'Subject: a bill\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n'
            b'--b\r\nContent-Type: text/plain\r\n\r\nwords\r\n'
            b'--b\r\nContent-Type: application/pdf; name="Rechnung-4711.pdf"\r\nContent-Disposition: attachment\r\n\r\nx\r\n'
            b'--b\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; ghost4711@example.org\r\n--b--\r\n')
RAW_NAME = (b'Subject: raw\r\nContent-Type: application/octet-stream; name="Fr\xf6sche.txt"\r\n\r\nx\r\n')
STRAY = (b"From: Big Bug bb@bug.example\r\nTo: Mary Smith\r\nCc: <@route.example:user@domain.example>\r\nSubject: stray\r\n\r\nx\r\n")
TWO_FIELDS = b"From: a@b.example\r\nTo: one@b.example\r\nTo: two@b.example\r\nSubject: two\r\n\r\nx\r\n"
COMMENT = b"From: <user-from (a comment)@ (another) domain.example>\r\nSubject: comment\r\n\r\nx\r\n"
LATE_WORDS = (b"Subject: late\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b and more\r\n"
              b"Content-Type: text/plain\r\n\r\nwords\r\n--b--\r\n")
ENCODED_BOUNDARY = (b"Subject: encoded\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary*=us-ascii'en'XYZ\r\n\r\n--XYZ\r\n"
                    b"Content-Type: text/plain\r\n\r\nwords\r\n--XYZ--\r\n")


class Mailbox:
    """A session with a folder of its own."""

    def __init__(self, node, password):
        self.node, self.password = node, password
        self.line = self.session()
        self.ask(f"CREATE {FOLDER}")
        self.ask(f"SELECT {FOLDER}")

    def session(self):
        line = Line(self.node["ports"]["imap"])
        line.read()
        line.imap(f"LOGIN {self.node['login']} {self.password}")
        return line

    def ask(self, command):
        """The answer as one text; the reply is its last line."""
        return "\n".join(self.line.imap(command))

    def reply(self, command):
        return self.line.imap(command)[-1]

    def add(self, message):
        """Adds a message. Returns its UID."""
        session = imap(self.node, self.password)
        _, answer = session.append(FOLDER, None, None, message)
        session.logout()
        self.ask("NOOP")
        return re.search(rb"APPENDUID \d+ (\d+)", answer[0])[1].decode()

    def fetch(self, uid, items):
        return self.ask(f"UID FETCH {uid} ({items})")

    def found(self, key):
        """The UIDs that a search finds."""
        answer = next(line for line in self.line.imap(f"UID SEARCH {key}") if line.startswith("* SEARCH"))
        return answer.split()[2:]


def folder_names(box):
    for name in ("../../etc/x", ".", "a/../b"):
        check(f"a folder {name} is refused", (reply := box.reply(f'CREATE "{name}"')).startswith("NO"), reply)
    check("no folder is renamed to ..", (reply := box.reply(f'RENAME {FOLDER} ".."')).startswith("NO"), reply)
    check("a name that begins with ~ is an atom", (reply := box.reply("STATUS ~none (MESSAGES)")).startswith("NO"), reply)
    check("a name that is no modified UTF-7 gets NO", (reply := box.reply("STATUS a&b (MESSAGES)")).startswith("NO"), reply)
    for command in ("CREATE passing", "SUBSCRIBE passing", "DELETE passing"):
        box.ask(command)
    check("a subscription outlives its folder", "passing" in (answer := box.ask('LSUB "" passing')), answer)
    box.ask("UNSUBSCRIBE passing")


def searches(box):
    uid = box.add(ATTACHED)
    for word in ("Rechnung-4711", "ghost4711"):
        check(f"TEXT finds {word} in a part", uid in (found := box.found(f"TEXT {word}")), found)
    uid = box.add(COMMENT)
    check("FROM compares the address of the envelope", uid in (found := box.found("FROM user-from@domain.example")), found)
    # Only one session gets \Recent for a message (RFC 3501 2.3.2).
    box.ask("CLOSE")
    fresh = box.session()
    selected = "\n".join(fresh.imap(f"SELECT {FOLDER}"))
    box.add(b"Subject: new\r\n\r\nx\r\n")
    answer = "\n".join(fresh.imap("NOOP") + fresh.imap("SEARCH NEW"))
    check("a message that arrives is NEW", re.search(r"\* SEARCH \d", answer), selected + answer)
    check("a message that arrives is RECENT", re.search(r"\* [1-9]\d* RECENT", answer), selected + answer)
    fresh.close()
    box.ask(f"SELECT {FOLDER}")
    for number in (1, 3, 2):
        box.ask(rf"STORE {number} +FLAGS (\Flagged)")
    modseq = [int(number) for number in re.findall(r"MODSEQ \((\d+)\)", box.ask("FETCH 1:3 (MODSEQ)"))]
    for options, wanted in (("MIN", modseq[0]), ("MAX", modseq[2]), ("MIN MAX", modseq[2])):
        answer = box.ask(f"SEARCH RETURN ({options}) 1:3 MODSEQ 1")
        check(f"ESEARCH {options} has the MODSEQ of its messages", re.search(rf"MODSEQ {wanted}\b", answer), (modseq, answer))


def structure(box):
    envelope = box.fetch(box.add(STRAY), "ENVELOPE")
    check("words before an address without <> are no part of it", "BigBug" not in envelope and "MarySmith" not in envelope, envelope)
    check("ENVELOPE has the route of an address", '"@route.example" "user" "domain.example"' in envelope, envelope)
    envelope = box.fetch(box.add(TWO_FIELDS), "ENVELOPE")
    check("ENVELOPE has the people of both To fields", '"one"' in envelope and '"two"' in envelope, envelope)
    told = box.fetch(box.add(RAW_NAME), "BODYSTRUCTURE")
    check("BODYSTRUCTURE keeps the bytes of a name", "\xef\xbf\xbd" not in told and "sche.txt" in told, told)
    for name, message in (("an opening line with text behind it", LATE_WORDS), ("an encoded boundary", ENCODED_BOUNDARY)):
        text = box.fetch(box.add(message), "BODY.PEEK[1]")
        check(f"{name} begins a part", "words" in text and "--" not in text, text)


def flags(box):
    box.add(b"Subject: flags\r\n\r\nx\r\n")
    answer = box.ask("STORE 1 +FLAGS ($JudgedFirst)")
    told, used = answer.find("* FLAGS"), answer.find("* 1 FETCH")
    check("FLAGS names a keyword before FETCH uses it", -1 < told < used, answer)


def extensions(box):
    for command in ("CREATE judged-a", "CREATE judged-a/b", "SUBSCRIBE judged-a", "SUBSCRIBE judged-a/b"):
        box.ask(command)
    answer = box.ask('LIST (SUBSCRIBED RECURSIVEMATCH) "" (judged-a judged-a/b)')
    check("CHILDINFO is left out where the child is listed", "judged-a/b" in answer and "CHILDINFO" not in answer, answer)
    for command in ("UNSUBSCRIBE judged-a/b", "UNSUBSCRIBE judged-a", "DELETE judged-a/b", "DELETE judged-a"):
        box.ask(command)
    fresh = box.session()
    fresh.imap(f"SELECT {FOLDER}")
    answer = "\n".join(fresh.imap("FETCH 1 (MODSEQ)"))
    check("the command that enables CONDSTORE tells the HIGHESTMODSEQ", "HIGHESTMODSEQ" in answer, answer)
    other = box.session()
    other.imap(f"SELECT {FOLDER}")
    for command in (r"STORE 2 +FLAGS.SILENT (\Deleted)", "EXPUNGE"):
        other.imap(command)
    other.close()
    answer = fresh.imap("COPY 2 Trash")[-1]
    check("COPY of an expunged message is no success", answer.startswith("NO [EXPUNGEISSUED]"), answer)
    fresh.close()
    raw = box.session()
    answer = raw.imap('APPEND "R&D" {3+}\r\nabc')[-1]
    check("a refused literal keeps the session", answer.startswith("NO") and raw.imap("NOOP")[-1].startswith("OK"), answer)
    raw.close()


def before_login(node):
    line = Line(node["ports"]["imap"])
    line.read()
    fields = " ".join(f'"field-{number}" "{"x" * 1000}"' for number in range(30))
    check("ID of thirty long fields is taken before the login", (reply := line.imap(f"ID ({fields})")[-1]).startswith("OK"), reply)
    line.close()


def imap_faults(node, password):
    before_login(node)
    box = Mailbox(node, password)
    folder_names(box)
    searches(box)
    structure(box)
    flags(box)
    extensions(box)
    box.ask("CLOSE")
    box.ask(f"DELETE {FOLDER}")
    box.line.close()
