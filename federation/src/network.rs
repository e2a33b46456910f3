//! libp2p behind a small interface: connections whose peers have proved a node key, and byte
//! streams over them. No other module imports libp2p.
//!
//! TCP (with Noise and Yamux) and QUIC share a port number. Modules above name a peer by its
//! [`PeerKey`] and an address by its text.

mod behaviour;
mod drive;
mod key;
mod memory;
mod reach;
mod slots;
mod strangers;
#[cfg(test)]
mod tests;
mod transport;

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use freehold_core::logins::ClientNet;
use libp2p::identity::Keypair;
use libp2p::{Stream, StreamProtocol};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

pub(crate) use self::key::PeerKey;
use self::reach::{Reach, SharedReach};
use crate::config::FederationConfig;

/// Opening a stream on an open connection takes one round trip; longer means the peer is stuck.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Events of the swarm that wait for the main loop.
const EVENTS_PENDING_MAX: usize = 64;

/// A byte stream to a peer that has proved its key.
pub(crate) type ByteStream = Stream;

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The node's key is not usable.
    #[error("the node key is not usable: {0}")]
    Key(String),
    /// A transport could not be set up.
    #[error("cannot set up the network: {0}")]
    Transport(String),
    /// An address could not be listened on: it is in use, or not this machine's.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address as configured.
        address: String,
        /// The system's reason.
        cause: String,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] freehold_core::store::StoreError),
}

/// An event on the network.
#[derive(Debug)]
pub(crate) enum NetworkEvent {
    /// The first connection to this peer is open.
    Connected {
        /// The peer.
        peer: PeerKey,
        /// This node has dialed.
        dialed: bool,
    },
    /// The last connection to this peer is closed.
    Disconnected(PeerKey),
    /// A dial has failed.
    DialFailed(PeerKey),
    /// The peer has opened a stream of this protocol.
    Incoming(PeerKey, &'static str, ByteStream),
}

/// A command to the task that drives the swarm.
pub(super) enum Command {
    Dial(PeerKey, Vec<String>),
    Disconnect(PeerKey),
    Trust(HashSet<PeerKey>),
    Exempt(PeerKey),
    Block(HashSet<PeerKey>),
    KeepNewest(PeerKey),
    Stop(oneshot::Sender<()>),
}

/// The running network. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Network {
    me: PeerKey,
    commands: mpsc::UnboundedSender<Command>,
    streams: libp2p_stream::Control,
    addresses: Arc<RwLock<Vec<String>>>,
    nets: strangers::Nets,
    port: Option<u16>,
}

impl Network {
    /// Starts the swarm and returns once it listens: the network, its events, and the task that
    /// drives it. Streams of other protocols than `protocols` are refused.
    pub(crate) async fn start(
        secret: Zeroizing<[u8; 32]>,
        config: &FederationConfig,
        protocols: &[&'static str],
    ) -> Result<(Self, mpsc::Receiver<NetworkEvent>, JoinHandle<()>), StartError> {
        let mut secret = secret;
        let keypair = Keypair::ed25519_from_bytes(secret.as_mut_slice())
            .map_err(|error| StartError::Key(error.to_string()))?;
        let me = PeerKey::of(&keypair.public().to_peer_id())
            .ok_or_else(|| StartError::Key("not ed25519".to_owned()))?;
        let addresses = drive::Addresses {
            texts: Arc::default(),
            reach: SharedReach::new(Reach::Machine),
            external: drive::external(config)?,
        };
        let nets = strangers::Nets::default();
        let mut swarm =
            behaviour::swarm(keypair, config, addresses.reach.clone(), Arc::clone(&nets))?;
        let mut streams = swarm.behaviour().streams.new_control();
        let (events, receiver) = mpsc::channel(EVENTS_PENDING_MAX);
        let mut incoming = Vec::new();
        for name in protocols {
            // Fails only if `protocols` lists a name twice: the behaviour is new.
            let accepted = streams
                .accept(StreamProtocol::new(name))
                .map_err(|error| StartError::Transport(error.to_string()))?;
            incoming.push((*name, accepted));
        }
        let port = drive::listen(&mut swarm, config).await?;
        addresses.update(&swarm);
        let texts = Arc::clone(&addresses.texts);
        let (commands, queue) = mpsc::unbounded_channel();
        let task = tokio::spawn(drive::run(swarm, queue, events.clone(), addresses));
        tokio::spawn(drive::accept(incoming, events));
        Ok((Self { me, commands, streams, addresses: texts, nets, port }, receiver, task))
    }

    /// This node's own key.
    pub(crate) fn me(&self) -> PeerKey {
        self.me
    }

    /// The port of the first listen address; `None` without one.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// The network from which a connected peer calls; `None` for loopback, and for a peer that this
    /// node has dialed.
    pub(crate) fn net_of(&self, peer: PeerKey) -> Option<ClientNet> {
        let nets = self.nets.read().unwrap_or_else(PoisonError::into_inner);
        nets.get(&peer.peer_id()?).copied()
    }

    /// This node's addresses for friends, as multiaddrs that end in its `PeerId`: the external
    /// ones, and those listen addresses that others can use.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// [`Self::addresses`] at any later moment.
    pub(crate) fn address_source(&self) -> impl Fn() -> Vec<String> + Send + Sync + use<> {
        let addresses = Arc::clone(&self.addresses);
        move || addresses.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Dials a peer at any of `addresses`; the result is an event. Does nothing for a peer that is
    /// connected.
    pub(crate) fn dial(&self, peer: PeerKey, addresses: Vec<String>) {
        self.send(Command::Dial(peer, addresses));
    }

    /// Closes every connection to a peer.
    pub(crate) fn disconnect(&self, peer: PeerKey) {
        self.send(Command::Disconnect(peer));
    }

    /// Replaces the peers that are exempt from the limits on strangers.
    pub(crate) fn trust(&self, peers: HashSet<PeerKey>) {
        self.send(Command::Trust(peers));
    }

    /// Exempts one more peer from the limits on strangers, until the next [`Self::trust`].
    pub(crate) fn exempt(&self, peer: PeerKey) {
        self.send(Command::Exempt(peer));
    }

    /// Replaces the peers whose connections are refused.
    pub(crate) fn block(&self, peers: HashSet<PeerKey>) {
        self.send(Command::Block(peers));
    }

    /// Closes every connection to a peer except the newest.
    pub(crate) fn keep_newest(&self, peer: PeerKey) {
        self.send(Command::KeepNewest(peer));
    }

    /// Opens a stream to a connected peer.
    ///
    /// # Errors
    /// When the peer is not connected, does not support the protocol, or does not answer in time.
    pub(crate) async fn open(
        &self,
        peer: PeerKey,
        protocol: &'static str,
    ) -> io::Result<ByteStream> {
        let peer_id = peer.peer_id().ok_or(io::ErrorKind::InvalidInput)?;
        let mut streams = self.streams.clone();
        let opening = streams.open_stream(peer_id, StreamProtocol::new(protocol));
        match tokio::time::timeout(OPEN_TIMEOUT, opening).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(libp2p_stream::OpenStreamError::Io(error))) => Err(error),
            Ok(Err(error)) => Err(io::Error::new(io::ErrorKind::Unsupported, error)),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Closes every connection and stops listening; returns once that is done.
    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        self.send(Command::Stop(done));
        // An error means that the swarm has stopped already.
        let _ = stopped.await;
    }

    fn send(&self, command: Command) {
        // Fails only after the swarm has stopped, at shutdown.
        let _ = self.commands.send(command);
    }
}
