"""Mail in a small internet: python3 internet.py FREEHOLD

Machines in network namespaces: DNS with a signed zone (knot, unbound), a foreign provider (Postfix, OpenDKIM), two nodes, and a stranger.
Needs root; with FREEHOLD_KEEP=1 its folders stay. One line for each check, with the seconds since the start; the exit code is 1 if one failed.
"""
import imaplib
import json
import os
import re
import shutil
import smtplib
import ssl
import sys
import time
from pathlib import Path

from faults.browser import Browser
from faults.machines import Network, in_namespace, must
from faults.process import run, stop_nodes_on_sigterm, within
from faults.report import check, finish
from small_internet import autoconfig, outgoing_friend
from small_internet.provider import PASSWORD, Provider
from small_internet.world import World, quoted

BEGIN = time.monotonic()


def seen(name, holds, why=""):
    check(f"{time.monotonic() - BEGIN:5.1f} s  {name}", holds, why)


class MailNode:
    """A node with a domain of its own, on the ports of the world."""

    def __init__(self, network, world, login, authority):
        self.login, self.domain, self.world = login, f"{login}.house", world
        self.address = f"{login}@{self.domain}"
        self.node = network.node(login, network.folder / login)
        world.use(self.node.namespace)
        world.machine(f"mail.{self.domain}", self.node.ip)
        world.add(f"{self.domain}. MX 10 mail.{self.domain}.", f'{self.domain}. TXT "v=spf1 ip4:{self.node.ip} -all"',
                  f'_dmarc.{self.domain}. TXT "v=DMARC1; p=reject"')
        self.node.data.mkdir()
        ports = "\n".join(f'{name} = "0.0.0.0:{port}"' for name, port in
                          (("smtp", 25), ("submission", 587), ("smtps", 465), ("imap", 143), ("imaps", 993)))
        (self.node.data / "freehold.toml").write_text(
            f'[listen]\nweb = "0.0.0.0:7080"\nlibp2p = "0.0.0.0:7001"\n{ports}\n[mail]\nhostname = "mail.{self.domain}"\n'
            f'trusted_roots = "{authority}"\n[web]\nnames = ["{self.domain}"]\n')
        self.node.do("init", "--name", login.title(), "--login", login, "--domain", self.domain, "--password-file", "-",
                     input="letters to the world")
        self.node.start()
        self.password = self.node.do("app-password", "--bare", "judge").strip()

    def publish_keys(self):
        records = json.loads(self.node.do("dkim", "show", "--json"))["records"]
        self.world.add(*(f"{record['name']}. TXT {quoted(record['value'])}" for record in records))
        return within(20, lambda: all(record["published"] for record in
                                      json.loads(self.node.do("dkim", "show", "--json"))["records"]))

    def inside(self, work):
        return in_namespace(self.node.namespace, work)

    def send(self, to, subject, text="Hello over there.\r\n"):
        def work():
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with smtplib.SMTP_SSL("127.0.0.1", 465, context=context, timeout=30) as line:
                line.login(self.login, self.password)
                message = f"From: {self.address}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{text}"
                try:
                    line.sendmail(self.address, [to], message.encode())
                except smtplib.SMTPRecipientsRefused as refused:
                    return str(refused)
                return ""
        return self.inside(work)

    def letters(self, folder="INBOX"):
        def work():
            with imaplib.IMAP4("127.0.0.1", 143, timeout=30) as line:
                line.login(self.login, self.password)
                line.select(folder, readonly=True)
                _, (numbers,) = line.search(None, "ALL")
                fetched = [line.fetch(number, "(BODY.PEEK[])")[1][0][1].decode() for number in numbers.split()]
                return fetched
        return self.inside(work)

    def letter(self, subject, folder="INBOX", seconds=30):
        """The letter with this subject, once it is there."""
        found = within(seconds, lambda: [text for text in self.letters(folder) if f"Subject: {subject}\r\n" in text])
        return found[0] if found else ""

    def report(self, about, seconds=40):
        """The delivery report that speaks of this address, once it is there."""
        is_it = lambda text: "multipart/report" in text and about in text
        found = within(seconds, lambda: [text for text in self.letters() if is_it(text)])
        return found[-1] if found else ""


