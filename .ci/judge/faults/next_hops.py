"""Faults of sending: a next hop that is played here, and the reports about what it did."""
import socket
import threading

from faults.mail import mailbox, submission
from faults.process import within
from faults.report import check


class NextHop(threading.Thread):
    """Plays a next hop: `replies` by the command's name, `.` for the text; counts the texts."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.replies, self.commands = {}, []

    def play(self, **replies):
        self.replies, self.commands = {name.replace("end", "."): reply for name, reply in replies.items()}, []

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            connection.sendall(b"220 hop.test\r\n")
            is_text = False
            for line in connection.makefile("rb"):
                line = line.decode("latin-1").rstrip("\r\n")
                if is_text and line != ".":
                    continue
                name = line.split(" ")[0]
                usual = {"EHLO": b"250-hop.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", "DATA": b"354 go on\r\n"}
                reply = self.replies.get(name, usual.get(name, b"250 ok\r\n"))
                is_text = name == "DATA" and reply.startswith(b"354")
                self.commands.append(line)
                connection.sendall(reply)
        except OSError:
            pass


def send(node, password, to, parameters="", options=""):
    """Submits a message. Returns the reply to it, or the first refusal."""
    line, reply = submission(node, password)
    for command in (f"MAIL FROM:<{node['address']}>{options}", f"RCPT TO:<{to}>{parameters}", "DATA"):
        reply = line.smtp(command)
        if not reply.startswith(("250", "354")):
            return reply
    return line.smtp("Subject: hello\r\n\r\nhello\r\n.")


def next_hops(own, node, hop):
    def reports():
        return mailbox(node, own.password)

    def one(name, expected_reports, good=lambda text: True, parameters="", options="", **replies):
        before = len(reports())
        hop.play(**replies)
        reply = send(node, own.password, "bob@hop.test", parameters, options)
        done = within(20, lambda: own.status()["queued"] == 0)
        new = reports()[before:]
        texts = hop.commands.count(".")
        is_good = reply.startswith("250") and done and texts <= 1 and len(new) == expected_reports and all(map(good, new))
        check(name, is_good, f"{reply}; queue empty {done}; {texts} texts; reports {new}; {hop.commands}")

    one("250 without text ends the message", 0, end=b"250\r\n")
    one("250 with bytes of GBK ends the message", 0, end=b"250 \xc4\xe3\xba\xc3\r\n")
    one("299 with a rare enhanced code ends the message", 0, end=b"299 2.999.999 x\r\n")
    one("replies without text are understood everywhere", 0, EHLO=b"250\r\n",
        MAIL=b"250\r\n", RCPT=b"250\r\n", DATA=b"354\r\n", end=b"250\r\n")
    one("550 in Latin-1 is reported at once", 1, lambda text: "boîte" in text, RCPT=b"550 bo\xeete inconnue\r\n")
    one("550 without text is reported at once", 1, end=b"550\r\n")
    one("a refused EHLO is followed by HELO", 0, EHLO=b"502 unknown\r\n")
    one("NOTIFY=NEVER gets no report", 0, parameters=" NOTIFY=NEVER", RCPT=b"550 5.1.1 no\r\n")
    fields = ("Action: relayed", "Original-Recipient: rfc822; b+o@hop.test", "Original-Envelope-Id: Q7")
    one("NOTIFY=SUCCESS gets a report", 1, lambda text: all(field in text for field in fields),
        parameters=" NOTIFY=SUCCESS ORCPT=rfc822;b+2Bo@hop.test", options=" ENVID=Q7")
    one("NOTIFY=SUCCESS gets no report of a failure", 0, parameters=" NOTIFY=SUCCESS", RCPT=b"550 5.1.1 no\r\n")
    one("RET=FULL returns the message", 1, lambda text: "message/rfc822" in text and text.count("hello") > 2, options=" RET=FULL",
        RCPT=b"550 5.1.1 no\r\n")
    one("a next hop with DSN gets NOTIFY and RET", 0, parameters=" NOTIFY=SUCCESS,FAILURE", options=" RET=FULL",
        EHLO=b"250-hop.test\r\n250 DSN\r\n")
    for word in ("NOTIFY=SUCCESS,FAILURE", "RET=FULL"):
        check(f"{word} is passed on", any(word in command for command in hop.commands), hop.commands)
    before = len(reports())
    hop.play(RCPT=b"550 5.1.1 no\r\n")
    send(node, own.password, "дядя@hop.test", options=" SMTPUTF8")
    new = within(20, lambda: reports()[before:])
    has_type = any("Final-Recipient: utf-8; дядя@hop.test" in text for text in new)
    check("the report about a UTF-8 address is of the type utf-8", has_type, new)
