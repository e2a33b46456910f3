"""Faults of letters that strangers write, as their recipient reads them in the browser; and a stranger who fills the disk."""
import base64
import re
import smtplib

from faults.browser import Browser
from faults.own_node import PASSWORD, SHARE_MIB
from faults.process import within
from faults.report import check

NESTED_LEVELS = 36_000
PICTURE_LEN = 1 << 20
PICTURE_USES = 20_000
PLAIN = ("Subject: plain\r\nTo: {to}\r\nCc: carol@far.example, Dan <dan@far.example>\r\n\r\n"
         "See https://example.com/a?b=c and joe@example.com today.\r\n")
CHARSETS = {"without a charset": b"Subject: raw\r\n\r\nna\xefve caf\xe9\r\n",
            "with a wrong charset": b"Subject: wrong\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nna\xefve caf\xe9\r\n",
            "with half a type": b"Subject: half\r\nContent-Type: text\r\n\r\nna\xefve caf\xe9\r\n"}
FORWARDED = (b"Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n"
             b"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\nSubject: inner\r\n\r\nthe inner words\r\n--b--\r\n")
NO_ADDRESS = b'From: "bank@bank.example" <>\r\nSubject: a bank\r\n\r\nx\r\n'


def nested():
    """Letters in letters, so deep that a reader which recurses runs out of stack."""
    return b"Subject: deep\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * NESTED_LEVELS + b"Subject: x\r\n\r\nx\r\n"


def pictures():
    """One enclosed picture that the HTML names very often."""
    picture = base64.encodebytes(b"\x89PNG\r\n\x1a\n" + bytes(PICTURE_LEN)).replace(b"\n", b"\r\n")
    return (b"Subject: pictures\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: text/html\r\n\r\n" + b'<img src="cid:p">\r\n' * PICTURE_USES +
            b"--b\r\nContent-Type: image/png\r\nContent-ID: <p>\r\nContent-Transfer-Encoding: base64\r\n\r\n" + picture + b"--b--\r\n")


class Reader:
    """The owner's inbox in the browser, and a stranger who writes to it."""

    def __init__(self, node):
        self.node, self.browser = node, Browser(node["ports"]["web"])
        assert self.browser.log_in(PASSWORD), "no login"

    def receive(self, message):
        """Receives a message from a stranger. Returns the path of its page, or the refusal."""
        before = self.newest()
        with smtplib.SMTP("127.0.0.1", self.node["ports"]["smtp"], local_hostname="far.example", timeout=60) as smtp:
            try:
                smtp.sendmail("bob@far.example", [self.node["address"]], message)
            except smtplib.SMTPResponseException as refused:
                return str(refused.smtp_code)
        return within(10, lambda: (path := self.newest()) != before and path)

    def newest(self):
        found = re.search(r'<a [^>]*?href="(/home/mail/\d+/\d+)(?:\?[^"]*)?"', self.browser.get("/home/mail").text)
        return found and found[1]

    def is_unread(self, path):
        return re.search(rf'href="{path}" class="unread"', self.browser.get("/home/mail").text)


def hostile(reader):
    for name, message in (("36,000 nested letters", nested()), ("a picture named 20,000 times", pictures())):
        path = reader.receive(message)
        page = reader.browser.get(path)
        frames = re.findall(r'<iframe[^>]* src="([^"]*)"', page.text)
        total = len(page.body) + sum(len(reader.browser.get(frame).body) for frame in frames)
        check(f"{name} are shown", page.status == 200, page.status)
        check("  in no more bytes than were sent", total < len(message) + (1 << 17), total)
        reply = f"/home/mail/write?reply={'.'.join(path.split('/')[3:])}"
        statuses = {reader.browser.get(other).status for other in (reply, f"{path}/original")}
        check("  and answered, and saved", statuses == {200}, statuses)


def shown(reader):
    path = reader.receive(PLAIN.format(to=reader.node["address"]).encode())
    elsewhere = reader.browser.ask("GET", path, headers={"Sec-Fetch-Site": "cross-site"})
    check("a link on another site marks no letter as read", elsewhere.status == 200 and reader.is_unread(path))
    page = reader.browser.get(path).text
    check("a letter that was opened is read", not reader.is_unread(path))
    links = [r'<a href="https://example\.com/a\?b=c"', r'<a href="[^"]*joe(@|%40)example\.com"']
    check("addresses in a letter are links", all(re.search(link, page) for link in links), page[-1500:])
    check("Cc is shown", "carol@far.example" in page and "Dan" in page, page[-1500:])
    for name, message in CHARSETS.items():
        page = reader.browser.get(reader.receive(message)).text
        check(f"a letter {name} shows its words", "naïve café" in page, page[-800:])
    page = reader.browser.get(reader.receive(FORWARDED)).text
    check("a letter in a letter is shown", "the inner words" in page and "inner" in page, page[-1500:])
    page = reader.browser.get(reader.receive(NO_ADDRESS)).text
    check("an address in a name is told from the sender's", 'data-notice="address-in-name"' in page, page[-1500:])


def bin_is_emptied(reader):
    path = reader.newest()
    moved = reader.browser.post(f"{path}/move", {"to": "trash"})
    target = re.search(r'href="(/home/mail/\d+)"[^>]*>Bin', reader.browser.get("/home/mail").text)[1]
    count = len(re.findall(r'<a [^>]*?href="/home/mail/\d+/\d+(?:\?[^"]*)?"', reader.browser.get(target).text))
    reader.browser.submit(f"{target}/empty", {})
    page = reader.browser.get(target).text
    check("the bin is emptied in the browser", moved.status == 303 and count > 0 and 'id="empty-folder"' in page, (moved.status, count))


def unreachable(reader):
    page = reader.browser.submit("/home/mail/write", {"to": "someone@elsewhere.example", "subject": "x", "text": "x"})
    check("an address that can't be reached is told before sending", page.status == 422 and 'id="to-fault"' in page.text, page.status)


def flood(reader):
    """A stranger sends more than the share of a network, which is SHARE_MIB."""
    letter = b"Subject: flood\r\n\r\n" + b"it rains and rains\r\n" * ((4 << 20) // 20)
    for number in range(2 * SHARE_MIB // 4):
        reply = reader.receive(letter)
        if reply == "452":
            break
    check("a stranger fills no more than the share of a network", reply == "452", (number, reply))
    page = reader.browser.submit("/home/mail/write", {"to": reader.node["address"], "subject": "a note", "text": "to myself"})
    check("  and the owner still writes", page.status == 200, page.status)


def received(node):
    reader = Reader(node)
    shown(reader)
    hostile(reader)
    unreachable(reader)
    bin_is_emptied(reader)
    flood(reader)
