//! The accept loop: PROXY header, limiter, then the session in a task of its own.

mod reports;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use freehold_proto::clock::Clock;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::drain::Drain;
use crate::limiter::{ConnectionLimiter, Permit};
use crate::network::Network;
use crate::proxy::{self, HEADER_TIMEOUT};
pub use reports::LimitNames;
use reports::Reports;

/// How long a refused client may take to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// The most connections at one time whose PROXY header has not arrived; a newcomer closes the one
/// that has waited longest.
const HEADERS_PENDING_MAX: usize = 64;

/// An admitted connection.
pub struct Accepted {
    /// The socket, at the first byte of the session.
    pub stream: TcpStream,
    /// The client's address: the socket's, or the one in the PROXY header.
    pub peer: SocketAddr,
    /// Whether a proxy passed the connection through.
    pub is_proxied: bool,
    /// The right to keep the connection open.
    pub permit: Arc<Permit>,
}

impl Accepted {
    /// Whether the client is on this machine, so that no network carries its bytes.
    pub fn is_local(&self) -> bool {
        !self.is_proxied && is_loopback(self.peer.ip())
    }
}

/// Which connection a limit closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// [`ConnectionLimiter::admit`]: connections that are open stay, except idle unauthenticated
    /// ones.
    KeepOldest,
    /// [`ConnectionLimiter::admit_evicting`]: the newcomer replaces one that the node waits for.
    PreferNewest,
}

/// The rules by which one port accepts connections.
#[derive(Clone)]
pub struct Acceptor {
    limiter: ConnectionLimiter,
    admission: Admission,
    proxies: Vec<Network>,
    shared: Vec<Network>,
    refusal: &'static [u8],
    headers: ConnectionLimiter,
    names: Option<LimitNames>,
}

impl Acceptor {
    /// Accepts connections as far as `limiter` allows.
    pub fn new(limiter: ConnectionLimiter, admission: Admission) -> Self {
        let headers =
            ConnectionLimiter::new(HEADERS_PENDING_MAX, HEADERS_PENDING_MAX, Clock::system());
        Self {
            limiter,
            admission,
            proxies: Vec::new(),
            shared: Vec::new(),
            refusal: b"",
            headers,
            names: None,
        }
    }

    /// Requires a PROXY header (version 2) from these networks, and reads none from elsewhere.
    #[must_use]
    pub fn proxies(self, proxies: &[Network]) -> Self {
        Self { proxies: proxies.to_vec(), ..self }
    }

    /// Holds these networks to the total limit alone, as this machine and the proxies are: many
    /// people share an address in them.
    #[must_use]
    pub fn shared(self, shared: Vec<Network>) -> Self {
        Self { shared, ..self }
    }

    /// Sends this to a client that the limiter refuses. Empty (the default) on a port that begins
    /// with TLS, where the client could not read it.
    #[must_use]
    pub fn refusal(self, refusal: &'static [u8]) -> Self {
        Self { refusal, ..self }
    }

    /// Names the settings of the limits, for the log.
    #[must_use]
    pub fn limits_named(self, names: LimitNames) -> Self {
        Self { names: Some(names), ..self }
    }

    /// Accepts connections at `listener` until `drain` stops, and runs `session` for each in a task
    /// of `drain`.
    pub async fn run<F, W>(self: Arc<Self>, listener: &TcpListener, drain: Drain, session: F)
    where
        F: Fn(Accepted) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let session = Arc::new(session);
        let reports = Reports::new(listener.local_addr().ok(), self.names, Clock::system());
        let reports = Arc::new(reports);
        let mut backoff = Backoff::default();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = drain.stopping() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    backoff.succeeded();
                    self.take((stream, peer), &drain, &reports, &session);
                }
                Err(error) => {
                    let (pause, is_first) = backoff.failed();
                    if is_first {
                        tracing::warn!(%error, "a connection could not be accepted");
                    }
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = drain.stopping() => return,
                    }
                }
            }
        }
    }

    fn take<F, W>(
        self: &Arc<Self>,
        (mut stream, peer): (TcpStream, SocketAddr),
        drain: &Drain,
        reports: &Arc<Reports>,
        session: &Arc<F>,
    ) where
        F: Fn(Accepted) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        if !contains(&self.proxies, peer.ip()) {
            match self.admit(peer, reports) {
                Some(permit) => {
                    drain.spawn(session(Accepted { stream, peer, is_proxied: false, permit }));
                }
                None => drain.spawn(refuse(stream, self.refusal)),
            }
            return;
        }
        let Some(pending) = self.headers.admit_evicting(peer.ip(), true) else { return };
        let (acceptor, reports, session) = (self.clone(), reports.clone(), session.clone());
        drain.spawn(async move {
            let header = tokio::select! {
                header = proxy::read_header(&mut stream, HEADER_TIMEOUT) => header,
                () = pending.revoked() => return,
            };
            drop(pending);
            let peer = match header {
                Ok(header) => header.client.unwrap_or(peer),
                Err(error) => return reports.header(peer, &error),
            };
            match acceptor.admit(peer, &reports) {
                Some(permit) => {
                    session(Accepted { stream, peer, is_proxied: true, permit }).await;
                }
                None => refuse(stream, acceptor.refusal).await,
            }
        });
    }

    fn admit(&self, peer: SocketAddr, reports: &Reports) -> Option<Arc<Permit>> {
        let address = peer.ip();
        let is_shared = is_loopback(address)
            || contains(&self.proxies, address)
            || contains(&self.shared, address);
        let reached = self.limiter.reached(address, is_shared);
        let permit = match self.admission {
            Admission::KeepOldest => self.limiter.admit(address, is_shared),
            Admission::PreferNewest => self.limiter.admit_evicting(address, is_shared),
        };
        if let Some(limit) = reached {
            reports.limit(peer, limit, permit.is_none());
        }
        permit.map(Arc::new)
    }
}

fn contains(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// Whether `address` is this machine's own, also as an IPv4-mapped IPv6 address.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Sends `refusal` and closes the connection.
pub(crate) async fn refuse(mut stream: TcpStream, refusal: &'static [u8]) {
    tracing::debug!("a connection was refused");
    let closing = async {
        stream.write_all(refusal).await?;
        stream.shutdown().await
    };
    // A client that does not read loses nothing but the reason.
    let _ = timeout(REFUSAL_TIMEOUT, closing).await;
}

#[cfg(test)]
mod tests;
