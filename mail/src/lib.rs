//! SMTP and IMAP for a Freehold node: mail is received, sent and read here; what a message is and where it lies is core's.

pub mod config;
pub mod door;
pub mod smtp;
pub mod stream;

use std::net::SocketAddr;

use tokio::net::TcpListener;

pub use config::MailConfig;

/// The sockets mail listens on, bound by the process before anything starts.
#[derive(Debug)]
pub struct MailListeners {
    /// Mail from other servers (port 25 in the world).
    pub smtp: TcpListener,
    /// Mail from the owner's programs, STARTTLS (587).
    pub submission: TcpListener,
    /// Mail from the owner's programs, TLS from the first byte (465).
    pub smtps: TcpListener,
    /// Reading mail, STARTTLS (143).
    pub imap: TcpListener,
    /// Reading mail, TLS from the first byte (993).
    pub imaps: TcpListener,
}

/// Where mail listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailAddresses {
    /// Mail from other servers.
    pub smtp: SocketAddr,
    /// Mail from the owner's programs, STARTTLS.
    pub submission: SocketAddr,
    /// Mail from the owner's programs, implicit TLS.
    pub smtps: SocketAddr,
    /// Reading mail, STARTTLS.
    pub imap: SocketAddr,
    /// Reading mail, implicit TLS.
    pub imaps: SocketAddr,
}

impl MailListeners {
    /// The addresses these sockets are bound to.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn addresses(&self) -> std::io::Result<MailAddresses> {
        Ok(MailAddresses {
            smtp: self.smtp.local_addr()?,
            submission: self.submission.local_addr()?,
            smtps: self.smtps.local_addr()?,
            imap: self.imap.local_addr()?,
            imaps: self.imaps.local_addr()?,
        })
    }
}
