//! The transports (TCP with Noise and Yamux, and QUIC) behind two guards. They are below the
//! resolution of names, so a name that leads inward is refused like the address itself.
//!
//! - Outgoing: an address that this node may not dial ([`Reach`](super::reach::Reach)) is refused.
//! - Incoming: a connection whose handshake has not ended holds a slot for [`HANDSHAKE_TIMEOUT`] at
//!   most. The oldest one makes room, first of the same network, so that one address cannot keep
//!   everyone else from connecting with half-open connections.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::core::{Transport, upgrade};
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId, noise, quic, tcp, yamux};
use tokio_util::sync::CancellationToken;

use super::reach::{SharedReach, ip};
use super::slots::Slots;

/// Incoming handshakes at once, of all networks together.
const HANDSHAKES_MAX: usize = 256;
/// Incoming handshakes at once of one IPv4 address or IPv6 /64; loopback has no such limit.
const HANDSHAKES_PER_NET_MAX: usize = 8;
/// How long an incoming handshake may take: a few round trips, and twice that.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

type Output = (PeerId, StreamMuxerBox);
type Upgrade = Pin<Box<dyn Future<Output = io::Result<Output>> + Send>>;

/// TCP and QUIC with the guards.
pub(super) struct Guarded {
    inner: Boxed<Output>,
    reach: SharedReach,
    handshakes: Handshakes,
}

/// The transports of a node with this key.
pub(super) fn transport(
    keypair: &Keypair,
    muxer: yamux::Config,
    quic: quic::Config,
    reach: SharedReach,
) -> Result<Guarded, noise::Error> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(upgrade::Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(muxer)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let quic = quic::tokio::Transport::new(quic)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let inner = tcp.or_transport(quic).map(|either, _| either.into_inner()).boxed();
    Ok(Guarded { inner, reach, handshakes: Handshakes::default() })
}

impl Transport for Guarded {
    type Output = Output;
    type Error = io::Error;
    type ListenerUpgrade = Upgrade;
    type Dial = Upgrade;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Upgrade, TransportError<io::Error>> {
        match ip(&address) {
            Some(ip) if self.reach.get().may_dial(ip) => self.inner.dial(address, options),
            Some(ip) => Err(TransportError::Other(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{ip} is inside a network; this node is not"),
            ))),
            None => Err(TransportError::MultiaddrNotSupported(address)),
        }
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Upgrade, io::Error>> {
        Pin::new(&mut self.inner).poll(cx).map(|event| match event {
            TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr } => {
                let upgrade = self.handshakes.bound(upgrade, &send_back_addr);
                TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr }
            }
            event => event,
        })
    }
}

/// The incoming handshakes that have not ended.
#[derive(Clone)]
struct Handshakes {
    timeout: Duration,
    pending: Arc<Mutex<Pending>>,
}

struct Pending {
    slots: Slots<u64>,
    /// Cancelled when the handshake of this number must make room.
    evictions: HashMap<u64, CancellationToken>,
    next: u64,
}

impl Default for Handshakes {
    fn default() -> Self {
        let slots = Slots::new(HANDSHAKES_MAX, HANDSHAKES_PER_NET_MAX);
        let pending = Pending { slots, evictions: HashMap::new(), next: 0 };
        Self { timeout: HANDSHAKE_TIMEOUT, pending: Arc::new(Mutex::new(pending)) }
    }
}

impl Handshakes {
    /// The handshake with a slot, which it may lose.
    fn bound(&self, handshake: Upgrade, from: &Multiaddr) -> Upgrade {
        let Some(ip) = ip(from) else {
            return Box::pin(std::future::ready(Err(io::ErrorKind::AddrNotAvailable.into())));
        };
        let (slot, timeout) = (self.admit(ip), self.timeout);
        let evicted = slot.evicted.clone();
        Box::pin(async move {
            let _slot = slot;
            let timed = tokio::time::timeout(timeout, handshake);
            match evicted.run_until_cancelled(timed).await {
                Some(Ok(result)) => result,
                Some(Err(_)) => Err(io::ErrorKind::TimedOut.into()),
                None => Err(io::Error::other("made room for a newer handshake")),
            }
        })
    }

    fn admit(&self, ip: IpAddr) -> Slot {
        let mut pending = self.lock();
        let number = pending.next;
        pending.next += 1;
        let evicted = CancellationToken::new();
        pending.evictions.insert(number, evicted.clone());
        if let Some(loser) = pending.slots.admit(number, ip, ip.to_canonical().is_loopback())
            && let Some(loser) = pending.evictions.remove(&loser)
        {
            loser.cancel();
        }
        Slot { handshakes: self.clone(), number, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slot of one handshake; given back when it is dropped.
struct Slot {
    handshakes: Handshakes,
    number: u64,
    evicted: CancellationToken,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut pending = self.handshakes.lock();
        pending.slots.release(self.number);
        pending.evictions.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn half_open(handshakes: &Handshakes, from: &str) -> Upgrade {
        handshakes.bound(Box::pin(std::future::pending()), &from.parse().unwrap())
    }

    #[tokio::test]
    async fn half_open_connections_make_room_within_their_network() {
        let handshakes = Handshakes::default();
        let mut others: Vec<Upgrade> = (0..HANDSHAKES_PER_NET_MAX)
            .map(|_| half_open(&handshakes, "/ip4/11.0.0.2/tcp/1"))
            .collect();
        let mut flood: Vec<Upgrade> =
            (0..1000).map(|_| half_open(&handshakes, "/ip4/11.0.0.1/tcp/1")).collect();
        let ended = flood.iter_mut().filter_map(|one| one.now_or_never()).count();
        assert_eq!(ended, 1000 - HANDSHAKES_PER_NET_MAX);
        assert!(others.iter_mut().all(|one| one.now_or_never().is_none()));
    }

    #[tokio::test]
    async fn half_open_connections_of_many_networks_leave_room() {
        let handshakes = Handshakes::default();
        let mut flood: Vec<Upgrade> = (0..2000u16)
            .map(|n| half_open(&handshakes, &format!("/ip4/11.0.{}.{}/tcp/1", n / 200, n % 200)))
            .collect();
        let mut newcomer = half_open(&handshakes, "/ip4/12.0.0.1/tcp/1");
        assert!(newcomer.as_mut().now_or_never().is_none());
        let pending = flood.iter_mut().filter_map(|one| one.now_or_never()).count();
        assert_eq!(pending, 2000 - HANDSHAKES_MAX + 1);
        drop((flood, newcomer));
        assert!(handshakes.lock().evictions.is_empty(), "each handshake gave its slot back");
    }

    #[tokio::test]
    async fn half_open_connection_ends_after_a_timeout() {
        let handshakes = Handshakes { timeout: Duration::from_millis(1), ..Handshakes::default() };
        let ended = half_open(&handshakes, "/ip4/11.0.0.1/tcp/1").await;
        assert_eq!(ended.err().map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
    }
}
