"""Faults of letters that the owner writes in the browser and in a mail program."""
import re
import smtplib
import time

from faults.mail import imap, mailbox
from faults.process import within
from faults.report import check


def letters(node, owner, password, friend):
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
    undeliverable(node, owner, password, friend, f"{run}-3")


def undeliverable(node, owner, password, friend, subject):
    to = "ann@nowhere.example"
    page = owner.submit("/home/mail/write", {"to": to, "subject": subject, "text": "hello"})
    check("the form says where no letter goes", page.status == 422 and "nowhere.example" in page.text, page.text[-2000:])
    smtp = smtplib.SMTP("127.0.0.1", node["ports"]["submission"], timeout=20)
    smtp.login(node["login"], password)
    smtp.mail(node["address"])
    code, reply = smtp.rcpt(to)
    smtp.quit()
    check("and so is a program told", code == 550, reply)

    to = f"nobody@{friend['address'].split('@')[1]}"
    owner.submit("/home/mail/write", {"to": to, "subject": subject, "text": "hello"})

    def report():
        rows = re.findall(r'href="(/home/mail/[0-9]+/[0-9]+)"[^>]*>(.*?)</a>', owner.get("/home/mail").text, re.S)
        return next((link for link, row in rows if subject in row), None)

    link = within(40, report)
    page = owner.get(link).text if link else ""
    check("a report names the letter that was not delivered", subject in page and to in page, page[-2000:])
    check("and offers no answer to a program", link and "Reply to Mail" not in page, page[-2000:])
    folder = re.search(r'href="(/home/mail/[0-9]+)"[^>]*>(?:\s*<[^>]*>)*\s*Sent', owner.get("/home/mail").text)
    listed = owner.get(folder[1]).text if folder else ""
    check("the letter in Sent is marked", subject in listed and "data-failed" in listed, listed[-2000:])
