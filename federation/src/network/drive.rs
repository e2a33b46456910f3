//! The loop that owns the swarm: takes commands, reports what happened.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use futures::StreamExt;
use futures::stream::SelectAll;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use libp2p_stream::IncomingStreams;
use tokio::sync::{mpsc, oneshot};

use super::behaviour::Behaviour;
use super::{Command, NetworkEvent, PeerKey, StartError};
use crate::config::FederationConfig;

type Addresses = Arc<RwLock<Vec<String>>>;

/// Listens where the configuration says and returns once every address is known.
pub(super) async fn listen(
    swarm: &mut Swarm<Behaviour>,
    config: &FederationConfig,
) -> Result<Vec<String>, StartError> {
    for address in &config.listen {
        let mut port = address.port();
        if config.tcp {
            port = listen_on(swarm, tcp(*address)).await?;
        }
        if config.quic {
            let same = SocketAddr::new(address.ip(), port);
            let heard = listen_on(swarm, quic(same)).await;
            // With a free port asked for, UDP's twin of TCP's may be taken: another will do.
            if heard.is_err() && address.port() == 0 {
                listen_on(swarm, quic(*address)).await?;
            } else {
                heard?;
            }
        }
    }
    for external in &config.external {
        let address: Multiaddr = external.parse().map_err(|error: libp2p::multiaddr::Error| {
            StartError::Listen { address: external.clone(), cause: error.to_string() }
        })?;
        swarm.add_external_address(address);
    }
    Ok(own_addresses(swarm))
}

fn tcp(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

fn quic(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Udp(address.port())).with(Protocol::QuicV1)
}

/// Starts one listener and waits for its first address; returns its port.
async fn listen_on(swarm: &mut Swarm<Behaviour>, address: Multiaddr) -> Result<u16, StartError> {
    let failed = |cause: String| StartError::Listen { address: address.to_string(), cause };
    let listener: ListenerId =
        swarm.listen_on(address.clone()).map_err(|error| failed(whole(&error)))?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { listener_id, address } if listener_id == listener => {
                return Ok(port(&address));
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == listener => {
                return Err(failed(
                    reason.err().map_or_else(|| "closed".to_owned(), |error| whole(&error)),
                ));
            }
            _ => {}
        }
    }
}

/// An error with its causes: a transport's own text is often empty.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = if text.is_empty() { more } else { format!("{text}: {more}") };
        }
        cause = error.source();
    }
    text
}

fn port(address: &Multiaddr) -> u16 {
    address
        .iter()
        .find_map(|part| match part {
            Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
            _ => None,
        })
        .unwrap_or_default()
}

/// What friends may call this node by: addresses given by the owner first, then those listened on.
fn own_addresses(swarm: &Swarm<Behaviour>) -> Vec<String> {
    let me = *swarm.local_peer_id();
    let mut seen = HashSet::new();
    swarm
        .external_addresses()
        .chain(swarm.listeners())
        .filter_map(|address| address.clone().with_p2p(me).ok())
        .map(|address| address.to_string())
        .filter(|address| seen.insert(address.clone()))
        .collect()
}

/// What the loop remembers of peers.
#[derive(Default)]
struct Peers {
    trusted: HashSet<PeerId>,
    /// Open connections, oldest first.
    connections: HashMap<PeerId, Vec<ConnectionId>>,
}

/// Drives the swarm until told to stop.
pub(super) async fn run(
    mut swarm: Swarm<Behaviour>,
    mut orders: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<NetworkEvent>,
    addresses: Addresses,
) {
    let mut peers = Peers::default();
    loop {
        let event = tokio::select! {
            order = orders.recv() => match order {
                Some(Command::Stop(done)) => return stop(swarm, done).await,
                Some(order) => { obey(&mut swarm, &mut peers, order, &events); continue }
                None => return,
            },
            event = swarm.select_next_some() => event,
        };
        let report = match event {
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                *addresses.write().unwrap_or_else(PoisonError::into_inner) = own_addresses(&swarm);
                continue;
            }
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                num_established,
                endpoint,
                ..
            } => {
                peers.connections.entry(peer_id).or_default().push(connection_id);
                match PeerKey::of(&peer_id) {
                    Some(peer) if num_established.get() == 1 => {
                        Some(NetworkEvent::Connected { peer, dialed: endpoint.is_dialer() })
                    }
                    Some(_) => continue,
                    None => {
                        // No Freehold node has another kind of key; an error means that it is gone
                        // already.
                        let _ = swarm.disconnect_peer_id(peer_id);
                        continue;
                    }
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                if num_established > 0 {
                    if let Some(open) = peers.connections.get_mut(&peer_id) {
                        open.retain(|id| *id != connection_id);
                    }
                    continue;
                }
                peers.connections.remove(&peer_id);
                PeerKey::of(&peer_id).map(NetworkEvent::Disconnected)
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer_id), error, .. } => {
                tracing::debug!(%error, "a dial came to nothing");
                PeerKey::of(&peer_id)
                    .filter(|_| !swarm.is_connected(&peer_id))
                    .map(NetworkEvent::DialFailed)
            }
            _ => continue,
        };
        if let Some(event) = report {
            // Nobody listens any more only while shutting down.
            let _ = events.send(event).await;
        }
    }
}

