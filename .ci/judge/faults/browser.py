"""A browser without a screen: it keeps cookies, sends forms, and follows the redirect after one."""
import http.client
import re
import urllib.parse

FORM = "application/x-www-form-urlencoded"


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        self.text = self.body.decode("utf-8", "replace")


class Browser:
    def __init__(self, port):
        self.port, self.cookies = port, {}

    def ask(self, method, path, body=None, headers=()):
        """One request. No redirect is followed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Host": f"localhost:{self.port}", "User-Agent": "Firefox/140.0 Linux", **dict(headers)}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, sent)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def follow(self, answer):
        """The page after a form that was accepted, or the answer itself."""
        return self.get(answer.headers["Location"]) if answer.status == 303 else answer

    def get(self, path):
        return self.follow(self.ask("GET", path))

    def post(self, path, fields, headers=()):
        """Sends a form; a redirect is not followed."""
        return self.ask("POST", path, urllib.parse.urlencode(fields), {"Content-Type": FORM, **dict(headers)})

    def submit(self, path, fields):
        """Sends a form and follows the redirect."""
        return self.follow(self.post(path, fields))

    def upload(self, path, fields, file):
        """Sends a form with a file; a redirect is not followed."""
        body = b""
        for name, value in fields.items():
            body += f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        body += b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + file + b"\r\n--b--\r\n"
        return self.ask("POST", path, body, {"Content-Type": "multipart/form-data; boundary=b"})

    def log_in(self, password):
        page = self.submit("/login", {"password": password})
        return page.status == 200 and 'id="password"' not in page.text

    def app_password(self, label):
        return re.search(r'id="new-password">([^<]+)<', self.submit("/home/settings/apps", {"label": label}).text)[1]

    def revoke(self, label):
        page = self.get("/home/settings/apps").text
        found = re.search(rf'{re.escape(label)}</b>.*?action="(/home/settings/apps/[0-9a-f]+/revoke)"', page)
        self.submit(found[1], {})
