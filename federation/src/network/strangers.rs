//! Places for callers who are no friends. They are few and lent for a while: one machine with many
//! keys cannot keep them all, or nobody who holds an invite would get in.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use freehold_core::crowd::{Crowd, Place};
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

/// Connections from one IPv4 address or IPv6 /64; those of this machine are not counted.
const PER_ADDRESS_MAX: usize = 8;
/// How long a stranger's connection may last: asking, and looking at the public posts.
const LENT_FOR: Duration = Duration::from_secs(10 * 60);

/// No place is free for this caller.
#[derive(Debug, thiserror::Error)]
#[error("no place is free for one more stranger from there")]
struct NoPlace;

/// Who has a place.
pub(super) struct Behaviour {
    crowd: Crowd,
    trusted: HashSet<PeerId>,
    /// Those who are connected and need no place.
    friends: HashMap<ConnectionId, PeerId>,
    /// The place is given back when the guard is dropped.
    places: HashMap<ConnectionId, (PeerId, DropGuard)>,
    /// Each holds a place, and ends when the connection has gone or has to go.
    ends: FuturesUnordered<BoxFuture<'static, ConnectionId>>,
}

impl Behaviour {
    /// Room for `strangers_max` connections of strangers.
    pub(super) fn new(strangers_max: u32) -> Self {
        let strangers_max = usize::try_from(strangers_max).unwrap_or(usize::MAX);
        Self {
            crowd: Crowd::new(strangers_max, PER_ADDRESS_MAX),
            trusted: HashSet::new(),
            friends: HashMap::new(),
            places: HashMap::new(),
            ends: FuturesUnordered::new(),
        }
    }

    /// Who needs no place. What they have open counts no longer; who is trusted no longer is a
    /// guest like others from now on.
    pub(super) fn trust(&mut self, peers: HashSet<PeerId>) {
        let friends = self
            .places
            .extract_if(|_, (peer, _)| peers.contains(peer))
            .map(|(connection, (peer, _))| (connection, peer));
        self.friends.extend(friends);
        let left: Vec<_> = self.friends.extract_if(|_, peer| !peers.contains(peer)).collect();
        for (connection, peer) in left {
            self.lend(connection, peer, None);
        }
        self.trusted = peers;
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.places.remove(&connection);
        self.friends.remove(&connection);
    }

    /// Lets a connection be for a while, or until its place is needed.
    fn lend(&mut self, connection: ConnectionId, peer: PeerId, place: Option<Place>) {
        let gone = CancellationToken::new();
        self.places.insert(connection, (peer, gone.clone().drop_guard()));
        self.ends.push(Box::pin(async move {
            let needed = async {
                match &place {
                    Some(place) => place.is_needed().await,
                    None => std::future::pending().await,
                }
            };
            // Whichever of the three comes first, it has ended.
            let _ = gone.run_until_cancelled(tokio::time::timeout(LENT_FOR, needed)).await;
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
        let ip = ip(from).ok_or_else(|| ConnectionDenied::new(NoPlace))?;
        let is_shared = ip.to_canonical().is_loopback();
        let place =
            self.crowd.admit(ip, is_shared).ok_or_else(|| ConnectionDenied::new(NoPlace))?;
        self.lend(connection, peer, Some(place));
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
        while let Poll::Ready(Some(connection)) = self.ends.poll_next_unpin(cx) {
            // Whose place is given back already has hung up, or is a friend by now.
            if let Some((peer_id, _)) = self.places.remove(&connection) {
                return Poll::Ready(ToSwarm::CloseConnection {
                    peer_id,
                    connection: CloseConnection::One(connection),
                });
            }
        }
        Poll::Pending
    }
}
