"""Friends with public domains: HTTPS proves whose a domain is, mail goes straight between the nodes, and a friend's node sends the mail of
one whose port 25 is closed."""
import os
import re
import subprocess

from faults.process import run, within

HERE = os.path.dirname(os.path.abspath(__file__))
TO = "carol@provider.house"


def serve_https(world, provider, node, certificate_of=None):
    """Serves the node's site at its domain, with a certificate of the provider's authority. Returns the program."""
    name = certificate_of or node.domain
    provider.certificate(f"site-{node.login}", name)
    base = provider.folder / "keys" / f"site-{node.login}"
    world.add(f"{node.domain}. A {node.node.ip}")
    program = subprocess.Popen(["ip", "netns", "exec", node.node.namespace, "python3", f"{HERE}/tls_front.py", node.node.ip,
                                f"{base}.pem", f"{base}.key", "7080"], stdin=subprocess.DEVNULL)
    provider.programs.append(program)
    greeting = f"import socket; socket.create_connection(('{node.node.ip}', 443), 5)"
    assert within(20, lambda: run("ip", "netns", "exec", node.node.namespace, "python3", "-c", greeting).returncode == 0)
    return program


def confirmed(node, domain, is_confirmed):
    """Whether the node's log says that it has asked the domain's site, with this result."""
    line = f'"domain":"{domain}","is_confirmed":{str(is_confirmed).lower()}'
    return within(30, lambda: line in node.node.log.read_text())


def shown(node, address=TO):
    listed = node.node.do("queue", "list").splitlines()
    found = [line.split()[0] for line in listed if address in line]
    return node.node.do("queue", "show", found[0]) if found else ""


def arrived(provider, subject):
    return [text for text in provider.letters() if f"Subject: {subject}\n" in text]


def friends_by_https(world, provider, alice, bob, dora, seen):
    """The sites of bob and dora prove their domains; that of alice has a certificate of another name."""
    serve_https(world, provider, bob)
    serve_https(world, provider, dora)
    unproven = serve_https(world, provider, alice, "mail.elsewhere.house")
    seen("bob and dora become friends", bob.node.befriend(dora.node), bob.node.friends())
    seen("bob and alice too", bob.node.befriend(alice.node), bob.node.friends())
    seen("dora's node confirms bob's domain by HTTPS", confirmed(dora, bob.domain, True), dora.node.log.read_text()[-2000:])
    seen("bob's node confirms dora's", confirmed(bob, dora.domain, True), bob.node.log.read_text()[-2000:])
    not_yet = lambda: re.search(r"not confirmed yet.*alice\.house|alice\.house.*not confirmed yet", bob.node.log.read_text())
    seen("a site with the certificate of another name proves nothing", within(30, not_yet), bob.node.log.read_text()[-2000:])
    dora.send(bob.address, "from house to house")
    letter = bob.letter("from house to house")
    seen("a letter to a confirmed domain goes straight to the node", "with LIBP2P" in letter, letter or shown(dora, bob.address))
    bob.send(alice.address, "by the gate")
    letter = alice.letter("by the gate")
    seen("one to a domain that is not confirmed goes by SMTP", letter and "with LIBP2P" not in letter, letter)
    unproven.terminate()
    unproven.wait()


def send_by_friend(provider, alice, bob, dora, seen, results):
    """Dora's port 25 is closed, and bob's node sends her mail."""
    dora.node.do("smarthost", "friend", "Bob")
    seen("smarthost show names the friend", "Bob's node" in dora.node.do("smarthost", "show"), dora.node.do("smarthost", "show"))
    dora.send(TO, "without leave")
    report = dora.report(TO)
    seen("a friend who is not allowed gets a clear failure", "5.7.1" in report and "not allowed it" in report, report or shown(dora))
    seen("and nothing has left", not arrived(provider, "without leave"))

    bob.node.do("friend", "relay", "Dora")
    dora.send(TO, "by a friend")
    seen("an allowed friend's letter reaches the provider", within(40, lambda: arrived(provider, "by a friend")), shown(dora) + bob.node.log.read_text()[-1500:])
    letter = (arrived(provider, "by a friend") or [""])[0]
    seen("from bob's address", f"[{bob.node.ip}]" in letter, letter)
    seen("with DKIM pass of dora's domain", "dkim=pass" in results(letter) and "d=dora.house" in letter and "d=bob.house" not in letter, letter)
    dora.send(alice.address, "by a friend to alice")
    letter = alice.letter("by a friend to alice", seconds=40)
    seen("and with DMARC pass, though SPF fails", "dmarc=pass" in results(letter) and "spf=fail" in results(letter), results(letter) or shown(dora, alice.address))
    dora.send("nobody@provider.house", "to nobody")
    report = dora.report("nobody@provider.house")
    seen("a refusal comes back to the author as a report", "550" in report and "Action: failed" in report, report)
    seen("and not to the friend", not any("nobody@provider.house" in text for text in bob.letters()))


def kill_on_the_way(provider, bob, dora, seen):
    """Bob's node is killed while dora's letters are on the way: each arrives, and once."""
    bob.node.process.kill()
    bob.node.process.wait()
    dora.send(TO, "while bob sleeps")
    waits = within(20, lambda: "by Bob's node" in shown(dora))
    seen("a letter waits for a friend who is away, and queue show says by whom", waits, shown(dora))
    bob.node.start()
    woken = lambda: (dora.node.do("queue", "retry"), within(3, lambda: arrived(provider, "while bob sleeps")))[1]
    seen("and leaves when the friend is back", within(60, woken), shown(dora))
    text = "0123456789 0123456789 0123456789 0123456789\r\n" * 25_000
    subjects = [f"on the way {number}" for number in range(4)]
    for subject in subjects:
        dora.send(TO, subject, text)
        # The text is 1.1 MB: the kill meets the offer, the text, the check or the sending.
        within(0.3 + 0.25 * subjects.index(subject), lambda: False)
        bob.node.process.kill()
        bob.node.process.wait()
        bob.node.start()
    done = lambda: (dora.node.do("queue", "retry"), bob.node.do("queue", "retry"),
                    within(3, lambda: all(arrived(provider, subject) for subject in subjects)))[2]
    seen("nothing is lost when the friend's node is killed half-way", within(120, done),
         [subject for subject in subjects if not arrived(provider, subject)] + [shown(dora), shown(bob)])
    counts = {subject: len(arrived(provider, subject)) for subject in subjects}
    # SMTP alone may repeat one whose answer was lost (RFC 5321 6.1).
    seen("and at most what SMTP was sending comes twice", all(count <= 2 for count in counts.values()), counts)
    print(f"     copies of four letters, bob killed four times: {sorted(counts.values())}")


def withdrawn(provider, bob, dora, seen):
    bob.node.do("friend", "relay", "Dora", "--off")
    dora.send("other@provider.house", "after the end")
    report = dora.report("other@provider.house")
    seen("when the friend withdraws the leave, letters fail clearly", "not allowed it" in report, report)
    dora.node.do("smarthost", "remove")


def play(world, provider, alice, bob, dora, seen, results):
    dora.node.do("smarthost", "remove")
    friends_by_https(world, provider, alice, bob, dora, seen)
    send_by_friend(provider, alice, bob, dora, seen, results)
    kill_on_the_way(provider, bob, dora, seen)
    withdrawn(provider, bob, dora, seen)
