"""Nodes on machines of their own: network namespaces on one bridge, at addresses that count as the Internet's. Needs root and iproute2."""
import contextlib
import ctypes
import json
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path

from faults.process import must, run, within

PASSWORD = "faults of federation and identity"
CLONE_NEWNET = 0x40000000


class Network:
    """A bridge with one namespace per machine. Folders and logs of the nodes are in `folder`."""

    def __init__(self, freehold):
        self.freehold, self.folder = freehold, Path(tempfile.mkdtemp(prefix="freehold-faults-"))
        self.tag, self.machines, self.nodes = f"fh{os.getpid() % 10_000}", [], []
        must("ip", "link", "add", f"{self.tag}b", "type", "bridge")
        must("ip", "link", "set", f"{self.tag}b", "up")

    def machine(self):
        """The name and the address of a new namespace."""
        number = len(self.machines) + 1
        name, address = f"{self.tag}n{number}", f"11.1.5.{number}"
        self.machines.append(name)
        must("ip", "netns", "add", name)
        must("ip", "link", "add", f"{self.tag}v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        must("ip", "link", "set", f"{self.tag}v{number}", "master", f"{self.tag}b", "up")
        for arguments in (["addr", "add", f"{address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            must("ip", "-n", name, *arguments)
        return name, address

    def node(self, name, folder=None):
        """A node on a machine of its own; new, or with a folder that has a node already."""
        node = Node(self, name, folder or self.folder / name)
        self.nodes.append(node)
        if folder is None:
            node.data.mkdir()
            node.configure()
            node.words = words_of(node.do("init", "--name", name.title(), "--login", name, "--password-file", "-", input=PASSWORD))
        return node

    def close(self):
        for node in self.nodes:
            with contextlib.suppress(Exception):
                node.stop()
        for name in self.machines:
            run("ip", "netns", "del", name)
        run("ip", "link", "del", f"{self.tag}b")


class Node:
    def __init__(self, network, name, data):
        self.freehold, self.name, self.data = network.freehold, name, data
        self.namespace, self.ip = network.machine()
        self.log = network.folder / f"{name}-{self.ip}.log"
        self.process, self.words = None, None

    def configure(self, external=(), libp2p="0.0.0.0:7001"):
        lines = ["[listen]", 'web = "0.0.0.0:7080"', f'libp2p = "{libp2p}"', "[federation]", f"external = {json.dumps(list(external))}",
                 "[web]", f'public_url = "http://{self.ip}:7080"']
        (self.data / "freehold.toml").write_text("\n".join(lines) + "\n")

    def start(self, **environment):
        command = ["ip", "netns", "exec", self.namespace, self.freehold, "--data", str(self.data), "serve"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **environment})
        if not within(60, lambda: self.ask("status").returncode == 0):
            raise RuntimeError(f"{self.name} did not start: {self.log.read_text()[-2000:]}")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def ask(self, *command, **options):
        return run(self.freehold, "--data", self.data, *command, **options)

    def do(self, *command, **options):
        return must(self.freehold, "--data", self.data, *command, **options)

    def status(self):
        return json.loads(self.do("status", "--json"))

    def notices(self):
        return [notice["name"] for notice in self.status().get("notices", [])]

    def friends(self):
        return self.do("friend", "list")

    def invite(self):
        return re.search(r"http\S+/i#\S+", self.do("invite")).group()

    def long_invite(self):
        return re.findall(r"http\S+/i#\S+", self.do("invite"))[-1]

    def befriend(self, other):
        other.do("friend", "add", self.invite())
        return within(30, lambda: self.is_friend_of(other) and other.is_friend_of(self))

    def is_friend_of(self, other):
        return re.search(rf"^friend +{other.name.title()}\b", self.friends(), re.M)

    def sign(self, request, out, words=None):
        return run(self.freehold, "identity", "sign", request, "--yes", "--out", out, input=words or self.words)


def words_of(printed):
    """The 24 words of a printed recovery card, as they are typed."""
    card = printed.split("Freehold recovery card")[1].split("Person")[0]
    numbered = re.findall(r"(\d+) ([a-z]+)\b", card)
    return " ".join(word for _, word in sorted(numbered, key=lambda pair: int(pair[0]))) + "\n"


def page(node, path):
    """A page of the node, as its machine gets it."""
    return must("ip", "netns", "exec", node.namespace, "python3", "-c",
                f"import urllib.request as u; print(u.urlopen('http://{node.ip}:7080{path}').read().decode())")


def in_namespace(name, work):
    """Runs `work` in a thread whose new sockets are in the namespace."""
    result = []

    def body():
        with open(f"/var/run/netns/{name}") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        result.append(work())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return result[0]
