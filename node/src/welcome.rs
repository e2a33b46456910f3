//! The page a node prints when it is ready: where to open it, lines to paste, how to stop.

use std::net::SocketAddr;
use std::path::Path;

use crate::listen::ListenConfig;
use crate::say;

/// How this program was called, for lines that can be pasted.
pub(crate) fn program() -> String {
    // Under cargo the person typed `cargo run`; the built binary's own path works just as well and needs no build.
    std::env::args().next().filter(|name| !name.is_empty()).unwrap_or_else(|| "freehold".to_owned())
}

/// What there is to say.
pub(crate) struct Welcome<'a> {
    /// The data folder.
    pub(crate) data: &'a Path,
    /// Where it listens.
    pub(crate) ports: &'a ListenConfig,
    /// Where the site is, as a browser wants it.
    pub(crate) url: String,
    /// The address for the first visit, while nobody lives here yet.
    pub(crate) setup: Option<String>,
    /// The owner's mail address, once known.
    pub(crate) address: Option<String>,
    /// The certificate that programs must trust.
    pub(crate) certificate: &'a Path,
}

impl Welcome<'_> {
    /// Prints it.
    pub(crate) fn print(&self) {
        say::line(String::new());
        match &self.setup {
            Some(link) => {
                say::line("Nobody lives here yet. Open this once, to set the house up:\n");
                say::line(format!("  {link}"));
            }
            None => {
                say::line("Your house is open:\n");
                say::line(format!("  {}", self.url));
            }
        }
        if let Some(line) = tunnel(self.ports.web) {
            say::line("\nThis looks like a machine you reached by ssh. On your own computer, first run:\n");
            say::line(format!("  {line}"));
        }
        let address = self.address.clone().unwrap_or_else(|| "YOU@YOU.localhost".to_owned());
        say::line("\nMail programs need an app password. This makes one; then the lines below it send a mail and read it:\n");
        say::line(format!("  {} --data {} app-password mutt", program(), self.data.display()));
        for line in mail_lines(&address, "APP-PASSWORD", self.ports, self.certificate) {
            say::line(format!("  {line}"));
        }
        let ports = self.ports;
        say::line(format!(
            "\n  SMTP {}  submission {}  SMTPS {}  IMAP {}  IMAPS {}  libp2p {} (TCP and QUIC)",
            ports.smtp.port(),
            ports.submission.port(),
            ports.smtps.port(),
            ports.imap.port(),
            ports.imaps.port(),
            ports.libp2p.port(),
        ));
        say::line(format!("  Data in {}", self.data.display()));
        say::line("\nCtrl-C stops it; nothing is lost. Starting it again goes on from there.\n");
    }
}

/// Lines that send a mail to oneself and read it, ready to paste.
pub(crate) fn mail_lines(address: &str, app_password: &str, ports: &ListenConfig, certificate: &Path) -> Vec<String> {
    let certificate = certificate.display();
    vec![
        format!("printf 'From: {address}\\nTo: {address}\\nSubject: Hello, house\\n\\nIt works.\\n' | \\"),
        format!(
            "  curl --cacert {certificate} --url smtps://localhost:{} --user '{address}:{app_password}' --mail-from {address} --mail-rcpt {address} --crlf --upload-file -",
            ports.smtps.port()
        ),
        format!(
            "curl --cacert {certificate} --url 'imaps://localhost:{}/INBOX;MAILINDEX=1' --user '{address}:{app_password}'",
            ports.imaps.port()
        ),
    ]
}

/// The line that brings the web page of a remote machine to one's own computer.
fn tunnel(web: SocketAddr) -> Option<String> {
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    let server = connection.split_whitespace().nth(2)?.to_owned();
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let port = web.port();
    Some(format!("ssh -L {port}:127.0.0.1:{port} {user}@{server}"))
}