def results(letter):
    """The results that the receiving server wrote: the first such field, without folding."""
    found = re.search(r"^Authentication-Results:.*?(?=^\S)", letter.replace("\r\n", "\n"), re.M | re.S)
    return re.sub(r"\s+", " ", found.group()) if found else ""


def spoof(network, world, to, author):
    """A letter of a stranger's machine that names another author. Returns the reply to it."""
    namespace, _ = network.machine()
    world.use(namespace)

    def work():
        with smtplib.SMTP(to.node.ip, 25, local_hostname="elsewhere.house", timeout=60) as line:
            line.ehlo()
            message = f"From: {author}\r\nTo: {to.address}\r\nSubject: from the bank\r\n\r\nPay here.\r\n"
            return str(line.sendmail("someone@elsewhere.house", [to.address], message))
    return in_namespace(namespace, work)


def play(network):
    world = World(network)
    network.nodes.append(world_end(world))
    provider = Provider(network, world)
    network.nodes.append(world_end(provider))
    alice, bob = (MailNode(network, world, login, provider.authority) for login in ("alice", "bob"))
    seen("the resolver validates the zone", "MX 13 2" in world.answer("alice.house", "MX"), world.answer("alice.house", "MX"))
    seen("the provider answers", provider.ready())

    alice.send("carol@provider.house", "before the keys")
    arrived = within(30, lambda: [text for text in provider.letters() if "before the keys" in text])
    seen("a letter goes without a signature while DNS has no key", arrived and "DKIM-Signature" not in arrived[0], arrived)
    seen("dkim show sees the records", alice.publish_keys() and bob.publish_keys())

    alice.send("carol@provider.house", "to the provider")
    arrived = within(30, lambda: [text for text in provider.letters() if "to the provider" in text])
    letter = arrived[0] if arrived else ""
    seen("a node's letter reaches the provider", letter, provider.letters())
    seen("over TLS", "using TLSv1" in letter, letter)
    seen("OpenDKIM finds the signature good", "dkim=pass" in results(letter), letter)
    seen("RSA and ed25519 signed it", "a=rsa-sha256" in letter and "a=ed25519-sha256" in letter, letter)
    (network.folder / "letter").write_text(letter)
    body = letter[letter.index("DKIM-Signature"):] if letter else ""
    judged = run("ip", "netns", "exec", provider.namespace, "/usr/bin/python3", "-c",
                 "import sys, dkim; data = sys.stdin.read().replace('\\n', '\\r\\n').encode();"
                 "d = dkim.DKIM(data); print([d.verify(idx=i) for i in range(2)])", input=body)
    seen("dkimpy finds both good", "[True, True]" in judged.stdout, judged.stdout + judged.stderr)

    provider.send("From: carol@provider.house\nTo: alice@alice.house\nSubject: from the provider\n\nHello Alice.\n", alice.address)
    letter = alice.letter("from the provider")
    seen("the provider's letter is in the inbox", letter, alice.letters())
    for proof in ("dkim=pass", "spf=pass", "dmarc=pass", "iprev=pass"):
        seen(f"with {proof}", proof in results(letter), results(letter))

    alice.send(bob.address, "node to node")
    letter = bob.letter("node to node")
    seen("a node's letter reaches the other node", letter, bob.letters())
    seen("with dkim, spf and dmarc pass", all(f"{proof}=pass" in results(letter) for proof in ("dkim", "spf", "dmarc")), results(letter))

    spoof(network, world, alice, "carol@provider.house")
    letter = alice.letter("from the bank", "Junk")
    seen("a spoofed letter is with the junk", "dmarc=fail" in results(letter), letter or alice.letters())
    seen("and not in the inbox", not any("from the bank" in text for text in alice.letters()))

    world.add("nullmx.house. MX 0 .", "inner.house. MX 10 mail.inner.house.", "mail.inner.house. A 10.0.0.1",
              "loop.house. MX 10 mail.alice.house.", "plain.house. A 11.1.5.250", "mail.two.house. A 11.1.5.251",
              "two.house. MX 5 mail.two.house.", "two.house. MX 10 mail.provider.house.")
    for to, reason in (("x@nullmx.house", "5.1.10"), ("x@nowhere.house", "5.1.2"), ("x@loop.house", "5.4.6")):
        alice.send(to, f"to {to}")
        report = alice.report(to)
        seen(f"a letter to {to} comes back at once ({reason})", reason in report and "Action: failed" in report, report)
    refused = alice.send("x@[11.1.5.2]", "to an address literal")
    seen("an address literal is refused while the program sends", "550" in refused or "501" in refused, refused)
    shown = lambda: alice.node.do("queue", "list")
    alice.send("carol@two.house", "the second server")
    # The provider does not serve this domain: its refusal shows that it was asked.
    seen("an unreachable first server is passed over", within(60, lambda: "454 4.7.1" in shown()), shown())
    alice.send("x@inner.house", "to an inner network")
    seen("an address of an inner network is not dialled", within(30, lambda: "x@inner.house" in shown()
                                                                 and "4.4.4" in alice.node.do("queue", "show", queue_id(shown(), "x@inner.house"))), shown())

    before = alice.node.do("dkim", "show")
    alice.node.do("dkim", "rotate")
    alice.send(bob.address, "while the keys change")
    letter = bob.letter("while the keys change")
    seen("the old keys sign until the new are published", "dkim=pass" in results(letter) and "freehold1r" in letter, letter)
    seen("rotate keeps the old records", all(name in alice.node.do("dkim", "show") for name in re.findall(r"freehold1\w", before)))
    alice.publish_keys()
    alice.send(bob.address, "with new keys")
    letter = bob.letter("with new keys")
    seen("then the new ones sign", "dkim=pass" in results(letter) and "freehold2r" in letter and "freehold1r" not in letter, letter)

    play_delta_chat(network, alice, bob)
    dora = play_closed_port(network, world, provider)
    outgoing_friend.play(world, provider, alice, bob, dora, seen, results)
    play_junk(provider, alice)
    play_addresses(provider, alice)
    play_rules_and_away(provider, alice)
    autoconfig.play(seen, network, world, provider, alice, bob)
    play_mta_sts(world, provider, alice)


