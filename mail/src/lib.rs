//! SMTP and IMAP for a Freehold node: receiving, sending and reading mail; and mail in files, as
//! Maildir and mbox, and at other providers. Core defines messages and stores them.

mod authentication;
pub mod config;
#[cfg(test)]
mod conversations;
pub mod dkim;
mod dns;
pub mod files;
mod friend_domains;
mod https;
mod imap;
pub mod imap_import;
mod mta_sts;
mod public_address;
mod queue;
mod relay_checks;
pub mod sasl;
mod sessions;
mod smarthost;
pub mod smtp;
mod spool;
mod startup;
pub mod state;
pub mod stream;

use std::net::SocketAddr;
use std::time::Duration;

use freehold_core::node::Node;
use freehold_listen::TlsConfig;
use tokio::net::TcpListener;

use state::MailState;

pub use config::{MailConfig, MailConfigError, MtaStsMode};
pub use public_address::is_public as is_public_address;
pub use startup::refuse_during_startup;

/// The running SMTP and IMAP servers and queue of one node.
pub struct Mail {
    state: MailState,
    addresses: MailAddresses,
}

impl Mail {
    /// Serves on `listeners` and sends queued messages, until [`Mail::shutdown`]. `tls` is the
    /// certificate and key for STARTTLS and implicit TLS.
    ///
    /// # Errors
    /// When the operating system does not report a listener's address.
    pub fn start(
        node: Node,
        config: MailConfig,
        listeners: MailListeners,
        tls: impl Into<TlsConfig>,
    ) -> std::io::Result<Self> {
        let addresses = listeners.addresses()?;
        let state = MailState::new(node, config, tls);
        state.spawn(Box::pin(queue::run(state.clone())));
        state.spawn(Box::pin(smarthost::run(state.clone())));
        state.spawn(Box::pin(imap_import::job::run(state.clone())));
        state.spawn(Box::pin(friend_domains::run(state.clone())));
        state.spawn(Box::pin(relay_checks::run(state.clone())));
        state.spawn(sessions::end_expired(state.clone()));
        imap::listen(&state, listeners.imap, listeners.imaps);
        smtp::listen(&state, listeners.smtp, listeners.submission, listeners.smtps);
        Ok(Self { state, addresses })
    }

    /// The addresses mail listens on.
    pub fn addresses(&self) -> MailAddresses {
        self.addresses
    }

    /// Accepts no more connections, lets sessions and deliveries end within `limit`, then cuts off
    /// the rest.
    pub async fn shutdown(self, limit: Duration) {
        if !self.state.drain.finish(limit).await {
            tracing::warn!("some mail connections did not end in time and were cut off");
        }
    }
}

/// The sockets mail listens on, bound by the process before mail starts.
#[derive(Debug)]
pub struct MailListeners {
    /// Mail from other servers (port 25 on the Internet).
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

/// The addresses mail listens on.
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
    /// When the operating system does not report one.
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
