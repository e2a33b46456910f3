"""IMAP extensions with Python's imaplib: SEARCHRES, CREATE-SPECIAL-USE, QUOTA, MULTIAPPEND, REPLACE, METADATA, COMPRESS.

    imap_more.py PORT CERTIFICATE USER PASSWORD

It works in a folder of its own, which it deletes in the end. The exit code is 1 if an answer was wrong.
"""
import imaplib
import re
import ssl
import sys
import zlib

EXTENSIONS = ["SEARCHRES", "CREATE-SPECIAL-USE", "QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "MULTIAPPEND", "REPLACE", "METADATA",
              "COMPRESS=DEFLATE"]
FOLDER, OTHER = "Judge/More", "Judge/Renamed"


class Client(imaplib.IMAP4_SSL):
    """imaplib with commands that it does not know, and with compression (RFC 4978)."""
    deflater = inflater = None
    inflated = b""

    def run(self, command, *arguments):
        """The status, the text of the tagged response, and the untagged lines of a command without literals."""
        return self.exchange(" ".join((command,) + arguments).encode() + b"\r\n")

    def exchange(self, octets):
        tag = self._new_tag()
        self.send(tag + b" " + octets)
        lines = []
        while True:
            line = self.readline()
            if not line:
                raise self.abort("the connection ended")
            line = line.rstrip(b"\r\n")
            if line.startswith(tag + b" "):
                status, _, text = line[len(tag) + 1:].decode().partition(" ")
                return status, text, lines
            lines.append(line.decode())

    def expect(self, status, code, command, *arguments):
        """The untagged lines of a command that ends with this status and response code."""
        return self.expect_octets(status, code, " ".join((command,) + arguments).encode() + b"\r\n")

    def expect_octets(self, status, code, octets):
        ended, text, lines = self.exchange(octets)
        assert ended == status and re.match(re.escape(f"[{code}") if code else "", text), (octets[:200], ended, text, lines)
        return lines

    def compress(self):
        self.expect("OK", None, "COMPRESS DEFLATE")
        self.deflater, self.inflater = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)

    def send(self, data):
        if self.deflater:
            data = self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        self.sock.sendall(data)

    def readline(self):
        if not self.inflater:
            return super().readline()
        while b"\n" not in self.inflated and self.fill():
            pass
        line, end, self.inflated = self.inflated.partition(b"\n")
        return line + end

    def read(self, size):
        if not self.inflater:
            return super().read(size)
        while len(self.inflated) < size and self.fill():
            pass
        data, self.inflated = self.inflated[:size], self.inflated[size:]
        return data

    def fill(self):
        received = self.sock.recv(65536)
        self.inflated += self.inflater.decompress(received)
        return received


def message(subject):
    return f"From: judge@example.org\r\nSubject: {subject}\r\nMessage-ID: <{subject}@judge.example>\r\n\r\nbody of {subject}\r\n".encode()


def uids(lines):
    """The UIDs of FETCH responses."""
    return [int(found[1]) for line in lines if (found := re.search(r"UID (\d+)", line))]


def literal(text, mark=b""):
    return mark + b"{%d+}\r\n%s" % (len(text), text)


def multiappend(imap):
    parts = b" ".join(rb"(\Seen) " + literal(message(name)) for name in ("one", "two", "three", "four"))
    status, text, _ = imap.exchange(b"APPEND %s %s\r\n" % (FOLDER.encode(), parts))
    assert status == "OK" and re.match(r"\[APPENDUID \d+ 1:4\]", text), text
    refused = literal(message("five")) + rb" (\Nonsense) " + literal(message("six"))
    imap.expect_octets("BAD", None, b"APPEND %s %s\r\n" % (FOLDER.encode(), refused))
    assert "(MESSAGES 4)" in imap.expect("OK", None, "STATUS", FOLDER, "(MESSAGES)")[0]