def by_provider(provider, to, subject, author="carol@provider.house", fields=""):
    provider.send(f"From: {author}\nTo: {to}\nSubject: {subject}\n{fields}\nThe text of {subject}.\n", to)


def play_delta_chat(network, *nodes):
    """Delta Chat's core with an account on each node."""
    python = Path(os.environ.get("FREEHOLD_PYTHON", ""))
    people = [{"login": node.login, "name": node.login.title(), "address": node.address, "app_password": node.password,
               "ports": {"imaps": 993, "smtps": 465}, "namespace": node.node.namespace} for node in nodes]
    (network.folder / "people.json").write_text(json.dumps({"people": people}))
    played = run(python, Path(__file__).with_name("deltachat.py"), network.folder / "people.json")
    seen("Delta Chat talks between the nodes, encrypted, within two seconds", played.returncode == 0, played.stdout + played.stderr)


def play_closed_port(network, world, provider):
    """A node whose host lets nothing out to port 25: mail comes in, and goes out by a smarthost."""
    dora = MailNode(network, world, "dora", provider.authority)
    must("ip", "-n", dora.node.namespace, "rule", "add", "iif", "lo", "ipproto", "tcp", "dport", "25", "prohibit")
    dora.publish_keys()
    by_provider(provider, dora.address, "to a closed port")
    seen("a node whose port 25 is closed outward gets mail", dora.letter("to a closed port"), dora.letters())
    dora.send("carol@provider.house", "from behind a closed port")
    shown = lambda: dora.node.do("queue", "show", queue_id(dora.node.do("queue", "list"), "carol@provider.house"))
    seen("its own mail waits, and queue show says why", within(30, lambda: "4.4.1" in shown()), shown())
    refused = run("ip", "netns", "exec", dora.node.namespace, dora.node.freehold, "--data", dora.node.data, "smarthost", "set",
                  "mail.provider.house:587", "--user", "carol", "--password-file", "-", input="wrong")
    seen("a smarthost that refuses the login says so at once", "535" in refused.stdout, refused.stdout + refused.stderr)
    dora.node.do("smarthost", "set", "mail.provider.house:587", "--user", "carol", "--password-file", "-", input=PASSWORD)
    arrived = lambda: [text for text in provider.letters() if "Subject: from behind a closed port\n" in text]
    delivered = within(60, lambda: (dora.node.do("queue", "retry"), within(3, arrived))[1])
    seen("through the smarthost it arrives", delivered, shown() if not delivered else "")
    seen("signed by its own domain", delivered and "dkim=pass" in results(arrived()[0]) and "d=dora.house" in arrived()[0], arrived())

    def read(line):
        line.select("INBOX", readonly=True)
        return line.search(None, "SUBJECT", '"from behind a closed port"')[1][0]
    seen("carol reads it in Dovecot", provider.read(read), provider.letters()[-1:])
    return dora


