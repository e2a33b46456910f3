//! Small blocking clients: a browser, and a client for line protocols with or without TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::node_process::TIMEOUT;

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// A minimal browser: stores cookies and sends forms.
pub(crate) struct Browser {
    host: String,
    port: u16,
    cookies: Vec<String>,
}

/// An HTTP response.
pub(crate) struct Page {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Page {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Browser {
    /// A browser for the site at this URL.
    pub(crate) fn at(url: &str) -> Self {
        let host = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        let port = host.rsplit(':').next().unwrap().parse().unwrap();
        Self { host, port, cookies: Vec::new() }
    }

    /// Fetches a page.
    pub(crate) fn get(&mut self, path: &str) -> Page {
        self.send("GET", path, "")
    }

    /// Sends a form.
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let form: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.send("POST", path, &form.join("&"))
    }

    /// The value of the only cookie.
    pub(crate) fn cookie(&self) -> String {
        self.cookies[0].split_once('=').unwrap().1.to_owned()
    }

    /// Sends the beginning of a request. Returns the connection.
    pub(crate) fn begin(&self, request: &str) -> TcpStream {
        let mut stream = connect(self.port);
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn send(&mut self, method: &str, path: &str, form: &str) -> Page {
        // HTTP/1.0: the response ends with the connection.
        let mut stream = self.begin(&format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nCookie: {}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.cookies.join("; "),
            form.len(),
            host = self.host,
        ));
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let end = response.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let body = response.split_off(end + 4);
        let head = String::from_utf8(response).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let set = head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
        self.cookies.extend(set.map(|cookie| cookie.split(';').next().unwrap().to_owned()));
        Page { status, body }
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(
            |b| {
                if b.is_ascii_alphanumeric() {
                    (b as char).to_string()
                } else {
                    format!("%{b:02X}")
                }
            },
        )
        .collect()
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A client for a line protocol.
pub(crate) struct LineClient(BufReader<Box<dyn Stream>>);

impl LineClient {
    /// Connects without TLS.
    pub(crate) fn plain(port: u16) -> Self {
        Self(BufReader::new(Box::new(connect(port))))
    }

    /// Connects with TLS and trusts one certificate.
    pub(crate) fn tls(port: u16, certificate: &Path) -> Self {
        Self::tls_to("localhost", port, certificate)
    }

    /// The same, for another of the node's names.
    pub(crate) fn tls_to(name: &'static str, port: u16, certificate: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let connection =
            ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap();
        Self(BufReader::new(Box::new(StreamOwned::new(connection, connect(port)))))
    }

    /// Reads a line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection ended");
        line.trim_end().to_owned()
    }

    /// Sends text unchanged.
    pub(crate) fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    /// Sends bytes unchanged.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
        self.0.get_mut().flush().unwrap();
    }

    /// Sends an SMTP command (an empty one for the greeting). Returns the last line of the reply.
    pub(crate) fn smtp(&mut self, command: &str) -> String {
        if !command.is_empty() {
            self.send(&format!("{command}\r\n"));
        }
        loop {
            let line = self.line();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    /// Sends an IMAP command. Returns all lines up to the tagged status.
    pub(crate) fn imap(&mut self, command: &str) -> Vec<String> {
        String::from_utf8(self.imap_bytes(command)).unwrap().lines().map(str::to_owned).collect()
    }

    /// The same as bytes.
    pub(crate) fn imap_bytes(&mut self, command: &str) -> Vec<u8> {
        self.send(&format!("tag7 {command}\r\n"));
        let mut lines = Vec::new();
        loop {
            let begin = lines.len();
            assert!(self.0.read_until(b'\n', &mut lines).unwrap() > 0, "the connection ended");
            if lines[begin..].starts_with(b"tag7 ") {
                return lines;
            }
        }
    }
}

/// Delivers a message as another server does. Returns the reply to DATA, or to a refused recipient.
pub(crate) fn deliver(port: u16, from: &str, to: &str, message: &str) -> String {
    let mut client = LineClient::plain(port);
    for command in ["", "EHLO elsewhere.example"] {
        client.smtp(command);
    }
    client.smtp(&format!("MAIL FROM:<{from}>"));
    let reply = client.smtp(&format!("RCPT TO:<{to}>"));
    if !reply.starts_with("250") {
        return reply;
    }
    client.smtp("DATA");
    let reply = client.smtp(&format!("{}\r\n.", message.replace('\n', "\r\n")));
    client.smtp("QUIT");
    reply
}
