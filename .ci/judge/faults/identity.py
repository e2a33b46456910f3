"""Faults of the words, of retired nodes and of domains."""
import contextlib
import os
import pty
import re
import subprocess
import time

from faults.machines import PASSWORD, words_of
from faults.process import loopback, must, run, within
from faults.report import check


def words(freehold, folder):
    gina = folder / "gina"
    must(freehold, "--data", gina, "init", "--name", "Gina", "--login", "gina", "--password-file", "-", input=PASSWORD)
    card = must(freehold, "--data", gina, "identity", "card").strip()
    claim = folder / "claim.txt"
    new = [freehold, "identity", "new", "--node", card, "--out", str(claim)]
    with open("/dev/full", "w") as full:
        lost = subprocess.run(new, stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    check("words-to-a-full-disk-fail", lost.returncode != 0 and not claim.exists(), lost)
    reader, writer = os.pipe()
    os.close(reader)
    closed = subprocess.run(new, stdout=writer, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    os.close(writer)
    check("words-to-a-closed-pipe-fail", closed.returncode != 0 and not claim.exists(), closed)
    wrong = run(*new, input=" ".join(["abandon"] * 23 + ["art"]) + "\n")
    check("other-words-typed-back-are-refused", wrong.returncode == 65 and not claim.exists(), wrong)
    seen = on_terminal(new, lambda shown: words_of(shown) if shown.count("Person") else None)
    check("words-are-asked-back", claim.exists() and "Type the 24 words" in seen, seen)
    typed = words_of(seen).split()
    after = seen.split("Type the 24 words")[1]
    check("words-typed-are-not-echoed", sum(word in after.split() for word in typed) < 6, after)

    fresh = folder / "fresh"
    process = subprocess.Popen([freehold, "--data", str(fresh), *loopback(), "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    within(30, lambda: run(freehold, "--data", fresh, "status").returncode == 0)
    claim.unlink()
    card = must(freehold, "--data", fresh, "identity", "card").strip()
    must(freehold, "identity", "new", "--node", card, "--out", claim, stdin=subprocess.DEVNULL)
    claimed = must(freehold, "--data", fresh, "identity", "claim", claim)
    check("claim-says-what-comes-next", "set-up link" in claimed and "freehold init" in claimed, claimed)
    process.terminate()
    process.wait(20)


def on_terminal(command, answer):
    """Runs a command on a terminal and types the answer once there is one; what was shown."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(command[0], command)
    shown, answered = "", False
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 4096):
            shown += chunk.decode(errors="replace").replace("\r", "")
            if not answered and "then Enter" in shown and (text := answer(shown)):
                time.sleep(0.3)
                os.write(terminal, text.encode())
                answered = True
    os.waitpid(process, 0)
    return shown


def retirement(alice, bob, folder):
    within(30, lambda: re.search(r"Alice +connected", bob.friends()))
    alice.do("post", "-", input="# A place\n\nwhere I write.\n")
    key = re.search(r"\b[0-9a-f]{64}\b", alice.do("identity", "show")).group()
    request, signed = folder / "retire.txt", folder / "retire-signed.txt"
    told = alice.do("identity", "request", "retire-node", key[:8], "--out", request)
    check("retirement-says-what-stays", "1 post" in told and "Stays:" in told and "Goes:" in told, told)
    check("retirement-says-it-is-this-and-the-last-node", "the node you are asking" in told and "last node" in told, told)
    check("retirement-names-friends-who-know-no-other", "Bob" in told and "no other node" in told, told)
    typed = alice.words.split()
    typo = " ".join(typed[:3] + [typed[3] + "x"] + typed[4:]) + "\n" + typed[3] + "\n"
    done = alice.sign(request, signed, typo)
    check("one-mistyped-word-is-asked-again", done.returncode == 0 and "Word 4" in done.stdout, done)
    check("description-does-not-count-entries-as-posts", "all that it has said up to this request stays" in done.stdout, done.stdout)
    alice.do("identity", "upload", signed)
    learned = within(10, lambda: "is retired" in bob.friends())
    check("retirement-reaches-a-connected-friend", learned, bob.friends())
    check("retired-node-says-so", "retired" in alice.notices(), alice.status())
    refused = alice.ask("invite")
    check("retired-node-makes-no-invite", refused.returncode == 65 and "retired" in refused.stderr, refused)
    shown = alice.do("identity", "show")
    check("show-marks-the-node-as-retired", "retired" in shown, shown)


def domain(network):
    hal, folder = network.node("hal").start(), network.folder
    request, signed = folder / "domain.txt", folder / "domain-signed.txt"
    hal.do("identity", "request", "domain", "google.com", "--out", request)
    hal.sign(request, signed)
    hal.do("identity", "upload", signed)
    shown = hal.do("identity", "show")
    check("domain-that-nobody-asked-vouches-for-nothing", "does not check" in shown and "google.com vouches" not in shown, shown)
    hal.stop()
