#!/usr/bin/env python3
"""Plays faults of federation and identity from outside: real nodes in network namespaces, a hostile caller, wrong clocks, copies of
folders, full disks. One line each, and a count at the end.

    .ci/judge/federation_faults.py [FREEHOLD]

Needs root (network namespaces), iproute2 and a C compiler (a shim for the clock). Python's standard library only.
"""
import os
import shutil
import sys
from pathlib import Path

from faults.copies import clocks, copies, theft
from faults.identity import domain, retirement, words
from faults.invites import external_name, half_open, inner_addresses, invites
from faults.machines import Network
from faults.process import stop_nodes_on_sigterm
from faults.report import failed, finish
from faults.shares import photo_share

freehold = str(Path(sys.argv[1] if len(sys.argv) > 1 else "target/debug/freehold").resolve())
if os.geteuid() != 0:
    sys.exit("needs root: network namespaces")
stop_nodes_on_sigterm()
network = Network(freehold)
try:
    alice, bob = network.node("alice").start(), network.node("bob").start()
    invites(alice, bob)
    external_name(network)
    inner_addresses(network, bob)
    half_open(network, alice)
    copies(network, bob)
    clocks(network, bob)
    theft(network)
    photo_share(network)
    words(freehold, network.folder)
    domain(network)
    retirement(alice, bob, network.folder)
finally:
    network.close()
if failed:
    print(f"the folders and logs are in {network.folder}")
else:
    shutil.rmtree(network.folder)
sys.exit(finish())
