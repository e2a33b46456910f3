//! The loop that owns the swarm: takes commands, reports events.

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
use super::reach::{Reach, SharedReach};
use super::{Command, NetworkEvent, PeerKey, StartError};
use crate::config::FederationConfig;

/// This node's addresses for friends, and what follows from them.
#[derive(Clone)]
pub(super) struct Addresses {
    /// Multiaddrs that end in the node's `PeerId`.
    pub(super) texts: Arc<RwLock<Vec<String>>>,
    pub(super) reach: SharedReach,
    /// The configured external addresses, in their order.
    pub(super) external: Vec<Multiaddr>,
}

/// The configured external addresses.
pub(super) fn external(config: &FederationConfig) -> Result<Vec<Multiaddr>, StartError> {
    let parsed = config.external.iter().map(|external| {
        external.parse().map_err(|error: libp2p::multiaddr::Error| StartError::Listen {
            address: external.clone(),
            cause: error.to_string(),
        })
    });
    parsed.collect()
}

/// Listens on the configured addresses and returns the first port once each is known; `None` if
/// there is no address.
pub(super) async fn listen(
    swarm: &mut Swarm<Behaviour>,
    config: &FederationConfig,
) -> Result<Option<u16>, StartError> {
    let mut first_port = None;
    for address in &config.listen {
        let mut port = address.port();
        if config.tcp {
            port = listen_on(swarm, tcp(*address)).await?;
        }
        if config.quic {
            let same_port = SocketAddr::new(address.ip(), port);
            let listening = listen_on(swarm, quic(same_port)).await;
            // For port 0 the system chose a TCP port whose UDP port may be in use: any other port
            // is as good.
            if listening.is_err() && address.port() == 0 {
                port = listen_on(swarm, quic(*address)).await?;
            } else {
                port = listening?;
            }
        }
        first_port.get_or_insert(port);
    }
    Ok(first_port)
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
        swarm.listen_on(address.clone()).map_err(|error| failed(with_causes(&error)))?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { listener_id, address } if listener_id == listener => {
                return Ok(port(&address));
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == listener => {
                return Err(failed(
                    reason.err().map_or_else(|| "closed".to_owned(), |error| with_causes(&error)),
                ));
            }
            _ => {}
        }
    }
}

/// The text of an error with its causes: a transport's own text is often empty.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let cause_text = error.to_string();
        if !text.contains(&cause_text) {
            text = if text.is_empty() { cause_text } else { format!("{text}: {cause_text}") };
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

impl Addresses {
    /// Reads them from the swarm again.
    pub(super) fn update(&self, swarm: &Swarm<Behaviour>) {
        let reach = Reach::of(self.external.iter(), swarm.listeners());
        self.reach.set(reach);
        let addresses = own_addresses(swarm, &self.external, reach);
        *self.texts.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

/// This node's addresses for friends: the configured external ones, then the listen addresses that
/// others can use, TCP first. The order does not change: each change is sent to friends.
fn own_addresses(swarm: &Swarm<Behaviour>, external: &[Multiaddr], reach: Reach) -> Vec<String> {
    let (me, mut seen) = (*swarm.local_peer_id(), HashSet::new());
    let mut listeners: Vec<&Multiaddr> =
        swarm.listeners().filter(|address| reach.is_useful(address)).collect();
    let is_udp = |address: &Multiaddr| address.iter().any(|part| matches!(part, Protocol::Udp(_)));
    listeners.sort_by_key(|address| (is_udp(address), address.to_string()));
    external
        .iter()
        .chain(listeners)
        .filter_map(|address| address.clone().with_p2p(me).ok())
        .map(|address| address.to_string())
        .filter(|address| seen.insert(address.clone()))
        .collect()
}

/// The loop's own record of peers.
#[derive(Default)]
struct Peers {
    trusted: HashSet<PeerId>,
    /// Open connections, oldest first.
    connections: HashMap<PeerId, Vec<ConnectionId>>,
}

/// Drives the swarm until [`Command::Stop`].
pub(super) async fn run(
    mut swarm: Swarm<Behaviour>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<NetworkEvent>,
    addresses: Addresses,
) {
    let mut peers = Peers::default();
    loop {
        let event = tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Stop(done)) => return stop(swarm, done).await,
                Some(command) => {
                    execute(&mut swarm, &mut peers, command, &events);
                    continue;
                }
                None => return,
            },
            event = swarm.select_next_some() => event,
        };
        let report = match event {
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                addresses.update(&swarm);
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
                        // No Freehold node has a key that is not ed25519. An error means that the
                        // peer has disconnected already.
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
                tracing::debug!(%error, "dial failed");
                PeerKey::of(&peer_id)
                    .filter(|_| !swarm.is_connected(&peer_id))
                    .map(NetworkEvent::DialFailed)
            }
            _ => continue,
        };
        if let Some(event) = report {
            // Fails only at shutdown, when the main loop has ended.
            let _ = events.send(event).await;
        }
    }
}

fn execute(
    swarm: &mut Swarm<Behaviour>,
    known: &mut Peers,
    command: Command,
    events: &mpsc::Sender<NetworkEvent>,
) {
    match command {
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
                    // If the channel is full this event is lost, and the dialer retries later.
                    let _ = events.try_send(NetworkEvent::DialFailed(peer));
                }
            }
        }
        Command::Disconnect(peer) => {
            if let Some(peer_id) = peer.peer_id() {
                // An error means that the peer is not connected.
                let _ = swarm.disconnect_peer_id(peer_id);
            }
        }
        Command::Trust(peers) => {
            let peers: HashSet<PeerId> = peers.iter().filter_map(PeerKey::peer_id).collect();
            let limits = &mut swarm.behaviour_mut().limits;
            known.trusted.difference(&peers).for_each(|peer| limits.remove_peer_id(peer));
            peers.difference(&known.trusted).for_each(|peer| limits.bypass_peer_id(peer));
            swarm.behaviour_mut().strangers.set_exempt(peers.clone());
            known.trusted = peers;
        }
        Command::Exempt(peer) => {
            if let Some(peer) = peer.peer_id()
                && known.trusted.insert(peer)
            {
                swarm.behaviour_mut().limits.bypass_peer_id(&peer);
                swarm.behaviour_mut().strangers.set_exempt(known.trusted.clone());
            }
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

/// Closes every connection, so that friends see at once that this node has stopped.
async fn stop(mut swarm: Swarm<Behaviour>, done: oneshot::Sender<()>) {
    let peers: Vec<PeerId> = swarm.connected_peers().copied().collect();
    for peer in peers {
        let _ = swarm.disconnect_peer_id(peer);
    }
    while swarm.connected_peers().next().is_some() {
        swarm.select_next_some().await;
    }
    drop(swarm);
    // The caller may have stopped waiting.
    let _ = done.send(());
}

/// Reports incoming streams as events. This runs in a task of its own, because `libp2p_stream`
/// drops a stream that is not taken at once.
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
