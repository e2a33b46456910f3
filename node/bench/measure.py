#!/usr/bin/env python3
"""Measures a built node from outside: memory, start, pages, photos, delivery of a post to a friend. Python's standard library only.

    node/bench/measure.py target/release/freehold [idle] [ten] [full] [page] [photo] [post] [noop]

Each result is printed when it is measured. `full` first fills a node with 100,000 messages by SMTP and 10,000 posts by the control
socket, which takes minutes. `page` compares with nginx for the same bytes, if nginx is installed. `noop` times the answers to an IMAP
session while two others read messages of 60 MiB.
"""
import imaplib
import os
import shutil
import signal
import smtplib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / ".ci/judge"))
from faults.browser import Browser
from node import PASSWORD, TICKS, Node, deliver, free_port, wait_until_given_back, wait_until_idle

FREEHOLD = str(Path(sys.argv[1]).resolve())
WANTED = sys.argv[2:] or ["idle", "ten", "page", "photo", "post"]


def report(name, value):
    print(f"{name:72} {value}", flush=True)


def idle_memory(node):
    wait_until_given_back(node)
    return f"{node.memory('Pss'):.1f} ({node.memory('Private_Dirty'):.1f})"


def idle(base):
    starts = []
    node = Node(FREEHOLD, base / "idle", "idle")
    for _ in range(5):
        starts.append(node.start())
        wait_until_idle(node)
        node.stop()
    report("empty node, start to ready, median of 5, s", f"{statistics.median(starts):.3f}")
    node.start()
    report("empty node, idle, PSS MiB (private dirty MiB)", idle_memory(node))
    node.stop()


def ten(base):
    nodes = [Node(FREEHOLD, base / f"ten{i}", f"ten{i}") for i in range(10)]
    for node in nodes:
        node.start()
    wait_until_given_back(nodes[-1])
    pss = [node.memory("Pss") for node in nodes]
    report("ten empty nodes on one machine, PSS each, mean (most) MiB", f"{statistics.mean(pss):.1f} ({max(pss):.1f})")
    for node in nodes:
        node.stop()


