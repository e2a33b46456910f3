"""An HTTPS server for one policy (RFC 8461): python3 policy_server.py ADDRESS CERTIFICATE KEY FILE

The file is read at each request; without the file the answer is 404.
"""
import http.server
import ssl
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            with open(sys.argv[4], "rb") as file:
                status, text = 200, file.read()
        except FileNotFoundError:
            status, text = 404, b"there is none"
        if self.path != "/.well-known/mta-sts.txt":
            status = 404
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server = http.server.ThreadingHTTPServer((sys.argv[1], 443), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