def play_junk(provider, alice):
    """The filter learns from what a mail program moves into Junk, and back."""
    def move(subject, source, target):
        def work():
            with imaplib.IMAP4("127.0.0.1", 143, timeout=30) as line:
                line.login(alice.login, alice.password)
                line.select(source)
                _, (numbers,) = line.uid("SEARCH", "SUBJECT", f'"{subject}"')
                return line.uid("MOVE", numbers.decode().replace(" ", ","), target)[0]
        return alice.inside(work)

    for number in range(5):
        by_provider(provider, alice.address, f"offer {number}", "shop@provider.house")
    seen("letters of a shop come in", all(alice.letter(f"offer {number}") for number in range(5)), alice.letters())
    seen("a mail program moves them into Junk", move("offer", "INBOX", "Junk") == "OK")
    # The lessons are learnt in the background.
    learnt = lambda number: (by_provider(provider, alice.address, f"again {number}", "shop@provider.house"),
                             alice.letter(f"again {number}", "Junk", 3))[1]
    seen("the shop's next letter is with the junk", any(learnt(number) for number in range(5)), alice.letters("Junk"))
    by_provider(provider, alice.address, "another author")
    seen("a letter of another author of that domain is not", alice.letter("another author"), alice.letters("Junk"))


def play_addresses(provider, alice):
    """Further addresses: they take mail, name its senders, and are switched off."""
    masked = alice.node.do("address", "mask", "--for", "the provider").strip()
    by_provider(provider, masked, "to a masked address")
    seen("a masked address takes mail", alice.letter("to a masked address"), alice.letters())
    seen("and says who wrote", "carol@provider.house" in alice.node.do("address", "list"), alice.node.do("address", "list"))
    alice.node.do("address", "off", masked)
    by_provider(provider, masked, "to a closed address")
    refused = lambda: any("to a closed address" in text and "550 5.1.1" in text for text in provider.letters())
    seen("a closed one is refused, and the sender is told", within(30, refused), provider.letters()[-1:])


def play_rules_and_away(provider, alice):
    """A rule files and refuses letters as they come, and a person gets an answer while the owner is away."""
    def post(page, **fields):
        def work():
            browser = Browser(7080)
            return browser.log_in("letters to the world") and browser.post(page, fields).status == 303
        return alice.inside(work)

    made = post("/home/mail/rules", subject="marked", flagged="1") and post("/home/mail/rules", subject="unwanted", refused="1")
    seen("rules are made in the browser", made)
    by_provider(provider, alice.address, "a marked letter")
    alice.letter("a marked letter")
    flagged = lambda line: (line.login(alice.login, alice.password), line.select("INBOX"), line.search(None, "FLAGGED")[1][0])[2]
    def work():
        with imaplib.IMAP4("127.0.0.1", 143, timeout=30) as line:
            return flagged(line)
    seen("a rule marks a letter for a mail program", alice.inside(work))
    by_provider(provider, alice.address, "an unwanted letter")
    refused = lambda: any("an unwanted letter" in text and "550 5.7.1" in text for text in provider.letters())
    seen("a rule refuses a letter, and the sender is told", within(30, refused), provider.letters()[-1:])
    seen("an answer is set", post("/home/mail/away", text="Back on Monday."))
    by_provider(provider, alice.address, "are you there")
    by_provider(provider, alice.address, "and now")
    alice.letter("and now")
    answers = lambda: [text for text in provider.letters() if "Subject: Auto: " in text]
    seen("a person gets one answer", within(30, answers) and len(answers()) == 1 and "Auto-Submitted: auto-replied" in answers()[0], answers())
    seen("signed, and from the owner", answers() and "dkim=pass" in results(answers()[0]) and alice.address in answers()[0], answers())
    post("/home/mail/away", text="")


