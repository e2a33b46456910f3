//! Places for callers who are no friends. They are few and lent for a while: one machine with many
//! keys cannot keep them all, or nobody who holds an invite would get in.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::slots::{NoSlot, Slots};

/// Connections from one IPv4 address or IPv6 /64; those of this machine are not counted.
const PER_ADDRESS_MAX: usize = 8;
/// How long a stranger's connection may last: asking, and looking at the public posts.
const LENT_FOR: Duration = Duration::from_secs(10 * 60);

/// Who is connected.
pub(super) struct Behaviour {
    slots: Slots,
    trusted: HashSet<PeerId>,
    /// Those who are connected and need no place.
    friends: HashMap<ConnectionId, PeerId>,
    /// The strangers that are connected. Dropping the guard ends the connection's timer in `ends`.
    strangers: HashMap<ConnectionId, (PeerId, DropGuard)>,
    /// Each ends when the connection has closed or its time is over.
    ends: FuturesUnordered<BoxFuture<'static, ConnectionId>>,
    /// Connections that lost their slot to a newcomer.
    evicted: VecDeque<(PeerId, ConnectionId)>,
}

impl Behaviour {
    /// Room for `strangers_max` connections of strangers.
    pub(super) fn new(strangers_max: u32) -> Self {
        let strangers_max = usize::try_from(strangers_max).unwrap_or(usize::MAX);
        Self {
            slots: Slots::new(strangers_max, PER_ADDRESS_MAX),
            trusted: HashSet::new(),
            friends: HashMap::new(),
            strangers: HashMap::new(),
            ends: FuturesUnordered::new(),
            evicted: VecDeque::new(),
        }
    }

    /// Who needs no place. What they have open counts no longer; who is trusted no longer is a
    /// guest like others from now on.
    pub(super) fn trust(&mut self, peers: HashSet<PeerId>) {
        let friends = self.strangers.extract_if(|_, (peer, _)| peers.contains(peer));
        for (connection, (peer, _)) in friends {
            self.slots.release(connection);
            self.friends.insert(connection, peer);
        }
        let left: Vec<_> = self.friends.extract_if(|_, peer| !peers.contains(peer)).collect();
        for (connection, peer) in left {
            self.lend(connection, peer);
        }
        self.trusted = peers;
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.slots.release(connection);
        self.strangers.remove(&connection);
        self.friends.remove(&connection);
    }

    /// Keeps a stranger's connection open for [`LENT_FOR`] at most.
    fn lend(&mut self, connection: ConnectionId, peer: PeerId) {
        let gone = CancellationToken::new();
        self.strangers.insert(connection, (peer, gone.clone().drop_guard()));
        self.ends.push(Box::pin(async move {
            // Closed or out of time: both end the timer.
            let _ = gone.run_until_cancelled(tokio::time::sleep(LENT_FOR)).await;
            connection
        }));
    }
}

/// The address a connection comes from.
fn ip(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
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
        if self.trusted.contains(&peer) {
            self.friends.insert(connection, peer);
            return Ok(dummy::ConnectionHandler);
        }
        let ip = ip(from).ok_or_else(|| ConnectionDenied::new(NoSlot))?;
        let is_shared = ip.to_canonical().is_loopback();
        let evicted = self.slots.admit(connection, ip, is_shared).map_err(ConnectionDenied::new)?;
        if let Some(evicted) = evicted
            && let Some((peer, _)) = self.strangers.remove(&evicted)
        {
            self.evicted.push_back((peer, evicted));
        }
        self.lend(connection, peer);
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
        // Whoever this node calls is no stranger to it.
        self.friends.insert(connection, peer);
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.forget(closed.connection_id),
            FromSwarm::ListenFailure(failed) => self.forget(failed.connection_id),
            FromSwarm::DialFailure(failed) => self.forget(failed.connection_id),
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
        while let Poll::Ready(Some(connection)) = self.ends.poll_next_unpin(cx) {
            // A connection that is no stranger's any more has closed, or is a friend's by now.
            if let Some((peer, _)) = self.strangers.remove(&connection) {
                self.slots.release(connection);
                return close(peer, connection);
            }
        }
        Poll::Pending
    }
}
