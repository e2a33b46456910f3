"""Faults of letters that the owner writes in the browser and in a mail program."""
import smtplib

from faults.mail import imap, mailbox
from faults.report import check


def letters(node, owner, password):
    def sent(word):
        return [text for text in mailbox(node, password, "Sent") if word in text]

    text = f"From: {node['address']}\r\nMessage-ID: <judge-26@laptop>\r\nSubject: judge-26\r\n\r\nhello\r\n"
    smtp = smtplib.SMTP("127.0.0.1", node["ports"]["submission"], timeout=20)
    smtp.login(node["login"], password)
    smtp.sendmail(node["address"], [node["address"]], text)
    smtp.quit()
    session = imap(node, password)
    session.append("Sent", "(\\Seen)", None, text.encode())
    session.logout()
    check("Sent has one copy", len(sent("judge-26")) == 1, len(sent("judge-26")))
    to = f'"Doe, Bob" <{node["address"]}>'
    page = owner.submit("/home/mail/write", {"to": to, "subject": "judge-27", "text": "hello"})
    copies = sent("judge-27")
    check("a name with a comma is a recipient", page.status == 200 and len(copies) == 1 and '"Doe, Bob"' in copies[0], page.text[:300])
    page = owner.submit("/home/mail/write", {"to": node["address"], "subject": "", "text": ""})
    check("an empty letter is asked about", page.status == 422, page.status)
