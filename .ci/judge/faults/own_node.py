"""A node with an international domain and a route to a next hop; its addresses and its data folder."""
import json
import os
import subprocess

from faults.mail import Line
from faults.process import LISTENERS, run, within
from faults.report import check

# Of mail from strangers, in a day from one network.
SHARE_MIB = 16
PASSWORD = "the kettle sings at four"


class OwnNode:
    def __init__(self, freehold, folder, hop):
        self.freehold, self.data = freehold, os.path.join(folder, "node")
        listen = {f"FREEHOLD_LISTEN_{name.upper()}": "127.0.0.1:0" for name in LISTENERS}
        self.env = {**os.environ, **listen, "FREEHOLD_NODE_STRANGERS_FREE_MIB": "0", "FREEHOLD_MAIL_RETRY_FIRST_MS": "500",
                    "FREEHOLD_MAIL_STRANGERS_MIB_PER_NETWORK_DAY": str(SHARE_MIB),
                    "FREEHOLD_MAIL_ROUTES": f'{{ "hop.test" = "127.0.0.1:{hop.port}" }}'}
        self.made = self.init("müller.example")

    def run(self, *arguments, text="", data=None):
        return run(self.freehold, "--data", data or self.data, *arguments, input=text, env=self.env)

    def init(self, domain, data=None):
        return self.run("init", "--name", "Ruth", "--login", "ruth", "--domain", domain, "--password-file", "-", text=PASSWORD, data=data)

    def start(self):
        """Starts the node. Returns its status, which has the ports."""
        self.process = subprocess.Popen([self.freehold, "--data", self.data], env=self.env, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        within(20, lambda: self.run("status", "--json").returncode == 0)
        status = self.status()
        self.password = self.run("app-password", "--bare", "judge").stdout.strip()
        return status

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def domains(own, node):
    check("a domain of letters beyond ASCII is taken", own.made.returncode == 0, own.made.stderr)
    line = Line(node["ports"]["smtp"])
    line.read()
    line.smtp("EHLO judge.test")
    line.smtp("MAIL FROM:<a@b.example> SMTPUTF8")
    addresses = ["ruth@müller.example", "ruth@xn--mller-kva.example", "RUTH@MÜLLER.EXAMPLE"]
    for address in [*addresses, "abuse@müller.example", "hostmaster@müller.example", "webmaster@müller.example"]:
        check(f"mail to {address} is the owner's", (reply := line.smtp(f"RCPT TO:<{address}>")).startswith("250"), reply)
    line.smtp("RSET")
    for command in ("MAIL FROM:a@b.example", "MAIL FROM:<a.@docomo.example>", "MAIL FROM:<a..b@docomo.example>"):
        check(f"{command} is taken", (reply := line.smtp(command)).startswith("250"), reply)
        check("  and RCPT without brackets", (reply := line.smtp("RCPT TO:ruth@xn--mller-kva.example")).startswith("250"), reply)
        line.smtp("RSET")
    refused = own.init("1.2.3.4", own.data + "-2")
    check("an address is no domain", refused.returncode == 65, refused.stderr)


def folders(own, folder):
    writable = os.path.join(folder, "writable")
    os.mkdir(writable)
    os.chmod(writable, 0o777)
    refused = own.init("ruth.example", writable)
    check("a data folder that others can write is refused", refused.returncode == 73 and "chmod" in refused.stderr, refused.stderr)
    linked, elsewhere = os.path.join(folder, "linked"), os.path.join(folder, "elsewhere")
    os.mkdir(linked, 0o700)
    os.symlink(elsewhere, os.path.join(linked, "lock"))
    own.init("ruth.example", linked)
    check("a planted link makes no file elsewhere", not os.path.exists(elsewhere))