def search_result(imap):
    assert not imap.expect("OK", None, "SEARCH RETURN (SAVE) SUBJECT t")
    assert uids(imap.expect("OK", None, "FETCH $ (UID)")) == [2, 3]
    assert "* SEARCH 3" in imap.expect("OK", None, "UID SEARCH UID $ SUBJECT three")
    imap.expect("OK", "COPYUID", "UID COPY $ Trash")
    imap.expect("NO", "BADCHARSET", "SEARCH RETURN (SAVE) CHARSET X-NONE SUBJECT t")
    assert not imap.expect("OK", None, "FETCH $ (UID)")


def replace(imap):
    new = literal(message("two-again"))
    lines = imap.expect_octets("OK", None, b"UID REPLACE 2 %s %s\r\n" % (FOLDER.encode(), new))
    assert "APPENDUID" in lines[0] and "* 2 EXPUNGE" in lines, lines
    assert uids(imap.expect("OK", None, "FETCH 1:* (UID)")) == [1, 3, 4, 5]
    imap.expect_octets("NO", "EXPUNGEISSUED", b"UID REPLACE 2 %s %s\r\n" % (FOLDER.encode(), new))


def quota(imap):
    status, data = imap.getquotaroot(FOLDER)
    assert status == "OK" and data[0] == [f'{FOLDER} ""'.encode()], data
    storage, limit, messages, most = map(int, re.search(rb"STORAGE (\d+) (\d+) MESSAGE (\d+) (\d+)", data[1][0]).groups())
    assert 0 < storage < limit and 4 <= messages < most, data
    imap.expect("NO", "NOPERM", 'SETQUOTA "" (STORAGE 1)')
    imap.expect("NO", "NONEXISTENT", "GETQUOTA elsewhere")
    status, data = imap.status(FOLDER, "(DELETED DELETED-STORAGE)")
    assert status == "OK" and b"DELETED-STORAGE 0" in data[0], data


def metadata(imap):
    imap.expect_octets("OK", None, b"SETMETADATA %s (/private/comment \"mine\" /shared/comment %s)\r\n"
                       % (FOLDER.encode(), literal(b"a\0b", b"~")))
    imap.expect("OK", None, "RENAME", FOLDER, OTHER)
    lines = imap.expect("OK", None, "GETMETADATA (DEPTH infinity)", OTHER, "(/private /shared)")
    assert "\r\n".join(lines) == f'* METADATA {OTHER} (/private/comment "mine" /shared/comment ~{{3}}\r\na\0b)', lines
    assert "NIL" in imap.expect("OK", None, 'GETMETADATA "" /private/judge')[0]
    imap.expect_octets("NO", "METADATA MAXSIZE", b'SETMETADATA "" (/private/judge %s)\r\n' % literal(b"x" * 4000))
    imap.expect("OK", None, "RENAME", OTHER, FOLDER)


def main():
    port, certificate, user, password = int(sys.argv[1]), *sys.argv[2:5]
    imap = Client("localhost", port, ssl_context=ssl.create_default_context(cafile=certificate))
    imap.login(user, password)
    announced = imap.expect("OK", None, "CAPABILITY")[0].split()
    assert set(EXTENSIONS) <= set(announced), announced
    imap.run("DELETE", FOLDER)
    for attribute in (r"\Archive", r"\X-Unknown"):
        imap.expect("NO", "USEATTR", "CREATE", FOLDER, f"(USE ({attribute}))")
    imap.expect("OK", "MAILBOXID", "CREATE", FOLDER)
    multiappend(imap)
    imap.compress()
    imap.expect("NO", "COMPRESSIONACTIVE", "COMPRESS DEFLATE")
    imap.select(FOLDER)
    search_result(imap)
    replace(imap)
    status, data = imap.fetch("4", "(BODY.PEEK[])")
    assert status == "OK" and data[0][1] == message("two-again"), data
    quota(imap)
    metadata(imap)
    imap.close()
    imap.expect("OK", None, "DELETE", FOLDER)
    imap.logout()


if __name__ == "__main__":
    main()
