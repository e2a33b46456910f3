"""Faults of letters that the owner writes in the browser and in a mail program."""
import smtplib
import time

from faults.mail import imap, mailbox
from faults.report import check


def letters(node, owner, password):
    run = f"judge-{time.time_ns()}"

    def sent(word):
        return [text for text in mailbox(node, password, "Sent") if word in text]

    text = f"From: {node['address']}\r\nMessage-ID: <{run}-1@laptop>\r\nSubject: {run}-1\r\n\r\nhello\r\n"
    smtp = smtplib.SMTP("127.0.0.1", node["ports"]["submission"], timeout=20)
    smtp.login(node["login"], password)
    smtp.sendmail(node["address"], [node["address"]], text)
    smtp.quit()
    session = imap(node, password)
    session.append("Sent", "(\\Seen)", None, text.encode())
    session.logout()
    check("Sent has one copy", len(sent(f"{run}-1")) == 1, len(sent(f"{run}-1")))
    to = f'"Doe, Bob" <{node["address"]}>'
    page = owner.submit("/home/mail/write", {"to": to, "subject": f"{run}-2", "text": "hello"})
    copies = sent(f"{run}-2")
    check("a name with a comma is a recipient", page.status == 200 and len(copies) == 1 and '"Doe, Bob"' in copies[0], page.text[:300])
    page = owner.submit("/home/mail/write", {"to": node["address"], "subject": "", "text": ""})
    check("an empty letter is asked about", page.status == 422, page.status)
