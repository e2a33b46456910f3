"""IMAP extensions with Python's imaplib: QRESYNC, IMAP4rev2, UTF8=ACCEPT, BINARY, NOTIFY.

    imap_newer.py PORT CERTIFICATE USER PASSWORD

It works in folders of its own, which it deletes in the end. The exit code is 1 if an answer was wrong.
"""
import base64
import re
import ssl
import sys

from imap_more import Client, literal, message, uids

EXTENSIONS = ["IMAP4rev2", "QRESYNC", "BINARY", "UTF8=ACCEPT", "NOTIFY"]
FOLDER, OTHER = "Judge/Newer", "Judge/Newer/Zoë"


def connect(enable=None):
    port, certificate, user, password = int(sys.argv[1]), *sys.argv[2:5]
    imap = Client("localhost", port, ssl_context=ssl.create_default_context(cafile=certificate))
    imap.login(user, password)
    if enable:
        lines = imap.exchange(f"ENABLE {enable}\r\n".encode())[2]
        assert lines == [f"* ENABLED {enable}"], lines
    return imap


def run8(imap, status, code, octets):
    return imap.expect_octets(status, code, octets + b"\r\n")


def code(lines, name):
    return int(next(found[1] for line in lines if (found := re.search(rf"\[{name} (\d+)\]", line))))