fn obey(
    swarm: &mut Swarm<Behaviour>,
    known: &mut Peers,
    order: Command,
    events: &mpsc::Sender<NetworkEvent>,
) {
    match order {
        Command::Dial(peer, texts) => {
            let Some(peer_id) = peer.peer_id() else { return };
            let addresses = texts.iter().filter_map(|text| text.parse().ok()).collect();
            let dial = DialOpts::peer_id(peer_id)
                .addresses(addresses)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .build();
            if let Err(error) = swarm.dial(dial) {
                tracing::debug!(%error, %peer, "cannot dial");
                if !swarm.is_connected(&peer_id) {
                    // The dialer tries again by itself if this hint is lost to a full channel.
                    let _ = events.try_send(NetworkEvent::DialFailed(peer));
                }
            }
        }
        Command::Hangup(peer) => {
            if let Some(peer_id) = peer.peer_id() {
                // Not connected is what is wanted.
                let _ = swarm.disconnect_peer_id(peer_id);
            }
        }
        Command::Trust(peers) => {
            let peers: HashSet<PeerId> = peers.iter().filter_map(PeerKey::peer_id).collect();
            let limits = &mut swarm.behaviour_mut().limits;
            known.trusted.difference(&peers).for_each(|peer| limits.remove_peer_id(peer));
            peers.difference(&known.trusted).for_each(|peer| limits.bypass_peer_id(peer));
            swarm.behaviour_mut().strangers.trust(peers.clone());
            known.trusted = peers;
        }
        Command::Block(peers) => {
            let peers: HashSet<PeerId> = peers.iter().filter_map(PeerKey::peer_id).collect();
            let list = &mut swarm.behaviour_mut().blocked;
            let before = list.blocked_peers().clone();
            for peer in before.difference(&peers) {
                list.unblock_peer(*peer);
            }
            for peer in peers.difference(&before) {
                list.block_peer(*peer);
            }
        }
        Command::KeepNewest(peer) => {
            let open = peer
                .peer_id()
                .and_then(|peer| known.connections.get(&peer))
                .map(Vec::as_slice)
                .unwrap_or_default();
            if let [older @ .., _] = open {
                for id in older {
                    swarm.close_connection(*id);
                }
            }
        }
        Command::Stop(_) => {}
    }
}

/// Hangs up politely, so that friends see at once that this node is gone.
async fn stop(mut swarm: Swarm<Behaviour>, done: oneshot::Sender<()>) {
    let peers: Vec<PeerId> = swarm.connected_peers().copied().collect();
    for peer in peers {
        let _ = swarm.disconnect_peer_id(peer);
    }
    while swarm.connected_peers().next().is_some() {
        swarm.select_next_some().await;
    }
    drop(swarm);
    // Whoever asked may have stopped waiting.
    let _ = done.send(());
}

/// Hands incoming streams on. A task of its own: `libp2p_stream` drops a stream that nobody takes
/// at once.
pub(super) async fn accept(
    incoming: Vec<(&'static str, IncomingStreams)>,
    events: mpsc::Sender<NetworkEvent>,
) {
    let mut streams: SelectAll<_> = incoming
        .into_iter()
        .map(|(name, streams)| streams.map(move |(peer, stream)| (name, peer, stream)).boxed())
        .collect();
    while let Some((name, peer, stream)) = streams.next().await {
        let Some(peer) = PeerKey::of(&peer) else { continue };
        if events.send(NetworkEvent::Incoming(peer, name, stream)).await.is_err() {
            return;
        }
    }
}
