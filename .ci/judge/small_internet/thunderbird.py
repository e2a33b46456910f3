"""The account set-up of Thunderbird: python3 thunderbird.py ADDRESS AUTHORITY TO SUBJECT <PASSWORD

It asks for the settings where Thunderbird does, in its order, reads them by the documented format of the file (config-v1.1.xml), and logs in
with exactly these settings: by IMAP, and by SMTP to send a message. TLS is verified against the certificate in the file AUTHORITY.
Prints JSON: the URL that had the settings, the settings, and a fault if something is not as documented or fails.
"""
import imaplib
import json
import smtplib
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

SOCKETS = ("plain", "SSL", "STARTTLS")
AUTHENTICATIONS = ("password-cleartext", "password-encrypted", "NTLM", "GSSAPI", "client-IP-address", "TLS-client-cert", "OAuth2", "none")


class Fault(Exception):
    """Something that is not as documented."""


def urls(address):
    """Where the settings are looked for, in this order."""
    domain, typed = address.rpartition("@")[2], urllib.parse.quote(address)
    for scheme in ("https", "http"):
        yield f"{scheme}://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={typed}"
        yield f"{scheme}://{domain}/.well-known/autoconfig/mail/config-v1.1.xml"


def fetch(address, context):
    failed = []
    for url in urls(address):
        try:
            with urllib.request.urlopen(url, timeout=10, context=context if url.startswith("https") else None) as answer:
                if "xml" not in answer.headers.get("Content-Type", ""):
                    raise Fault(f"{url} is {answer.headers.get('Content-Type')}, not XML")
                return url, answer.read(1 << 20)
        except (urllib.error.URLError, OSError) as error:
            failed.append(f"{url}: {error}")
    raise Fault("no settings: " + "; ".join(failed))


def text(element, name):
    """The text of the one child of this name."""
    found = element.findall(name)
    if len(found) != 1 or not (found[0].text or "").strip():
        raise Fault(f"<{element.tag}> has {len(found)} of <{name}>, or an empty one")
    return found[0].text.strip()


def server(provider, name, kind, address):
    """A server's settings, with the typed address in the placeholders."""
    servers = [server for server in provider.findall(name) if server.get("type") == kind]
    if not servers:
        raise Fault(f"there is no <{name} type={kind!r}>")
    # The first one that a program supports is taken.
    found, (local, _, domain) = servers[0], address.partition("@")
    settings = {key: text(found, key) for key in ("hostname", "port", "socketType", "username")}
    for key in ("hostname", "username"):
        for placeholder, typed in (("%EMAILADDRESS%", address), ("%EMAILLOCALPART%", local), ("%EMAILDOMAIN%", domain)):
            settings[key] = settings[key].replace(placeholder, typed)
        if "%" in settings[key]:
            raise Fault(f"an unknown placeholder in {settings[key]}")
    # Several are in the order of preference.
    settings["authentication"] = [element.text for element in found.findall("authentication")]
    if not settings["port"].isdigit() or settings["socketType"] not in SOCKETS:
        raise Fault(f"the port or the socket type of {settings}")
    if not settings["authentication"] or any(one not in AUTHENTICATIONS for one in settings["authentication"]):
        raise Fault(f"the authentication of {settings}")
    return settings


def parse(document, address):
    root = ElementTree.fromstring(document)
    if root.tag != "clientConfig" or root.get("version") != "1.1":
        raise Fault(f"the root is <{root.tag} version={root.get('version')!r}>")
    provider, domain = root.find("emailProvider"), address.rpartition("@")[2]
    if provider is None or not provider.get("id"):
        raise Fault("there is no <emailProvider> with an id")
    if domain not in [element.text for element in provider.findall("domain")]:
        raise Fault(f"no <domain> is {domain}")
    text(provider, "displayName"), text(provider, "displayShortName")
    return server(provider, "incomingServer", "imap", address), server(provider, "outgoingServer", "smtp", address)


def read_by_imap(settings, password, context):
    """Logs in and selects the inbox."""
    port = int(settings["port"])
    if settings["socketType"] == "SSL":
        line = imaplib.IMAP4_SSL(settings["hostname"], port, ssl_context=context, timeout=20)
    else:
        line = imaplib.IMAP4(settings["hostname"], port, timeout=20)
        line.starttls(context)
    with line:
        line.login(settings["username"], password)
        kind, _ = line.select("INBOX", readonly=True)
        if kind != "OK":
            raise Fault("the inbox can't be selected")


def send_by_smtp(settings, password, context, message, sender, to):
    port = int(settings["port"])
    if settings["socketType"] == "SSL":
        line = smtplib.SMTP_SSL(settings["hostname"], port, context=context, timeout=20)
    else:
        line = smtplib.SMTP(settings["hostname"], port, timeout=20)
        line.starttls(context=context)
    with line:
        line.login(settings["username"], password)
        line.sendmail(sender, [to], message.encode())


def main(address, authority, to, subject):
    context, told = ssl.create_default_context(cafile=authority), {"fault": ""}
    password = sys.stdin.read().strip()
    try:
        told["url"], document = fetch(address, context)
        told["imap"], told["smtp"] = parse(document, address)
        if any("password-cleartext" not in told[kind]["authentication"] for kind in ("imap", "smtp")):
            raise Fault("a password can't be used")
        read_by_imap(told["imap"], password, context)
        told["read"] = True
        message = f"From: {address}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nSent with the settings that were found.\r\n"
        send_by_smtp(told["smtp"], password, context, message, address, to)
        told["sent"] = True
    except (Fault, ElementTree.ParseError, imaplib.IMAP4.error, smtplib.SMTPException, OSError) as error:
        told["fault"] = f"{type(error).__name__}: {error}"
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
