"""SCRAM-SHA-256 with Python's own hmac, against imaplib and smtplib: right and wrong proofs, cancelled logins, channel binding flags.

    scram.py IMAPS_PORT SMTPS_PORT CERTIFICATE USER PASSWORD

Python has no tls-exporter, so SCRAM-SHA-256-PLUS is left to gsasl (mail.sh). The exit code is 1 if an answer was wrong.
"""
import base64
import hashlib
import hmac
import imaplib
import secrets
import smtplib
import ssl
import sys


class Scram:
    """The client's side of one login (RFC 5802)."""

    def __init__(self, user, password, header="n,,"):
        self.header, self.password, self.server_proof = header, password.encode(), None
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.nonce = secrets.token_urlsafe(18)
        self.bare = f"n={name},r={self.nonce}"
        self.turn = 0

    def answer(self, challenge):
        """The next message, given the server's; `*` cancels."""
        self.turn += 1
        if self.turn == 1:
            return f"{self.header}{self.bare}".encode()
        if self.turn == 2:
            return self.last(challenge.decode())
        assert challenge.decode() == self.server_proof, "the server does not know the password"
        return b""

    def last(self, challenge):
        nonce, salt, count = (part[2:] for part in challenge.split(","))
        assert nonce.startswith(self.nonce) and len(nonce) >= len(self.nonce) + 16 and int(count) >= 4096, challenge
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(salt), int(count))
        mac = lambda key, text: hmac.new(key, text, "sha256").digest()
        key = mac(salted, b"Client Key")
        signed = f"c={base64.b64encode(self.header.encode()).decode()},r={nonce}"
        auth = f"{self.bare},{challenge},{signed}".encode()
        proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.sha256(key).digest(), auth)))
        self.server_proof = "v=" + base64.b64encode(mac(mac(salted, b"Server Key"), auth)).decode()
        return f"{signed},p={base64.b64encode(proof).decode()}".encode()


def imap(port, tls):
    return imaplib.IMAP4_SSL("localhost", port, ssl_context=tls)


def imap_error(port, tls, answer):
    """The text of the refusal of a login by this function."""
    client = imap(port, tls)
    try:
        client.authenticate("SCRAM-SHA-256", answer)
    except imaplib.IMAP4.error as error:
        return str(error)
    finally:
        client.shutdown()
    raise AssertionError("the login succeeded")


def smtp(port, tls):
    client = smtplib.SMTP_SSL("localhost", port, context=tls)
    client.ehlo("judge.example")
    return client


def smtp_auth(client, login):
    """The code and text of the end of a login."""
    encoded = lambda text: base64.b64encode(text).decode()
    code, text = client.docmd("AUTH", "SCRAM-SHA-256 " + encoded(login.answer(b"")))
    while code == 334:
        code, text = client.docmd(encoded(login.answer(base64.b64decode(text))))
    return code, text.decode()


def main():
    imaps, smtps, certificate, user, password = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
    tls = ssl.create_default_context(cafile=certificate)
    for known_as in (password, password.replace("-", "")):
        client = imap(imaps, tls)
        assert "AUTH=SCRAM-SHA-256" in client.capabilities and "AUTH=SCRAM-SHA-256-PLUS" in client.capabilities, client.capabilities
        status, _ = client.authenticate("SCRAM-SHA-256", Scram(user, known_as).answer)
        assert status == "OK" and client.select("INBOX", readonly=True)[0] == "OK"
        client.logout()
        client = smtp(smtps, tls)
        assert "SCRAM-SHA-256-PLUS" in client.esmtp_features["auth"].split(), client.esmtp_features
        assert smtp_auth(client, Scram(user, known_as))[0] == 235
        client.quit()
    for login in (Scram(user, "wrong"), Scram("no=bo,dy", password)):
        refused = imap_error(imaps, tls, login.answer)
        # The fourth guess of a network within an hour must wait.
        assert "[AUTHENTICATIONFAILED]" in refused or "[UNAVAILABLE]" in refused, refused
    # The client can bind channels and thinks that the server can't: RFC 5802 section 6.
    assert "[AUTHENTICATIONFAILED]" in imap_error(imaps, tls, Scram(user, password, "y,,").answer)
    client = smtp(smtps, tls)
    assert smtp_auth(client, Scram(user, password, "y,,"))[0] == 535
    assert smtp_auth(client, Scram(user, password, "n,a=other,"))[0] == 535
    assert smtp_auth(client, Scram(user, password, f"n,a={user},"))[0] == 235
    client.quit()
    # imaplib sends * for None.
    login = Scram(user, password)
    cancelled = imap_error(imaps, tls, lambda challenge: login.answer(challenge) if login.turn < 2 else None)
    assert "BAD" in cancelled, cancelled
    # The last message of another exchange: its nonce is not the server's.
    other = Scram(user, password)
    made_up = f"r={other.nonce}{'x' * 24},s=AAAA,i=4096"
    replayed = imap_error(imaps, tls, lambda challenge: other.last(made_up) if other.turn else other.answer(challenge))
    assert "[AUTHENTICATIONFAILED]" in replayed, replayed
    print("SCRAM-SHA-256 works over IMAP and SMTP")


main()