def publish(node, count, sessions=16):
    """Publishes `count` posts through the control socket."""
    def session(numbers):
        for number in numbers:
            node.ask(ask="post", title=f"Entry {number}", text="A short thing that was worth writing down. " * 5, photos=[], draft=False)

    threads = [threading.Thread(target=session, args=(range(i, count, sessions),)) for i in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def png(number):
    """A picture of 16 times 16 pixels in one colour of its own."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + bytes([number, 90, 120]) * 16
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(row * 16)) + chunk(b"IEND", b"")


def delete_photos(node, base, count=50):
    """Adds photos and deletes them in the browser. Returns the processor time of one deletion, in ms."""
    for number in range(count):
        picture = base / f"{number}.png"
        picture.write_bytes(png(number))
        node.ask(ask="photo", file=str(picture), alt=f"number {number}", caption="")
    browser = Browser(node.ports["web"])
    if not browser.log_in(PASSWORD):
        sys.exit("the login was refused")
    photos = node.ask(ask="photo-list")
    wait_until_idle(node)
    before = node.cpu()
    for photo in photos:
        if (status := browser.post(f"/home/photos/{photo['id']}/delete", {}).status) != 303:
            sys.exit(f"deleting a photo: {status}")
    wait_until_idle(node)
    return (node.cpu() - before) / len(photos) * 1000


def full(base, messages=100_000, entries=10_000):
    node = Node(FREEHOLD, base / "full", "full")
    node.start()
    begun = time.monotonic()
    deliver(node, messages)
    took = time.monotonic() - begun
    report(f"{messages} messages of 1.4 KB by SMTP, 32 sessions, messages/s", f"{messages / took:.0f}")
    begun = time.monotonic()
    publish(node, entries)
    report(f"{entries} posts published, 16 writers, posts/s", f"{entries / (time.monotonic() - begun):.0f}")
    node.stop()
    report("full node, start to ready after a clean stop, s", f"{node.start():.2f}")
    report("full node, idle, PSS MiB (private dirty MiB)", idle_memory(node))
    report("full node, deleting a photo, CPU ms", f"{delete_photos(node, base):.1f}")
    node.stop(signal.SIGKILL)
    report("full node, start to ready after kill -9, s", f"{node.start():.2f}")
    node.stop(signal.SIGKILL)
    # Without rows the store is rebuilt from snapshot and log, as after a power cut.
    shutil.rmtree(node.data / "rows-sled")
    report("full node, start to ready when the rows are rebuilt from the log, s", f"{node.start():.2f}")
    node.stop()
    report("full node, data folder MiB", f"{sum(p.stat().st_blocks * 512 for p in node.data.rglob('*') if p.is_file()) / 2**20:.0f}")


def load(pid_cpu, port, path, host, requests):
    """Keep-alive requests over four connections. Returns CPU ms per request and the median time to the first byte in ms."""
    first = []

    def session(count):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
            for _ in range(count):
                begun = time.perf_counter()
                s.sendall(request)
                response = s.recv(65536)
                first.append(time.perf_counter() - begun)
                head, _, body = response.partition(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
                got = len(body)
                while got < length:
                    got += len(s.recv(65536))

    before = pid_cpu()
    threads = [threading.Thread(target=session, args=(requests // 4,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (pid_cpu() - before) / requests * 1000, statistics.median(first) * 1000


def page(base, requests=40_000):
    node = Node(FREEHOLD, base / "page", "page")
    node.start()
    text = "\n\n".join(["The chart is honest about this in its way: depths liable to change. " * 6] * 12)
    made = node.ask(ask="post", title="A page that many people read", text=text, photos=[], draft=False)
    path, host = made["path"], f"127.0.0.1:{node.ports['web']}"
    response = node.get(path)
    body = response.partition(b"\r\n\r\n")[2]
    report("public post page, bytes", len(body))
    load(node.cpu, node.ports["web"], path, host, 2000)
    nginx = shutil.which("nginx")
    with tempfile.TemporaryDirectory() as folder:
        if nginx:
            os.chmod(folder, 0o755)
            Path(folder, "post.html").write_bytes(body)
            number = free_port()
            Path(folder, "nginx.conf").write_text(
                f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error; events {{}}\n"
                f"http {{ access_log off; types {{ text/html html; }} gzip_static off; keepalive_requests 10000000; server {{ listen 127.0.0.1:{number}; root {folder}; }} }}\n")
            server = subprocess.Popen([nginx, "-c", f"{folder}/nginx.conf"], stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            worker = int(subprocess.check_output(["pgrep", "-P", str(server.pid)]).split()[0])

            def nginx_cpu():
                fields = Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()
                return (int(fields[11]) + int(fields[12])) / TICKS
        ours, theirs = [], []
        for _ in range(3):
            ours.append(load(node.cpu, node.ports["web"], path, host, requests))
            if nginx:
                theirs.append(load(nginx_cpu, number, "/post.html", host, requests))
        report("public post page, CPU ms per request, median of 3 (first byte ms)", "{:.4f} ({:.2f})".format(*sorted(ours)[1]))
        if nginx:
            report("nginx, the same bytes as a static file, in turns", "{:.4f} ({:.2f})".format(*sorted(theirs)[1]))
            server.terminate()
            server.wait()
    node.stop()


def photo(base):
    try:
        from PIL import Image
    except ImportError:
        report("photo", "skipped: python3-pil is needed to make a 24-megapixel picture")
        return
    picture = base / "24.jpg"
    noise = Image.effect_noise((1500, 1000), 40).resize((6000, 4000), Image.BICUBIC)
    Image.merge("RGB", [noise, noise.rotate(180), noise.transpose(Image.FLIP_LEFT_RIGHT)]).save(picture, quality=92)
    node = Node(FREEHOLD, base / "photo", "photo")
    node.start()
    wait_until_idle(node)
    before, begun = node.cpu(), time.monotonic()
    node.ask(ask="photo", file=str(picture), alt="noise", caption="")
    report(f"24-megapixel photo ({picture.stat().st_size >> 20} MiB), CPU s (wall s)", f"{node.cpu() - before:.2f} ({time.monotonic() - begun:.2f})")
    report("24-megapixel photo, peak memory of the node, MiB", f"{node.peak():.0f}")
    node.stop()


def post(base, count=100):
    alice, bob = Node(FREEHOLD, base / "alice", "alice"), Node(FREEHOLD, base / "bob", "bob")
    for node in (alice, bob):
        node.start()
    bob.ask(ask="friend-add", invite=alice.ask(ask="invite")["invite"])
    while not all(any(f["state"] == "friend" for f in node.ask(ask="friend-list")) for node in (alice, bob)):
        time.sleep(0.01)
    took = []
    for number in range(count):
        begun = time.perf_counter()
        alice.ask(ask="post", title=f"Post number {number} on its way", text="Going.", photos=[], draft=False)
        while not any(item["slug"] == f"post-number-{number}-on-its-way" for item in bob.ask(ask="timeline")):
            pass
        took.append((time.perf_counter() - begun) * 1000)
    report(f"post on one node to another's timeline, loopback, median (95 %) of {count}, ms",
        f"{statistics.median(took):.1f} ({sorted(took)[int(count * .95)]:.1f})")
    for node in (alice, bob):
        node.stop()


def large(number):
    """A message of 60 MiB in 900 parts, so that its structure takes long to find."""
    part = "--b\r\nContent-Type: text/plain\r\n\r\n" + ("A line of text to be searched, of 64 octets with its end....\r\n" * 1100) + "\r\n"
    return f"Subject: large {number}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{part * 900}--b--\r\n"


def noop(base, small_count=5000, large_count=3):
    node = Node(FREEHOLD, base / "noop", "noop", mail=["message_len_max = 67108864"])
    node.start()
    deliver(node, small_count)
    for number in range(large_count):
        with smtplib.SMTP("127.0.0.1", node.ports["smtp"]) as smtp:
            smtp.sendmail("bench@example.org", [f"{node.login}@{node.login}.localhost"], large(number))
    password = node.ask(ask="app-password", label="noop")["app_password"]

    def inbox():
        client = imaplib.IMAP4("127.0.0.1", node.ports["imap"])
        client.login("noop", password)
        client.select("INBOX")
        return client

    def fetch(client):
        for number in range(large_count):
            client.fetch(str(small_count + 1 + number), "(BODYSTRUCTURE)")

    def search(client):
        client.search(None, "TEXT", "needle")

    wait_until_idle(node)
    third = inbox()
    for what, works in (("nothing else", []), ("FETCH BODYSTRUCTURE of 60 MiB and SEARCH TEXT", [fetch, search])):
        threads = [threading.Thread(target=work, args=(inbox(),)) for work in works]
        for thread in threads:
            thread.start()
        took = []
        while any(thread.is_alive() for thread in threads) or (not threads and len(took) < 1000):
            begun = time.perf_counter()
            third.noop()
            took.append((time.perf_counter() - begun) * 1000)
        report(f"IMAP NOOP beside {what}, ms: worst (99 %, median) of {len(took)}",
            f"{max(took):.1f} ({sorted(took)[int(len(took) * .99)]:.1f}, {statistics.median(took):.2f})")
    node.stop()


with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as base:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    report("commit", commit)
    report("machine", f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB")
    for name in WANTED:
        {"idle": idle, "ten": ten, "full": full, "page": page, "photo": photo, "post": post, "noop": noop}[name](Path(base))
