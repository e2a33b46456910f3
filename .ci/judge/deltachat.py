"""Delta Chat's core between two people: python3 deltachat.py DEMO_JSON

Two accounts on two nodes introduce each other, then exchange encrypted text both ways, a group, and a picture. Each message must be there
within two seconds. The file is that of the demo; a person may have a `namespace`, in which the core then runs. Needs deltachat2 and deltachat-rpc-server (PyPI) in the Python that runs it.
"""
import base64
import json
import os
import queue
import sys
import tempfile
import threading
import time
from pathlib import Path

from deltachat2 import IOTransport

SECONDS_MAX = 2.0
# The smallest picture that the core takes for one.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
failed = 0


def check(name, holds, why=""):
    global failed
    print(f"{'PASS' if holds else 'FAIL'} {name}" + ("" if holds else f": {why}"), flush=True)
    failed += not holds


class Account:
    """One person's account, with the events that its core reports."""

    def __init__(self, person, folder):
        self.name = person["login"]
        server = Path(sys.executable).with_name("deltachat-rpc-server")
        if namespace := person.get("namespace"):
            inside = Path(folder) / f"{self.name}.sh"
            inside.write_text(f'#!/bin/sh\nexec ip netns exec {namespace} {server}\n')
            inside.chmod(0o755)
            server = inside
        log = open(f"{folder}/{self.name}.log", "w")
        self.transport = IOTransport(accounts_dir=f"{folder}/{self.name}", rpc_executable=str(server), stderr=log)
        self.transport.start()
        self.id = self.transport.call("add_account")
        self.events = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()
        self.call("set_config", "displayname", person["name"])
        ports = person["ports"]
        self.call("add_or_update_transport", {
            "addr": person["address"], "password": person["app_password"], "imapServer": "127.0.0.1", "imapPort": ports["imaps"],
            "imapFolder": None, "imapSecurity": "ssl", "imapUser": person["login"], "smtpServer": "127.0.0.1", "smtpPort": ports["smtps"],
            "smtpSecurity": "ssl", "smtpUser": person["login"], "smtpPassword": None,
            "certificateChecks": "acceptInvalidCertificates", "oauth2": False})
        self.call("start_io")

    def call(self, method, *arguments):
        return self.transport.call(method, self.id, *arguments)

    def listen(self):
        while True:
            event = self.transport.call("get_next_event")
            self.events.put(event.get("event", event))

    def next(self, kind, is_it, seconds):
        """The next event of this kind for which `is_it` holds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                event = self.events.get(timeout=left)
            except queue.Empty:
                break
            if event.get("kind") == kind and is_it(event):
                return event
        raise TimeoutError(f"{self.name}: no {kind} within {seconds} s")

    def message(self, is_it, seconds=15):
        """The next message that comes and is wanted."""
        found = {}

        def wanted(event):
            message = self.call("get_message", event["msgId"])
            if is_it(message):
                found.update(message)
            return bool(found)
        self.next("IncomingMsg", wanted, seconds)
        return found


def send(sender, chat, recipient, text, file=None):
    """Sends a message and checks that it comes, encrypted and in time. Returns the message."""
    begin = time.monotonic()
    sender.call("send_msg", chat, {"text": text, **({"file": str(file), "viewtype": "Image"} if file else {})})
    try:
        message = recipient.message(lambda message: message["text"] == text)
    except TimeoutError as error:
        check(f"{text}: {sender.name} to {recipient.name}", False, error)
        return None
    took = time.monotonic() - begin
    check(f"{text}: {sender.name} to {recipient.name}, {took:.2f} s", took <= SECONDS_MAX, f"{took:.2f} s")
    check(f"{text}: is encrypted", message["showPadlock"], message)
    return message


def play(folder):
    people = {person["login"]: person for person in json.load(open(sys.argv[1]))["people"]}
    alice, bob = (Account(people[login], folder) for login in ("alice", "bob"))
    check("both accounts log in over IMAP and SMTP", True)
    code = alice.call("get_chat_securejoin_qr_code", None)
    bob.call("secure_join", code)
    bob.next("SecurejoinJoinerProgress", lambda event: event["progress"] >= 1000, 30)
    check("the two introduce each other", True)
    contact = bob.call("lookup_contact_id_by_addr", people["alice"]["address"])
    chat = bob.call("create_chat_by_contact_id", contact)
    message = send(bob, chat, alice, "The tide is out")
    if message is None:
        return
    alice.call("accept_chat", message["chatId"])
    send(alice, message["chatId"], bob, "Then we can walk")
    group = alice.call("create_group_chat", "Walkers", True)
    alice.call("add_contact_to_chat", group, message["fromId"])
    message = send(alice, group, bob, "A group for Sunday")
    if message is not None:
        bob.call("accept_chat", message["chatId"])
        check("the group has its name", bob.call("get_basic_chat_info", message["chatId"])["name"] == "Walkers")
        send(bob, message["chatId"], alice, "I bring the bread")
    picture = Path(folder) / "tide.png"
    picture.write_bytes(PNG)
    message = send(alice, group, bob, "A picture", picture)
    if message is not None:
        check("the picture comes whole", message["file"] and Path(message["file"]).stat().st_size > 0, message)


def main():
    with tempfile.TemporaryDirectory() as folder:
        try:
            play(folder)
        except Exception as error:
            check("the play goes on", False, repr(error))
            for log in Path(folder).glob("*.log"):
                print(log.read_text()[-2000:])
    print(f"{failed} failed")
    sys.stdout.flush()
    # The readers of events still wait.
    os._exit(min(failed, 1))


main()