def play_mta_sts(world, provider, alice):
    """The provider demands verified TLS (MTA-STS, RFC 8461), and an attacker takes it away in several ways."""
    to = "carol@provider.house"
    arrived = lambda subject, seconds=30: within(seconds, lambda: any(f"Subject: {subject}\n" in text for text in provider.letters()))
    shown = lambda: alice.node.do("queue", "show", queue_id(alice.node.do("queue", "list"), to))
    log = lambda: alice.node.log.read_text()
    # The node may remember the answers of DNS for a second.
    refused = lambda reason: within(30, lambda: (alice.node.do("queue", "retry"), within(3, lambda: reason in shown()))[1])
    provider.publish_policy("version: STSv1\nmode: enforce\nmx: *.provider.house\nmax_age: 86400\n", "1")
    alice.send(to, "by the policy")
    seen("a letter goes to a server that the policy names", arrived("by the policy"), log()[-2000:])
    # The node may remember for a second that there was no policy.
    verified = lambda number: (number and alice.send(to, f"by the policy {number}"), within(2, lambda: "verified by MTA-STS" in log()))[1]
    seen("over TLS with a verified certificate", any(verified(number) for number in range(5)), log()[-2000:])

    demand = "which the MTA-STS policy of provider.house demands"
    provider.configure(smtpd_tls_security_level="none")
    within(20, lambda: not provider.greets_with_starttls())
    alice.send(to, "after a downgrade")
    seen("without STARTTLS a letter waits, and queue show says why",
         within(30, lambda: f"4.7.4 mail.provider.house does not offer STARTTLS, {demand}" in shown()), shown())

    world.remove("_mta-sts.provider.house.")
    provider.policy.unlink()
    provider.configure(smtpd_tls_security_level="may", smtpd_tls_cert_file=provider.folder / "keys/other.pem",
                       smtpd_tls_key_file=provider.folder / "keys/other.key")
    within(20, provider.greets_with_starttls)
    seen("a certificate of another name is refused, with the policy hidden too",
         refused(f"4.7.5 no verified TLS with mail.provider.house, {demand}"), shown())
    world.remove("provider.house. MX")
    world.add("provider.house. MX 10 mail.bob.house.")
    seen("a server that the policy does not name is left out",
         refused("4.7.0 the MTA-STS policy of provider.house names none"), shown())
    seen("nothing has gone in the clear or to others", not arrived("after a downgrade", 1))

    world.remove("provider.house. MX")
    world.add("provider.house. MX 10 mail.provider.house.")
    provider.configure(smtpd_tls_cert_file=provider.folder / "keys/tls.pem", smtpd_tls_key_file=provider.folder / "keys/tls.key")
    # Programs of Postfix that run already keep the old certificate for their last client.
    delivered = within(60, lambda: (alice.node.do("queue", "retry"), arrived("after a downgrade", 3))[1])
    seen("the letter is delivered when the server is mended", delivered, shown() if not delivered else "")


def queue_id(listed, address):
    """The id of the message in the queue to an address; "none" without one."""
    for line in listed.splitlines():
        if address in line:
            return line.split()[0]
    return "none"


def world_end(part):
    """The part as a network ends it."""
    return type("End", (), {"stop": staticmethod(part.close)})()


if __name__ == "__main__":
    stop_nodes_on_sigterm()
    network = Network(os.path.abspath(sys.argv[1]))
    try:
        play(network)
    finally:
        names = list(network.machines)
        network.close()
        for name in names:
            shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)
        if not os.environ.get("FREEHOLD_KEEP"):
            shutil.rmtree(network.folder, ignore_errors=True)
        else:
            print(network.folder)
    sys.exit(finish())
