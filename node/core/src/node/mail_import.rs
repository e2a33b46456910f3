//! The import of mail from an account at another provider: the owner starts it in the browser, and
//! the crate of mail runs it. In memory only: the password of the account is never written, and is
//! forgotten when the import ends. Progress is in rows of its own, so the next import goes on.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::domain_name;

/// IMAP with TLS from the first byte (RFC 8314 3.2).
const IMAPS_PORT: u16 = 993;
/// IMAP that begins without TLS.
const IMAP_PORT: u16 = 143;
/// The longest user name and the longest password, in bytes.
const LOGIN_LEN_MAX: usize = 1024;

/// How the connection to the server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImapSecurity {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// STARTTLS, or no connection.
    StartTls,
    /// None, to a server on this machine.
    PlainOnLoopback,
}

/// An account at another provider.
#[derive(Clone, PartialEq, Eq)]
pub struct ImapSource {
    /// The host name of the server as DNS has it, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The encryption.
    pub security: ImapSecurity,
    /// The user name of the login.
    pub user: String,
    /// The password of the login.
    pub password: Zeroizing<String>,
    /// The folders to be imported, with those below them; empty for all.
    pub folders: Vec<String>,
    /// Whether messages are imported again that were imported before and expunged since.
    pub restores: bool,
}

impl fmt::Debug for ImapSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImapSource({:?}, {}:{})", self.user, self.host, self.port)
    }
}

/// Why an account is refused before anybody is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImapSourceError {
    /// The server is none.
    #[error("{0:?} names no server; write it like imap.example.com")]
    Host(String),
    /// The user name or the password is empty, too long or has a control character.
    #[error("the {0} is empty, longer than {LOGIN_LEN_MAX} bytes or has a control character")]
    Login(&'static str),
    /// A password would go over the network unencrypted.
    #[error("without TLS a password goes only to a server on this machine, not to {0}")]
    NotLoopback(String),
}

impl ImapSource {
    /// All folders of an account. Without a port it is that of the security.
    ///
    /// # Errors
    /// As [`ImapSourceError`].
    pub fn new(
        host: &str,
        port: Option<u16>,
        security: ImapSecurity,
        user: &str,
        password: &str,
    ) -> Result<Self, ImapSourceError> {
        let refused = || ImapSourceError::Host(host.to_owned());
        let bare = host.trim().trim_start_matches('[').trim_end_matches(']');
        let host = match bare.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => {
                let name = domain_name::ascii(bare).ok_or_else(refused)?;
                if !domain_name::is_host(&name) {
                    return Err(refused());
                }
                name.into_owned()
            }
        };
        for (field, text) in [("user name", user), ("password", password)] {
            if text.is_empty() || text.len() > LOGIN_LEN_MAX || text.chars().any(char::is_control) {
                return Err(ImapSourceError::Login(field));
            }
        }
        let is_loopback = host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if security == ImapSecurity::PlainOnLoopback && !is_loopback {
            return Err(ImapSourceError::NotLoopback(host));
        }
        let usual = if security == ImapSecurity::Tls { IMAPS_PORT } else { IMAP_PORT };
        Ok(Self {
            host,
            port: port.filter(|port| *port > 0).unwrap_or(usual),
            security,
            user: user.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            folders: Vec::new(),
            restores: false,
        })
    }

    /// `host:port`, with an IPv6 address in brackets.
    pub fn server(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportResult {
    /// Messages stored.
    pub stored: u64,
    /// Messages that were there.
    pub present: u64,
    /// Messages that were imported before and expunged since.
    pub expunged: u64,
    /// The messages stored in each folder.
    pub folders: BTreeMap<String, u64>,
    /// Lines about messages that were left out.
    pub left_out: Vec<String>,
    /// The reason why it ended early.
    pub fault: Option<String>,
    /// True if the owner stopped it.
    pub is_stopped: bool,
}

/// How far an import is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportPhase {
    /// It runs: the messages read, and all messages; zero if unknown.
    Running(u64, u64),
    /// It ended.
    Ended(ImportResult),
}

/// The import that runs, or the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportStatus {
    /// The server.
    pub server: String,
    /// The user name there.
    pub user: String,
    /// How far it is.
    pub phase: ImportPhase,
}

/// The import from another provider: at most one runs at a time. Cheap to clone.
#[derive(Clone, Default)]
pub struct MailImport(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    asked: Notify,
    stopped: Notify,
}

#[derive(Default)]
struct State {
    asked: Option<ImapSource>,
    status: Option<ImportStatus>,
    is_stopping: bool,
}

