"""Thunderbird finds the settings of a node by the address alone (thunderbird.py), as its owner would set it up at home."""
import json
import os
import pathlib
import subprocess

from faults.process import run, within

HERE = os.path.dirname(os.path.abspath(__file__))


def set_up(network, world, provider, owner, to, subject):
    """What Thunderbird finds on a machine of its own. `to` gets a message with this subject."""
    namespace, _ = network.machine()
    world.use(namespace)
    told = run("ip", "netns", "exec", namespace, "python3", f"{HERE}/thunderbird.py", owner.address, provider.authority, to, subject,
               input=owner.password)
    try:
        return json.loads(told.stdout)
    except ValueError:
        return {"fault": told.stdout + told.stderr}


def serve_https(provider, owner):
    """Gives the node a certificate that its owner has and the name of its domain, and puts a proxy with that certificate in front of its
    web port. Returns the proxy."""
    names = (f"mail.{owner.domain}", f"autoconfig.{owner.domain}", owner.domain)
    provider.certificate(owner.login, *names)
    base = pathlib.Path(provider.folder) / "keys" / owner.login
    for end, name in ((".pem", "cert.pem"), (".key", "key.pem")):
        (owner.node.data / "tls" / name).write_bytes(base.with_suffix(end).read_bytes())
    owner.node.stop()
    settings = owner.node.data / "freehold.toml"
    if "\nnames = " not in settings.read_text():
        with open(settings, "a") as file:
            file.write(f'[web]\nnames = ["{owner.domain}"]\n')
    owner.node.start()
    command = ["ip", "netns", "exec", owner.node.namespace, "python3", f"{HERE}/tls_front.py", owner.node.ip,
               base.with_suffix(".pem"), base.with_suffix(".key"), "7080"]
    front = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL)
    answers = f"import socket; socket.create_connection(('{owner.node.ip}', 443), 5)"
    within(20, lambda: run("ip", "netns", "exec", owner.node.namespace, "python3", "-c", answers).returncode == 0)
    return front


def play(seen, network, world, provider, owner, friend):
    front = serve_https(provider, owner)
    try:
        world.add(f"autoconfig.{owner.domain}. A {owner.node.ip}", f"{owner.domain}. A {owner.node.ip}")
        told = set_up(network, world, provider, owner, friend.address, "sent as Thunderbird does")
        host, servers = f"mail.{owner.domain}", [told.get(kind, {}) for kind in ("imap", "smtp")]
        seen("Thunderbird finds the settings at the host autoconfig", told.get("url", "").startswith(f"https://autoconfig.{owner.domain}/mail/"), told)
        seen("they are in its documented form, with the node's own host, TLS and the typed address",
             all((server.get("hostname"), server.get("socketType"), server.get("username")) == (host, "SSL", owner.address) for server in servers), told)
        seen("it logs in by IMAP with exactly these, over verified TLS", told.get("read"), told)
        seen("and sends by SMTP with exactly these", told.get("sent") and friend.letter("sent as Thunderbird does"), told)
        world.remove(f"autoconfig.{owner.domain}.")
        # The resolver remembers the host for a second.
        tries = []
        once_more = lambda: tries.append(set_up(network, world, provider, owner, friend.address, "sent once more")) or tries[-1].get("url") == below
        below = f"https://{owner.domain}/.well-known/autoconfig/mail/config-v1.1.xml"
        within(10, once_more)
        told = tries[-1]
        seen("without that host it finds the same below /.well-known",
             told.get("url") == below and told.get("sent") and [told["imap"], told["smtp"]] == servers, told)
    finally:
        front.terminate()
        front.wait(20)
