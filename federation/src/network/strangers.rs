//! Limits the inbound connections of peers that are not exempt. Each counted connection holds a
//! slot for a limited time and makes room for a newer one, so that one machine with many keys
//! cannot hold all slots and shut out a peer with an invite.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use freehold_core::logins::ClientNet;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::reach::ip;
use super::slots::Slots;

/// Counted connections from one IPv4 address or IPv6 /64; loopback has no such limit.
const PER_ADDRESS_MAX: usize = 8;
/// How long a counted connection may last: enough for a friend request and the public posts.
const CONNECTION_TTL: Duration = Duration::from_secs(10 * 60);

/// The address of a connection is not an IP address.
#[derive(Debug, thiserror::Error)]
#[error("the connection has no IP address")]
struct NoAddress;

/// The networks from which the connected peers call; loopback is none, because many share it. A
/// peer is in it before any of its streams.
pub(super) type Nets = Arc<RwLock<HashMap<PeerId, ClientNet>>>;

/// The open connections: exempt peers (friends, and peers that this node dialled) and counted ones.
pub(super) struct Behaviour {
    slots: Slots<ConnectionId>,
    nets: Nets,
    exempt_peers: HashSet<PeerId>,
    /// The connections of exempt peers.
    exempt: HashMap<ConnectionId, PeerId>,
    /// The counted connections. Dropping the guard ends the connection's timer in `timers`.
    counted: HashMap<ConnectionId, (PeerId, DropGuard)>,
    /// Each ends when its connection has closed or [`CONNECTION_TTL`] has passed.
    timers: FuturesUnordered<BoxFuture<'static, ConnectionId>>,
    /// Connections that lost their slot to a newcomer.
    evicted: VecDeque<(PeerId, ConnectionId)>,
}

impl Behaviour {
    /// At most `strangers_max` counted connections.
    pub(super) fn new(strangers_max: u32, nets: Nets) -> Self {
        let strangers_max = usize::try_from(strangers_max).unwrap_or(usize::MAX);
        Self {
            nets,
            slots: Slots::new(strangers_max, PER_ADDRESS_MAX),
            exempt_peers: HashSet::new(),
            exempt: HashMap::new(),
            counted: HashMap::new(),
            timers: FuturesUnordered::new(),
            evicted: VecDeque::new(),
        }
    }

    /// Replaces the exempt peers. Their open connections release their slots. A connection of a
    /// peer that is no longer exempt gets the TTL of a counted one.
    pub(super) fn set_exempt(&mut self, peers: HashSet<PeerId>) {
        let now_exempt = self.counted.extract_if(|_, (peer, _)| peers.contains(peer));
        for (connection, (peer, _)) in now_exempt {
            self.slots.release(connection);
            self.exempt.insert(connection, peer);
        }
        let no_longer_exempt: Vec<_> =
            self.exempt.extract_if(|_, peer| !peers.contains(peer)).collect();
        for (connection, peer) in no_longer_exempt {
            self.start_timer(connection, peer);
        }
        self.exempt_peers = peers;
    }

    fn nets(&self) -> RwLockWriteGuard<'_, HashMap<PeerId, ClientNet>> {
        self.nets.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&mut self, connection: ConnectionId, peer: Option<PeerId>) {
        self.slots.release(connection);
        let counted = self.counted.remove(&connection).map(|(peer, _)| peer);
        let exempt = self.exempt.remove(&connection);
        let Some(peer) = peer.or(counted).or(exempt) else { return };
        let mut open = self.counted.values().map(|(peer, _)| peer).chain(self.exempt.values());
        if !open.any(|other| *other == peer) {
            self.nets().remove(&peer);
        }
    }

    /// Counts a connection and closes it after [`CONNECTION_TTL`].
    fn start_timer(&mut self, connection: ConnectionId, peer: PeerId) {
        let closed = CancellationToken::new();
        self.counted.insert(connection, (peer, closed.clone().drop_guard()));
        self.timers.push(Box::pin(async move {
            // The timer ends when the connection has closed or the TTL has passed.
            let _ = closed.run_until_cancelled(tokio::time::sleep(CONNECTION_TTL)).await;
            connection
        }));
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let ip = ip(from).ok_or_else(|| ConnectionDenied::new(NoAddress))?;
        let is_shared = ip.to_canonical().is_loopback();
        if !is_shared {
            self.nets().insert(peer, ip.into());
        }
        if self.exempt_peers.contains(&peer) {
            self.exempt.insert(connection, peer);
            return Ok(dummy::ConnectionHandler);
        }
        if let Some(evicted) = self.slots.admit(connection, ip, is_shared)
            && let Some((peer, _)) = self.counted.remove(&evicted)
        {
            self.evicted.push_back((peer, evicted));
        }
        self.start_timer(connection, peer);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        // A peer that this node dials is exempt.
        self.exempt.insert(connection, peer);
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionClosed(closed) => {
                self.forget(closed.connection_id, Some(closed.peer_id));
            }
            FromSwarm::ListenFailure(failed) => self.forget(failed.connection_id, None),
            FromSwarm::DialFailure(failed) => self.forget(failed.connection_id, None),
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        let close = |peer_id, connection| {
            let connection = CloseConnection::One(connection);
            Poll::Ready(ToSwarm::CloseConnection { peer_id, connection })
        };
        // A newcomer is admitted while the swarm is polled, and the swarm polls this again after.
        if let Some((peer, connection)) = self.evicted.pop_front() {
            return close(peer, connection);
        }
        while let Poll::Ready(Some(connection)) = self.timers.poll_next_unpin(cx) {
            // A connection that is no longer counted has closed or became exempt.
            if let Some((peer, _)) = self.counted.remove(&connection) {
                self.slots.release(connection);
                return close(peer, connection);
            }
        }
        Poll::Pending
    }
}