def qresync():
    imap = connect()
    imap.expect("BAD", None, "SELECT", FOLDER, "(QRESYNC (1 1))")
    imap.logout()
    imap, other = connect("QRESYNC"), connect()
    for at in range(1, 7):
        imap.expect_octets("OK", "APPENDUID", b"APPEND %s %s\r\n" % (FOLDER.encode(), literal(message(f"m{at}"))))
    lines = imap.expect("OK", "READ-WRITE", "SELECT", FOLDER)
    validity, modseq = code(lines, "UIDVALIDITY"), code(lines, "HIGHESTMODSEQ")
    other.expect("OK", None, "SELECT", FOLDER)
    other.expect("OK", None, r"UID STORE 2,4:5 +FLAGS.SILENT (\Deleted)")
    assert [line for line in other.expect("OK", None, "EXPUNGE") if "EXPUNGE" in line] == ["* 5 EXPUNGE", "* 4 EXPUNGE", "* 2 EXPUNGE"]
    other.expect("OK", None, r"UID STORE 1 +FLAGS.SILENT (\Flagged)")
    lines = imap.expect("OK", None, "NOOP")
    assert "* VANISHED 2,4:5" in lines and not any("EXPUNGE" in line for line in lines), lines
    lines = imap.expect("OK", "READ-WRITE", "SELECT", FOLDER, f"(QRESYNC ({validity} {modseq}))")
    assert any("[CLOSED]" in line for line in lines) and "* VANISHED (EARLIER) 2,4:5" in lines, lines
    assert uids([line for line in lines if "FETCH" in line]) == [1], lines
    lines = imap.expect("OK", "READ-WRITE", "SELECT", FOLDER, f"(QRESYNC ({validity} {modseq} 1:4))")
    assert "* VANISHED (EARLIER) 2,4" in lines, lines
    lines = imap.expect("OK", "READ-WRITE", "SELECT", FOLDER, f"(QRESYNC ({validity + 1} {modseq}))")
    assert not any("VANISHED" in line for line in lines), lines
    lines = imap.expect("OK", None, f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
    assert "VANISHED (EARLIER) 2,4:5" in lines[0] and uids(lines) == [1], lines
    imap.expect("BAD", None, f"FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
    imap.expect("OK", None, r"UID STORE 6 +FLAGS.SILENT (\Deleted)")
    imap.expect("OK", "HIGHESTMODSEQ", "EXPUNGE")
    imap.expect("OK", None, r"UID STORE 3 +FLAGS.SILENT (\Deleted)")
    imap.expect("OK", "HIGHESTMODSEQ", "CLOSE")
    imap.logout()
    other.logout()


def rev2():
    imap = connect("IMAP4rev2")
    imap.expect_octets("OK", "MAILBOXID", f'CREATE "{OTHER}"\r\n'.encode())
    lines = imap.expect("OK", None, "LIST", '""', '"Judge/Newer/%"')
    assert lines == [f'* LIST (\\HasNoChildren) "/" "{OTHER}"'], lines
    lines = imap.expect("OK", "READ-WRITE", "SELECT", FOLDER)
    assert any(line.startswith("* LIST ") for line in lines), lines
    assert not any("RECENT" in line or "[UNSEEN" in line for line in lines), lines
    assert re.match(r'\* ESEARCH \(TAG "\w+"\) ALL 1$', imap.expect("OK", None, "SEARCH ALL")[0])
    assert re.match(r'\* ESEARCH \(TAG "\w+"\) UID$', imap.expect("OK", None, "UID SEARCH FLAGGED SUBJECT none")[0])
    assert "(FLAGS (\\Flagged))" in imap.expect("OK", None, "FETCH 1 (FLAGS)")[0]
    assert "DELETED 0" in imap.expect("OK", None, "STATUS", FOLDER, "(DELETED SIZE)")[0]
    imap.logout()
    imap = connect()
    lines = imap.expect("OK", None, "LIST", '""', '"Judge/Newer/%"')
    assert lines[0].endswith(" Judge/Newer/Zo&AOs-"), lines
    imap.logout()


def utf8():
    text = "From: Zoë <zoë@example.org>\r\nSubject: Grüße\r\n\r\nHallo\r\n".encode()
    append = b"APPEND %s " % FOLDER.encode()
    plain = connect()
    run8(plain, "OK", "APPENDUID", append + literal(text))
    imap = connect("UTF8=ACCEPT")
    run8(imap, "OK", "APPENDUID", append + b"UTF8 (" + literal(text, b"~") + b")")
    imap.expect("BAD", None, "SEARCH CHARSET UTF-8 ALL")
    imap.expect("OK", None, "EXAMINE", FOLDER)
    imap.expect("BAD", None, "ENABLE UTF8=ACCEPT")
    assert '"Grüße" (("Zoë" NIL "zoë" "example.org"))' in imap.expect("OK", None, "FETCH * (ENVELOPE)")[0]
    plain.expect("OK", None, "EXAMINE", FOLDER)
    (line,) = plain.expect("OK", None, "FETCH * (ENVELOPE)")
    word = "=?utf-8?B?%s?=" % base64.b64encode("Grüße".encode()).decode()
    assert line.isascii() and f'"{word}"' in line, line
    imap.logout()
    plain.logout()


def fetch_octets(imap, items):
    """The literal of a FETCH response and the text around it."""
    tag = imap._new_tag()
    imap.send(tag + b" FETCH * (" + items.encode() + b")\r\n")
    line = imap.readline()
    while b" FETCH (" not in line:
        line = imap.readline()
    length = int(re.search(rb"\{(\d+)\}\r\n$", line)[1])
    octets = imap.read(length)
    rest = imap.readline()
    assert rest == b")\r\n" and imap.readline().startswith(tag + b" OK"), rest
    return line, octets


def binary():
    octets = bytes(range(256)) * 8000
    head = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: "
    imap = connect()
    append = b"APPEND %s " % FOLDER.encode()
    run8(imap, "OK", "APPENDUID", append + literal(head + b"binary\r\n\r\n" + octets, b"~"))
    run8(imap, "NO", "UNKNOWN-CTE", append + literal(b"Subject: nul\r\n\r\n\0", b"~"))
    imap.expect("OK", None, "EXAMINE", FOLDER)
    assert f"BINARY.SIZE[1] {len(octets)}" in imap.expect("OK", None, "FETCH * (BINARY.SIZE[1])")[0]
    line, found = fetch_octets(imap, "BINARY.PEEK[1]")
    assert b"BINARY[1] ~{" in line and found == octets, line
    line, found = fetch_octets(imap, "BINARY.PEEK[1]<1000000.500>")
    assert b"BINARY[1]<1000000> ~{500}" in line and found == octets[1000000:1000500], line
    line, found = fetch_octets(imap, "BINARY.PEEK[1]<1.5>")
    assert b"BINARY[1]<1> {5}" in line and found == octets[1:6], line
    line, found = fetch_octets(imap, "BODY.PEEK[1]")
    assert base64.b64decode(found) == octets and b"\0" not in found
    run8(imap, "OK", "APPENDUID", append + literal(head + b"quoted-printable\r\n\r\na=C3=A9=\r\nb \r\n"))
    imap.expect("OK", None, "NOOP")
    assert fetch_octets(imap, "BINARY.PEEK[1]")[1] == "aéb\r\n".encode()
    run8(imap, "OK", "APPENDUID", append + literal(head + b"x-own\r\n\r\nx"))
    imap.expect("OK", None, "NOOP")
    imap.expect("NO", "UNKNOWN-CTE", "FETCH * (BINARY[1])")
    imap.expect("BAD", None, "FETCH * (BINARY[1.MIME])")
    imap.logout()


def told(imap, wanted):
    """The lines that come by themselves, up to the one that matches."""
    lines = []
    imap.sock.settimeout(10)
    while not lines or not re.search(wanted, lines[-1]):
        lines.append(imap.readline().rstrip(b"\r\n").decode())
    imap.sock.settimeout(None)
    return lines


def notify():
    imap, other = connect(), connect()
    imap.expect("NO", "BADEVENT (MessageNew", "NOTIFY SET (personal (AnnotationChange))")
    imap.expect("BAD", None, "NOTIFY SET (personal (MessageNew))")
    imap.expect("BAD", None, "NOTIFY SET (selected NONE) (selected-delayed NONE)")
    imap.expect("OK", None, "SELECT", FOLDER)
    lines = imap.expect("OK", None, "NOTIFY SET STATUS (selected (MessageNew (FLAGS) MessageExpunge FlagChange))",
                        "(subtree Judge (MessageNew MessageExpunge FlagChange)) (personal (MailboxName SubscriptionChange))")
    assert any(line.startswith("* STATUS ") for line in lines), lines
    assert not any(line.startswith(f"* STATUS {FOLDER} ") for line in lines), lines
    new = literal(message("new"))
    run8(other, "OK", "APPENDUID", b"APPEND %s " % FOLDER.encode() + new)
    lines = told(imap, r"FETCH \(UID \d+ FLAGS")
    assert any(line.endswith(" EXISTS") for line in lines), lines
    other.expect("OK", None, "SELECT", FOLDER)
    other.expect("OK", None, r"STORE * +FLAGS (\Deleted)")
    told(imap, r"FETCH \(UID \d+ FLAGS \(.*\\Deleted")
    other.expect("OK", None, "EXPUNGE")
    told(imap, r"^\* \d+ EXPUNGE$")
    run8(other, "OK", "APPENDUID", b"APPEND Judge/Newer/Zo&AOs- " + new)
    told(imap, r"^\* STATUS Judge/Newer/Zo&AOs- \(MESSAGES 1 ")
    other.expect("OK", None, "CREATE Elsewhere")
    told(imap, r'^\* LIST \(\\HasNoChildren\) "/" Elsewhere$')
    other.expect("OK", None, "RENAME Elsewhere Nowhere")
    told(imap, r'"/" Nowhere \("OLDNAME" \(Elsewhere\)\)$')
    other.expect("OK", None, "DELETE Nowhere")
    told(imap, r"^\* LIST \(.*\\NonExistent.*\) .* Nowhere$")
    imap.expect("OK", None, "NOTIFY NONE")
    imap.logout()
    other.logout()


def main():
    imap = connect()
    announced = imap.expect("OK", None, "CAPABILITY")[0].split()
    assert set(EXTENSIONS) <= set(announced), announced
    for name in ("Judge/Newer/Zo&AOs-", FOLDER):
        imap.run("DELETE", name)
    imap.expect("OK", "MAILBOXID", "CREATE", FOLDER)
    for part in (qresync, rev2, utf8, binary, notify):
        part()
    for name in ("Judge/Newer/Zo&AOs-", FOLDER):
        imap.expect("OK", None, "DELETE", name)
    imap.logout()


if __name__ == "__main__":
    main()
