//! SMTP and IMAP for a Freehold node: mail is received, sent and read here; what a message is and
//! where it lies is core's.

pub mod config;
#[cfg(test)]
mod conversations;
pub mod house;
mod imap;
mod opening;
mod queue;
pub mod smtp;
mod spool;
pub mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_core::node::Node;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::time::timeout;

use house::House;

pub use config::MailConfig;
pub use opening::turn_everybody_away;

/// How long connections may take to come to an end when mail stops; the process as a whole has 5 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// SMTP and IMAP of one node, running.
pub struct Mail {
    house: House,
    addresses: MailAddresses,
}

impl Mail {
    /// Serves on `listeners` and sends what is queued, until [`Mail::shutdown`]. `tls` is what a
    /// client is shown when it asks for TLS.
    ///
    /// # Errors
    /// When a listener does not know its own address.
    pub fn start(
        node: Node,
        config: MailConfig,
        listeners: MailListeners,
        tls: Arc<ServerConfig>,
    ) -> std::io::Result<Self> {
        let addresses = listeners.addresses()?;
        let house = House::new(node, config, tls);
        house.spawn(Box::pin(queue::run(house.clone())));
        imap::listen(&house, listeners.imap, listeners.imaps);
        smtp::listen(&house, listeners.smtp, listeners.submission, listeners.smtps);
        Ok(Self { house, addresses })
    }

    /// Where mail listens.
    pub fn addresses(&self) -> MailAddresses {
        self.addresses
    }

    /// Takes no more connections, lets what is under way come to its end for a few seconds, then
    /// cuts off the rest.
    pub async fn shutdown(self) {
        self.house.stop.cancel();
        self.house.tasks.close();
        if timeout(STOP_TIMEOUT, self.house.tasks.wait()).await.is_err() {
            tracing::warn!("some mail connections did not end in time and were cut off");
        }
        self.house.halt.cancel();
        self.house.tasks.wait().await;
    }
}

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
