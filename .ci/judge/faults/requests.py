"""Faults of HTTP requests: names of hosts, origins of forms; and a core dump with keys."""
import re

from faults.browser import Browser
from faults.mail import Line
from faults.report import check


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
    limits = open(f"/proc/{node['pid']}/limits").read()
    check("no core dump has the keys", re.search(r"Max core file size\s+0\s+0", limits) is not None, limits)
