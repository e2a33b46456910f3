//! The demo looks at its nodes from outside, by the same wires as anybody: HTTP, SMTP submission,
//! IMAP. Small clients, enough for that.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long any one answer may take.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);
/// The most bytes read of one answer.
const ANSWER_LEN_MAX: u64 = 16 * 1024 * 1024;

/// A browser without pictures: remembers cookies, sends forms.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    port: u16,
    host: String,
    cookies: Vec<(String, String)>,
}

/// An HTTP answer.
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
        tokio::time::timeout(ANSWER_WITHIN, self.exchange(method, path, form))
            .await
            .with_context(|| format!("{method} {path} at {} took too long", self.host))?
            .with_context(|| format!("{method} {path} at {} failed", self.host))
    }

    async fn exchange(&mut self, method: &str, path: &str, form: &str) -> Result<Page> {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // HTTP/1.0 asks for an answer without chunks that ends with the connection.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nCookie: {}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            cookies.join("; "),
            form.len(),
            host = self.host,
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_LEN_MAX).read_to_end(&mut answer).await?;
        let end = answer
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .context("the answer has no end of its headers")?;
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .context("the answer has no status")?;
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

/// A line protocol over TLS that trusts one certificate.
struct Lines {
    stream: BufReader<TlsStream<TcpStream>>,
}

impl Lines {
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

    /// Sends an SMTP command and wants a reply that begins with `code`.
    async fn smtp(&mut self, command: &str, code: &str) -> Result<()> {
        self.send(command).await?;
        loop {
            let line = self.line().await?;
            if line.as_bytes().get(3) != Some(&b'-') {
                ensure!(
                    line.starts_with(code),
                    "{} was answered {}",
                    command.split(' ').next().unwrap_or_default().trim(),
                    line.trim()
                );
                return Ok(());
            }
        }
    }

    /// Sends an IMAP command and gives the lines up to its OK.
    async fn imap(&mut self, command: &str) -> Result<String> {
        self.send(&format!("a {command}\r\n")).await?;
        let mut said = String::new();
        loop {
            let line = self.line().await?;
            if let Some(done) = line.strip_prefix("a ") {
                ensure!(
                    done.starts_with("OK"),
                    "{} was answered {}",
                    command.split(' ').next().unwrap_or_default(),
                    done.trim()
                );
                return Ok(said);
            }
            said.push_str(&line);
        }
    }
}

/// Submits a mail as a mail program does: TLS, app password, one recipient.
pub(crate) async fn submit(
    port: u16,
    certificate: &std::path::Path,
    login: (&str, &str),
    to: &str,
    mail: &str,
) -> Result<()> {
    let exchange = async {
        let (address, password) = login;
        let mut lines = Lines::connect(port, certificate).await?;
        lines.smtp("", "220").await?;
        lines.smtp("EHLO demo.localhost\r\n", "250").await?;
        let secret = data_encoding::BASE64.encode(format!("\0{address}\0{password}").as_bytes());
        lines.smtp(&format!("AUTH PLAIN {secret}\r\n"), "235").await?;
        lines.smtp(&format!("MAIL FROM:<{address}>\r\n"), "250").await?;
        lines.smtp(&format!("RCPT TO:<{to}>\r\n"), "250").await?;
        lines.smtp("DATA\r\n", "354").await?;
        let stuffed: Vec<String> = mail
            .lines()
            .map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() })
            .collect();
        lines.smtp(&format!("{}\r\n.\r\n", stuffed.join("\r\n")), "250").await?;
        lines.smtp("QUIT\r\n", "221").await
    };
    tokio::time::timeout(ANSWER_WITHIN, exchange).await.context("submission took too long")?
}

/// Whether SMTP refuses to relay: a stranger's mail for somebody who does not live here.
pub(crate) async fn refuses_to_relay(port: u16) -> Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    let mut said = Vec::new();
    for (command, wait) in
        [("", 1), ("HELO stranger.example\r\n", 1), ("MAIL FROM:<a@stranger.example>\r\n", 1)]
    {
        stream.write_all(command.as_bytes()).await?;
        for _ in 0..wait {
            let mut line = String::new();
            tokio::time::timeout(ANSWER_WITHIN, stream.read_line(&mut line)).await??;
            said.push(line);
        }
    }
    stream.write_all(b"RCPT TO:<b@elsewhere.example>\r\n").await?;
    let mut line = String::new();
    tokio::time::timeout(ANSWER_WITHIN, stream.read_line(&mut line)).await??;
    if !line.starts_with("550") {
        bail!("a stranger's mail for elsewhere was answered {}", line.trim());
    }
    Ok(())
}

/// How many letters in the inbox have `words` in their subject, as IMAP says.
pub(crate) async fn letters(
    port: u16,
    certificate: &std::path::Path,
    login: (&str, &str),
    words: &str,
) -> Result<usize> {
    let exchange = async {
        let mut lines = Lines::connect(port, certificate).await?;
        lines.line().await?;
        lines.imap(&format!("LOGIN {} {}", login.0, login.1)).await?;
        lines.imap("SELECT INBOX").await?;
        let found = lines.imap(&format!("UID SEARCH SUBJECT \"{words}\"")).await?;
        let _ = lines.imap("LOGOUT").await;
        let found = found
            .lines()
            .find_map(|line| line.strip_prefix("* SEARCH"))
            .map_or(0, |uids| uids.split_whitespace().count());
        Ok(found)
    };
    tokio::time::timeout(ANSWER_WITHIN, exchange).await.context("IMAP took too long")?
}
