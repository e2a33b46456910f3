//! Small clients by which the demo tests its nodes from outside: HTTP, SMTP submission, IMAP.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The longest wait for one response.
const RESPONSE_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);
/// The longest HTTP response, in bytes.
const RESPONSE_LEN_MAX: u64 = 16 * 1024 * 1024;

/// A minimal browser: stores cookies and sends forms.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    port: u16,
    host: String,
    cookies: Vec<(String, String)>,
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Page {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Browser {
    /// A browser for the site at `http://host:port`.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { port, host: format!("{host}:{port}"), cookies: Vec::new() }
    }

    /// Fetches a page.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Page> {
        self.send("GET", path, "").await
    }

    /// Sends a form.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Page> {
        let form: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        self.send("POST", path, &form.join("&")).await
    }

    async fn send(&mut self, method: &str, path: &str, form: &str) -> Result<Page> {
        tokio::time::timeout(RESPONSE_WITHIN, self.exchange(method, path, form))
            .await
            .with_context(|| format!("{method} {path} at {} took too long", self.host))?
            .with_context(|| format!("{method} {path} at {} failed", self.host))
    }

    async fn exchange(&mut self, method: &str, path: &str, form: &str) -> Result<Page> {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // HTTP/1.0: the response has no chunks and ends with the connection.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nCookie: {}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            cookies.join("; "),
            form.len(),
            host = self.host,
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.take(RESPONSE_LEN_MAX).read_to_end(&mut response).await?;
        let end = response
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .context("the response has no end of its headers")?;
        let body = response.split_off(end + 4);
        let head = String::from_utf8_lossy(&response).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .context("the response has no status")?;
        for line in head.lines().skip(1) {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let pair = value.split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.trim().split_once('=') {
                    self.cookies.retain(|(known, _)| known != name);
                    self.cookies.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(Page { status, body })
    }
}

fn encoded(text: &str) -> String {
    let byte = |b: u8| {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            (b as char).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

/// A client for a line protocol over TLS that trusts one certificate.
struct LineClient {
    stream: BufReader<TlsStream<TcpStream>>,
}

impl LineClient {
    async fn connect(port: u16, certificate: &std::path::Path) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).context("no certificate")?)?;
        let config =
            rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from("localhost").context("a name")?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    async fn send(&mut self, text: &str) -> Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        Ok(self.stream.flush().await?)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line).await? > 0, "the connection ended");
        Ok(line)
    }

    /// Sends an SMTP command. A reply that does not begin with `code` is an error.
    async fn smtp(&mut self, command: &str, code: &str) -> Result<()> {
        self.send(command).await?;
        loop {
            let line = self.line().await?;
            if line.as_bytes().get(3) != Some(&b'-') {
                ensure!(
                    line.starts_with(code),
                    "{} got the reply {}",
                    command.split(' ').next().unwrap_or_default().trim(),
                    line.trim()
                );
                return Ok(());
            }
        }
    }

    /// Sends an IMAP command and returns the lines before its tagged OK.
    async fn imap(&mut self, command: &str) -> Result<String> {
        self.send(&format!("a {command}\r\n")).await?;
        let mut untagged = String::new();
        loop {
            let line = self.line().await?;
            if let Some(done) = line.strip_prefix("a ") {
                ensure!(
                    done.starts_with("OK"),
                    "{} got the reply {}",
                    command.split(' ').next().unwrap_or_default(),
                    done.trim()
                );
                return Ok(untagged);
            }
            untagged.push_str(&line);
        }
    }
}

/// Submits a message as a mail program does: TLS, app password, one recipient.
pub(crate) async fn submit(
    port: u16,
    certificate: &std::path::Path,
    login: (&str, &str),
    to: &str,
    message: &str,
) -> Result<()> {
    let exchange = async {
        let (address, password) = login;
        let mut client = LineClient::connect(port, certificate).await?;
        client.smtp("", "220").await?;
        client.smtp("EHLO demo.localhost\r\n", "250").await?;
        let secret = data_encoding::BASE64.encode(format!("\0{address}\0{password}").as_bytes());
        client.smtp(&format!("AUTH PLAIN {secret}\r\n"), "235").await?;
        client.smtp(&format!("MAIL FROM:<{address}>\r\n"), "250").await?;
        client.smtp(&format!("RCPT TO:<{to}>\r\n"), "250").await?;
        client.smtp("DATA\r\n", "354").await?;
        let stuffed: Vec<String> = message
            .lines()
            .map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() })
            .collect();
        client.smtp(&format!("{}\r\n.\r\n", stuffed.join("\r\n")), "250").await?;
        client.smtp("QUIT\r\n", "221").await
    };
    tokio::time::timeout(RESPONSE_WITHIN, exchange).await.context("submission took too long")?
}

/// Checks that SMTP refuses to relay: mail from a stranger for a recipient on another server.
pub(crate) async fn check_relay_refused(port: u16) -> Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    for command in ["", "HELO stranger.example\r\n", "MAIL FROM:<a@stranger.example>\r\n"] {
        stream.write_all(command.as_bytes()).await?;
        let mut reply = String::new();
        tokio::time::timeout(RESPONSE_WITHIN, stream.read_line(&mut reply)).await??;
    }
    stream.write_all(b"RCPT TO:<b@elsewhere.example>\r\n").await?;
    let mut line = String::new();
    tokio::time::timeout(RESPONSE_WITHIN, stream.read_line(&mut line)).await??;
    if !line.starts_with("550") {
        bail!("mail from a stranger for another server got the reply {}", line.trim());
    }
    Ok(())
}

/// Counts the messages in the inbox with `text` in their subject, by IMAP.
pub(crate) async fn count_messages(
    port: u16,
    certificate: &std::path::Path,
    login: (&str, &str),
    text: &str,
) -> Result<usize> {
    let exchange = async {
        let mut client = LineClient::connect(port, certificate).await?;
        client.line().await?;
        client.imap(&format!("LOGIN {} {}", login.0, login.1)).await?;
        client.imap("SELECT INBOX").await?;
        let found = client.imap(&format!("UID SEARCH SUBJECT \"{text}\"")).await?;
        let _ = client.imap("LOGOUT").await;
        let found = found
            .lines()
            .find_map(|line| line.strip_prefix("* SEARCH"))
            .map_or(0, |uids| uids.split_whitespace().count());
        Ok(found)
    };
    tokio::time::timeout(RESPONSE_WITHIN, exchange).await.context("IMAP took too long")?
}