impl MailImport {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an import soon; false if one runs.
    pub fn start(&self, source: ImapSource) -> bool {
        let mut state = self.state();
        let is_running = |status: &ImportStatus| matches!(status.phase, ImportPhase::Running(..));
        if state.status.as_ref().is_some_and(is_running) {
            return false;
        }
        state.status = Some(ImportStatus {
            server: source.server(),
            user: source.user.clone(),
            phase: ImportPhase::Running(0, 0),
        });
        state.asked = Some(source);
        state.is_stopping = false;
        self.0.asked.notify_one();
        true
    }

    /// The import that runs, or the last one since the node started.
    pub fn status(&self) -> Option<ImportStatus> {
        self.state().status.clone()
    }

    /// Ends the import that runs. The messages it has read stay.
    pub fn stop(&self) {
        let mut state = self.state();
        // One that nobody has taken yet ends here.
        if state.asked.take().is_some()
            && let Some(status) = &mut state.status
        {
            let result = ImportResult { is_stopped: true, ..ImportResult::default() };
            status.phase = ImportPhase::Ended(result);
        }
        state.is_stopping = true;
        self.0.stopped.notify_waiters();
    }

    /// For the crate of mail: waits for the next import.
    pub async fn next(&self) -> ImapSource {
        loop {
            if let Some(source) = self.state().asked.take() {
                return source;
            }
            self.0.asked.notified().await;
        }
    }

    /// For the crate of mail: returns when the import is to be stopped.
    pub async fn stopped(&self) {
        loop {
            let stopped = self.0.stopped.notified();
            let mut stopped = std::pin::pin!(stopped);
            // Registered before the look, so that no stop is missed.
            stopped.as_mut().enable();
            if self.state().is_stopping {
                return;
            }
            stopped.await;
        }
    }

    /// For the crate of mail: `done` of `total` messages are read.
    pub fn progressed(&self, done: u64, total: u64) {
        self.set_phase(ImportPhase::Running(done, total));
    }

    /// For the crate of mail: the import has ended.
    pub fn ended(&self, result: ImportResult) {
        let is_stopped = self.state().is_stopping;
        self.set_phase(ImportPhase::Ended(ImportResult { is_stopped, ..result }));
    }

    fn set_phase(&self, phase: ImportPhase) {
        if let Some(status) = &mut self.state().status {
            status.phase = phase;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(host: &str, security: ImapSecurity) -> Result<ImapSource, ImapSourceError> {
        ImapSource::new(host, None, security, "ann", "open sesame")
    }

    #[test]
    fn import_source_is_a_host_with_a_login() {
        for (host, security, server) in [
            (" Imap.Example.com", ImapSecurity::Tls, "imap.example.com:993"),
            ("müller.example", ImapSecurity::StartTls, "xn--mller-kva.example:143"),
            ("[::1]", ImapSecurity::PlainOnLoopback, "[::1]:143"),
            ("localhost", ImapSecurity::PlainOnLoopback, "localhost:143"),
        ] {
            assert_eq!(source(host, security).unwrap().server(), server);
        }
        for host in ["", "https://imap.example.com", "a b", "imap.example.com:993", "a\r\nb"] {
            let refused = source(host, ImapSecurity::Tls);
            assert_eq!(refused, Err(ImapSourceError::Host(host.to_owned())), "{host}");
        }
        let plain = source("imap.example.com", ImapSecurity::PlainOnLoopback);
        assert_eq!(plain, Err(ImapSourceError::NotLoopback("imap.example.com".to_owned())));
        let login = |user, password| {
            ImapSource::new("a.example", None, ImapSecurity::Tls, user, password).unwrap_err()
        };
        assert_eq!(login("", "x"), ImapSourceError::Login("user name"));
        assert_eq!(login("a", "x\n"), ImapSourceError::Login("password"));
        let shown = format!("{:?}", source("a.example", ImapSecurity::Tls));
        assert!(!shown.contains("sesame"), "{shown}");
    }

    #[tokio::test]
    async fn second_import_waits_for_the_first() {
        let import = MailImport::default();
        let one = source("a.example", ImapSecurity::Tls).unwrap();
        assert!(import.start(one.clone()) && !import.start(one.clone()));
        assert_eq!(import.next().await, one);
        import.progressed(3, 9);
        assert_eq!(import.status().unwrap().phase, ImportPhase::Running(3, 9));
        import.stop();
        import.stopped().await;
        import.ended(ImportResult::default());
        let ImportPhase::Ended(result) = import.status().unwrap().phase else { panic!() };
        assert!(result.is_stopped && import.start(one));
        // Nobody has taken this one.
        import.stop();
        assert!(matches!(import.status().unwrap().phase, ImportPhase::Ended(_)));
    }
}
