"""Faults of HTTP requests: names of hosts, origins of forms, requests within requests; and a core dump with keys."""
import contextlib
import re
import socket

from faults.browser import Browser
from faults.mail import Line
from faults.report import check

HEAD = "POST /login HTTP/1.1\r\nHost: localhost\r\n"
INNER = "GET /about HTTP/1.1\r\nHost: localhost\r\n\r\n"
# What a proxy in front may read as one request, and a server as two (RFC 9112 6.3, 11.2).
SMUGGLED = {
    "two lengths": f"{HEAD}Content-Length: 0\r\nContent-Length: {len(INNER)}\r\n\r\n{INNER}",
    "a length and chunks": f"{HEAD}Content-Length: {5 + len(INNER)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{INNER}",
    "an unknown transfer coding": f"{HEAD}Content-Length: {len(INNER)}\r\nTransfer-Encoding: xchunked\r\n\r\n{INNER}",
    "a space before the colon": f"{HEAD}Content-Length : {len(INNER)}\r\n\r\n{INNER}",
    "a signed length": f"{HEAD}Content-Length: +0\r\n\r\n{INNER}",
    "a folded field": f"{HEAD}X: a\r\n Content-Length: {len(INNER)}\r\n\r\n{INNER}",
}


def responses(port, request):
    """All that the server answers to these bytes until it closes the connection, or is silent for a second."""
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(request.encode())
        while chunk := connection.recv(65536):
            answer += chunk
    return re.findall(rb"HTTP/1\.1 (\d+)", answer)


def smuggled(port):
    for name, request in SMUGGLED.items():
        codes = responses(port, request)
        check(f"a request with {name} is refused, and nothing behind it is answered", len(codes) == 1 and codes[0][:1] in b"45", codes)


def requests(node, owner):
    port = node["ports"]["web"]
    for host in ("localhost:evil", "[::1]evil", "localhost:80:80"):
        status = Browser(port).ask("GET", "/", headers={"Host": host}).status
        check(f"Host {host} is refused", status == 400, status)
    connection = Line(port)
    connection.send("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n")
    check("two Host fields are refused", " 400 " in connection.read())
    status = owner.post("/home", {"text": ""}, {"Origin": f"https://localhost:{port}"}).status
    check("a form from another scheme is refused", status == 403, status)
    smuggled(port)
    limits = open(f"/proc/{node['pid']}/limits").read()
    check("no core dump has the keys", re.search(r"Max core file size\s+0\s+0", limits) is not None, limits)
