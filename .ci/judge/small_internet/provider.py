"""A foreign mail provider: Postfix, with OpenDKIM, which signs and verifies, and Dovecot, which reads and logs in."""
import imaplib
import os
import pathlib
import shutil
import ssl
import subprocess

from faults.machines import in_namespace, must
from faults.process import run, within
from small_internet.world import quoted

DOMAIN = "provider.house"
PASSWORD = "at-the-provider"


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
        self.dovecot()
        self.programs = [self.start("dovecot", "-F", "-c", self.folder / "etc/dovecot.conf"),
                         self.start("opendkim", "-f", "-x", self.folder / "etc/opendkim.conf"),
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
        # Submission with a login (RFC 6409): the smarthost of others.
        with open(self.folder / "etc/master.cf", "a") as file:
            file.write("submission inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n  -o smtpd_sasl_auth_enable=yes\n"
                       f"  -o smtpd_sasl_type=dovecot\n  -o smtpd_sasl_path={self.folder}/dovecot/auth\n"
                       "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n")
        must("postconf", "-c", self.folder / "etc", "-F", "*/*/chroot = n")
        shutil.chown(self.folder / "data", "postfix")
        for folder in (self.folder / "mail", self.folder / "mail/carol"):
            os.chown(folder, 65534, 65534)
        # Postfix's users go through every folder above.
        for folder in [self.folder, *self.folder.parents][:3]:
            folder.chmod(folder.stat().st_mode | 0o055)

    def dovecot(self):
        (self.folder / "etc/dovecot.conf").write_text(f"""
base_dir = {self.folder}/dovecot
state_dir = {self.folder}/dovecot
log_path = {self.folder}/dovecot.log
protocols = imap
listen = *
ssl = yes
ssl_cert = <{self.folder}/keys/tls.pem
ssl_key = <{self.folder}/keys/tls.key
first_valid_uid = 1000
mail_location = maildir:{self.folder}/mail/%n
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={self.folder}/mail/%n
}}
service auth {{
  unix_listener auth {{
    path = {self.folder}/dovecot/auth
    mode = 0666
  }}
}}
""")

    def read(self, work):
        """The result of `work` with an IMAP connection of carol, over verified TLS."""
        def connect():
            context = ssl.create_default_context(cafile=self.authority)
            with imaplib.IMAP4(self.address, 143, timeout=30) as line:
                # The certificate is for this name; this process asks another DNS.
                line.host = f"mail.{DOMAIN}"
                line.starttls(context)
                line.login("carol", PASSWORD)
                return work(line)
        return in_namespace(self.namespace, connect)

    def ready(self):
        greeting = f"import socket; print(socket.create_connection(('{self.address}', 25), 5).recv(100))"
        return within(30, lambda: "220" in run("ip", "netns", "exec", self.namespace, "python3", "-c", greeting).stdout)

    def send(self, message, to):
        """Sends a letter of carol."""
        must("ip", "netns", "exec", self.namespace, "sendmail", "-C", self.folder / "etc", "-f", f"carol@{DOMAIN}", to,
             input=message)

    def letters(self):
        folder = pathlib.Path(self.folder / "mail/carol")
        files = [file for part in ("new", "cur") for file in (folder / part).glob("*")]
        return [file.read_text() for file in sorted(files, key=lambda file: file.name)]

    def close(self):
        run("ip", "netns", "exec", self.namespace, "postfix", "-c", self.folder / "etc", "stop")
        for program in self.programs:
            program.terminate()
            program.wait(20)
