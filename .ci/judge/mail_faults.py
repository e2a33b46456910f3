"""Faults of mail and logins, played from outside: python3 mail_faults.py DEMO.json FREEHOLD [SECONDS]

Against the first node of a demo, and against a node of its own with an international domain, whose next hop is played here. For
SECONDS (60) somebody guesses passwords once a second from the owner's address. One line for each check; the exit code is 1 if one failed.
"""
import json
import os
import sys
import tempfile

from faults.browser import Browser
from faults.imap import imap_faults
from faults.letters import letters
from faults.logins import Guesses, crowd, revocation, second_press
from faults.next_hops import NextHop, next_hops
from faults.own_node import OwnNode, domains, folders
from faults.process import stop_nodes_on_sigterm
from faults.received import received
from faults.report import check, finish
from faults.requests import requests

(node, friend, *_), freehold = json.load(open(sys.argv[1]))["people"], os.path.abspath(sys.argv[2])
seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
stop_nodes_on_sigterm()

owner = Browser(node["ports"]["web"])
check("the owner logs in", owner.log_in(node["password"]))
guesses = Guesses(node, owner)
guesses.owner_logs_in()
revocation(node, owner)
second_press(owner)
guesses.owner_logs_in()
letters(node, owner, node["app_password"], friend)
requests(node, owner)
guesses.owner_logs_in()
with tempfile.TemporaryDirectory() as folder:
    hop = NextHop()
    hop.start()
    own = OwnNode(freehold, folder, hop)
    own_node = own.start()
    try:
        domains(own, own_node)
        next_hops(own, own_node, hop)
        guesses.owner_logs_in()
        imap_faults(own_node, own.password)
        received(own_node)
        guesses.owner_logs_in()
    finally:
        own.stop()
    folders(own, folder)
guesses.end(seconds)
crowd(node, node["app_password"])
sys.exit(finish())
