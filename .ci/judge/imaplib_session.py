"""An IMAP session with Python's imaplib: log in, list, select, fetch, flag, search, log out."""
import imaplib
import ssl
import sys

port, certificate, user, password = int(sys.argv[1]), *sys.argv[2:5]
imap = imaplib.IMAP4_SSL("localhost", port, ssl_context=ssl.create_default_context(cafile=certificate))
try:
    imap.login(user, "wrong")
    sys.exit("a wrong password was accepted")
except imaplib.IMAP4.error:
    pass
imap.login(user, password)
status, folders = imap.list()
assert status == "OK" and len(folders) >= 5, folders
status, count = imap.select("INBOX")
assert status == "OK" and int(count[0]) > 0, count
status, found = imap.uid("SEARCH", None, "FROM", '"bob"')
assert status == "OK" and found[0], found
uid = found[0].split()[0]
status, data = imap.uid("FETCH", uid, "(FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[])")
assert status == "OK", data
message = next(part[1] for part in data if isinstance(part, tuple))
size = int(data[0][0].split(b"RFC822.SIZE ")[1].split()[0].rstrip(b")"))
assert len(message) == size, (len(message), size)
assert b"\r\n\r\n" in message and b"bob@bob.localhost" in message
status, data = imap.uid("STORE", uid, "+FLAGS", r"(\Flagged $Forwarded)")
assert status == "OK", data
status, found = imap.uid("SEARCH", None, "FLAGGED", "KEYWORD", "$Forwarded")
assert uid in found[0].split(), found
status, data = imap.uid("STORE", uid, "-FLAGS", r"(\Flagged $Forwarded)")
assert status == "OK", data
imap.close()
imap.logout()
