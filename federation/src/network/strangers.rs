//! Limits the incoming connections of strangers in number and duration: otherwise one machine with
//! many keys could hold them all, and a person with an invite could not connect.

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
/// How long a stranger's connection may last: enough for a follow request and the public posts.
const CONNECTION_TTL: Duration = Duration::from_secs(10 * 60);

/// The limit for this peer's network, or for all strangers, is reached.
#[derive(Debug, thiserror::Error)]
#[error("too many connections from strangers; try again later")]
struct TooManyStrangers;

/// Counts the connections of strangers.
pub(super) struct Behaviour {
    crowd: Crowd,
    trusted: HashSet<PeerId>,
    /// Connections that are exempt from the limit.
    exempt: HashMap<ConnectionId, PeerId>,
    /// Connections that count; dropping the guard gives the permit back.
    counted: HashMap<ConnectionId, (PeerId, DropGuard)>,
    /// Each holds a permit until its connection is closed or must be closed.
    ends: FuturesUnordered<BoxFuture<'static, ConnectionId>>,
}

impl Behaviour {
    /// Allows `strangers_max` connections of strangers.
    pub(super) fn new(strangers_max: u32) -> Self {
        let strangers_max = usize::try_from(strangers_max).unwrap_or(usize::MAX);
        Self {
            crowd: Crowd::new(strangers_max, PER_ADDRESS_MAX),
            trusted: HashSet::new(),
            exempt: HashMap::new(),
            counted: HashMap::new(),
            ends: FuturesUnordered::new(),
        }
    }

    /// Replaces the peers that are exempt. Their open connections stop counting. Those of peers
    /// that lose the exemption end after [`CONNECTION_TTL`].
    pub(super) fn trust(&mut self, peers: HashSet<PeerId>) {
        let exempt = self
            .counted
            .extract_if(|_, (peer, _)| peers.contains(peer))
            .map(|(connection, (peer, _))| (connection, peer));
        self.exempt.extend(exempt);
        let others: Vec<_> = self.exempt.extract_if(|_, peer| !peers.contains(peer)).collect();
        for (connection, peer) in others {
            self.limit(connection, peer, None);
        }
        self.trusted = peers;
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.counted.remove(&connection);
        self.exempt.remove(&connection);
    }

    /// Ends a connection after [`CONNECTION_TTL`], or once its permit is evicted.
    fn limit(&mut self, connection: ConnectionId, peer: PeerId, permit: Option<Place>) {
        let closed = CancellationToken::new();
        self.counted.insert(connection, (peer, closed.clone().drop_guard()));
        self.ends.push(Box::pin(async move {
            let evicted = async {
                match &permit {
                    Some(permit) => permit.is_needed().await,
                    None => std::future::pending().await,
                }
            };
            // The first of the three ends the connection: closed, expired or evicted.
            let _ = closed.run_until_cancelled(tokio::time::timeout(CONNECTION_TTL, evicted)).await;
            connection
        }));
    }
}

/// The IP address in a multiaddr.
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
            self.exempt.insert(connection, peer);
            return Ok(dummy::ConnectionHandler);
        }
        let ip = ip(from).ok_or_else(|| ConnectionDenied::new(TooManyStrangers))?;
        let is_shared = ip.to_canonical().is_loopback();
        let permit = self
            .crowd
            .admit(ip, is_shared)
            .ok_or_else(|| ConnectionDenied::new(TooManyStrangers))?;
        self.limit(connection, peer, Some(permit));
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
        // This node dials only expected peers.
        self.exempt.insert(connection, peer);
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
            // If it no longer counts, the connection is closed or exempt by now.
            if let Some((peer_id, _)) = self.counted.remove(&connection) {
                return Poll::Ready(ToSwarm::CloseConnection {
                    peer_id,
                    connection: CloseConnection::One(connection),
                });
            }
        }
        Poll::Pending
    }
}
