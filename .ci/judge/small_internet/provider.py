"""A foreign mail provider: Postfix, with OpenDKIM, which signs and verifies."""
import os
import pathlib
import shutil
import subprocess

from faults.machines import must
from faults.process import run, within
from small_internet.world import quoted

DOMAIN = "provider.house"


class Provider:
    """carol@provider.house; her letters are files of a Maildir."""

    def __init__(self, network, world):
        self.folder = network.folder / "provider"
        for name in ("etc", "queue", "data", "mail/carol", "keys"):
            (self.folder / name).mkdir(parents=True)
        self.namespace, self.address = network.machine()
        self.world = world
        world.use(self.namespace)
        world.machine(f"mail.{DOMAIN}", self.address)
        self.keys()
        world.add(f"{DOMAIN}. MX 10 mail.{DOMAIN}.", f'{DOMAIN}. TXT "v=spf1 ip4:{self.address} -all"',
                  f'_dmarc.{DOMAIN}. TXT "v=DMARC1; p=reject"')
        self.postfix()
        self.programs = [self.start("opendkim", "-f", "-x", self.folder / "etc/opendkim.conf"),
                         self.start("postfix", "-c", self.folder / "etc", "start-fg")]

    def start(self, *command):
        log = open(self.folder / f"{command[0]}.log", "ab")
        return subprocess.Popen(["ip", "netns", "exec", self.namespace, *map(str, command)],
                                stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def keys(self):
        must("opendkim-genkey", "-b", "2048", "-d", DOMAIN, "-s", "s1", "-D", self.folder / "keys")
        text = "".join((self.folder / "keys/s1.txt").read_text().split('"')[1::2])
        self.world.add(f"s1._domainkey.{DOMAIN}. TXT {quoted(text)}")
        self.authority = self.folder / "keys/authority.pem"
        must("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=judge",
             "-keyout", self.folder / "keys/authority.key", "-out", self.authority)
        self.certificate("tls", f"mail.{DOMAIN}", f"mta-sts.{DOMAIN}")
        self.certificate("other", "mail.elsewhere.house")
        (self.folder / "etc/opendkim.conf").write_text(f"""
Mode sv
Domain {DOMAIN}
Selector s1
KeyFile {self.folder}/keys/s1.private
Socket inet:8891@127.0.0.1
AuthservID mail.{DOMAIN}
AlwaysAddARHeader yes
RequireSafeKeys false
Nameservers {self.world.resolver}
Syslog no
PidFile {self.folder}/opendkim.pid
""")

    def certificate(self, file, *names):
        """A certificate for these names, signed by the authority."""
        base = self.folder / "keys" / file
        base.with_suffix(".ext").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n")
        must("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={names[0]}", "-keyout", f"{base}.key", "-out", f"{base}.csr")
        must("openssl", "x509", "-req", "-in", f"{base}.csr", "-CA", self.authority, "-CAkey", self.folder / "keys/authority.key",
             "-CAcreateserial", "-days", "2", "-extfile", f"{base}.ext", "-out", f"{base}.pem")

    def publish_policy(self, text, policy_id):
        """Publishes an MTA-STS policy."""
        self.policy = self.folder / "policy.txt"
        self.policy.write_text(text)
        here = os.path.dirname(os.path.abspath(__file__))
        self.programs.append(self.start("python3", f"{here}/policy_server.py", self.address, self.folder / "keys/tls.pem",
                                        self.folder / "keys/tls.key", self.policy))
        self.world.add(f"mta-sts.{DOMAIN}. A {self.address}", f'_mta-sts.{DOMAIN}. TXT "v=STSv1; id={policy_id};"')
        greeting = f"import socket; socket.create_connection(('{self.address}', 443), 5)"
        assert within(20, lambda: run("ip", "netns", "exec", self.namespace, "python3", "-c", greeting).returncode == 0)

    def configure(self, **settings):
        """Changes settings of the running Postfix."""
        must("postconf", "-c", self.folder / "etc", "-e", *(f"{name}={value}" for name, value in settings.items()))
        must("ip", "netns", "exec", self.namespace, "postfix", "-c", self.folder / "etc", "reload")

    def greets_with_starttls(self):
        """Whether a client is offered STARTTLS."""
        work = f"import smtplib; s = smtplib.SMTP('{self.address}', 25, timeout=5); s.ehlo(); print(s.has_extn('starttls'))"
        return "True" in run("ip", "netns", "exec", self.namespace, "python3", "-c", work).stdout

    def postfix(self):
        shutil.copy("/usr/share/postfix/master.cf.dist", self.folder / "etc/master.cf")
        (self.folder / "etc/main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
maillog_file = {self.folder}/postfix.log
maillog_file_prefixes = {self.folder}
myhostname = mail.{DOMAIN}
mydomain = {DOMAIN}
myorigin = {DOMAIN}
mydestination =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {self.folder}/mail
virtual_mailbox_maps = inline:{{ carol@{DOMAIN}=carol/ }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtp_tls_security_level = may
smtpd_tls_security_level = may
smtpd_tls_cert_file = {self.folder}/keys/tls.pem
smtpd_tls_key_file = {self.folder}/keys/tls.key
smtpd_tls_received_header = yes
smtpd_milters = inet:127.0.0.1:8891
non_smtpd_milters = inet:127.0.0.1:8891
alias_maps =
alias_database =
""")
        must("postconf", "-c", self.folder / "etc", "-F", "*/*/chroot = n")
        shutil.chown(self.folder / "data", "postfix")
        for folder in (self.folder / "mail", self.folder / "mail/carol"):
            os.chown(folder, 65534, 65534)
        # Postfix's users go through every folder above.
        for folder in [self.folder, *self.folder.parents][:3]:
            folder.chmod(folder.stat().st_mode | 0o055)

    def ready(self):
        greeting = f"import socket; print(socket.create_connection(('{self.address}', 25), 5).recv(100))"
        return within(30, lambda: "220" in run("ip", "netns", "exec", self.namespace, "python3", "-c", greeting).stdout)

    def send(self, message, to):
        """Sends a letter of carol."""
        must("ip", "netns", "exec", self.namespace, "sendmail", "-C", self.folder / "etc", "-f", f"carol@{DOMAIN}", to,
             input=message)

    def letters(self):
        folder = pathlib.Path(self.folder / "mail/carol/new")
        return [file.read_text() for file in sorted(folder.glob("*"))] if folder.exists() else []

    def close(self):
        run("ip", "netns", "exec", self.namespace, "postfix", "-c", self.folder / "etc", "stop")
        for program in self.programs:
            program.terminate()
            program.wait(20)
