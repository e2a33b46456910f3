//! The one module that knows libp2p: connections that have proved a node key, and byte streams over
//! them.
//!
//! TCP (with Noise and Yamux) and QUIC share a port number. Everything above this module names a
//! peer by its [`PeerKey`] and an address by its text.

mod behaviour;
mod drive;
mod key;
mod memory;
mod slots;
mod strangers;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::{Stream, StreamProtocol};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

pub(crate) use self::key::PeerKey;
use crate::config::FederationConfig;

/// Opening a stream on a connection that stands takes one exchange; longer means the peer is stuck.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// What the swarm has seen and nobody has looked at yet.
const EVENTS_PENDING_MAX: usize = 64;

/// A byte stream to a peer whose key the connection has proved.
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
    /// An address could not be listened on: taken, or not this machine's.
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

/// What happened on the network.
#[derive(Debug)]
pub(crate) enum NetworkEvent {
    /// The first connection to this peer stands.
    Connected {
        /// Who.
        peer: PeerKey,
        /// We called them.
        dialed: bool,
    },
    /// The last connection to this peer is gone.
    Disconnected(PeerKey),
    /// A dial came to nothing.
    DialFailed(PeerKey),
    /// The peer opened a stream.
    Incoming(PeerKey, &'static str, ByteStream),
}

/// What the swarm is asked to do.
pub(super) enum Command {
    Dial(PeerKey, Vec<String>),
    Hangup(PeerKey),
    Trust(HashSet<PeerKey>),
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
}

impl Network {
    /// Starts the swarm and returns once it listens: the network, its events, and the task that
    /// drives it. Streams are accepted for `protocols` alone.
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
        let mut swarm = behaviour::swarm(keypair, config)?;
        let mut streams = swarm.behaviour().streams.new_control();
        let (events, receiver) = mpsc::channel(EVENTS_PENDING_MAX);
        let mut incoming = Vec::new();
        for name in protocols {
            // A fresh behaviour has no protocol yet, so a name is taken only if it is listed twice.
            let accepted = streams
                .accept(StreamProtocol::new(name))
                .map_err(|error| StartError::Transport(error.to_string()))?;
            incoming.push((*name, accepted));
        }
        let listening = drive::listen(&mut swarm, config).await?;
        let addresses = Arc::new(RwLock::new(listening));
        let (commands, orders) = mpsc::unbounded_channel();
        let task = tokio::spawn(drive::run(swarm, orders, events.clone(), Arc::clone(&addresses)));
        tokio::spawn(drive::accept(incoming, events));
        Ok((Self { me, commands, streams, addresses }, receiver, task))
    }

    /// This node's own key.
    pub(crate) fn me(&self) -> PeerKey {
        self.me
    }

    /// Where this node listens, as multiaddrs that end in its `PeerId`.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls a peer at any of `addresses`; the answer comes as an event. A peer already connected
    /// is left alone.
    pub(crate) fn dial(&self, peer: PeerKey, addresses: Vec<String>) {
        self.send(Command::Dial(peer, addresses));
    }

    /// Ends every connection to a peer.
    pub(crate) fn hangup(&self, peer: PeerKey) {
        self.send(Command::Hangup(peer));
    }

    /// Names the peers that the limits on strangers do not count, in place of those named before.
    pub(crate) fn trust(&self, peers: HashSet<PeerKey>) {
        self.send(Command::Trust(peers));
    }

    /// Names the peers whose connections are refused, in place of those named before.
    pub(crate) fn block(&self, peers: HashSet<PeerKey>) {
        self.send(Command::Block(peers));
    }

    /// Ends every connection to a peer but the newest.
    pub(crate) fn keep_newest(&self, peer: PeerKey) {
        self.send(Command::KeepNewest(peer));
    }

    /// Opens a stream to a connected peer.
    ///
    /// # Errors
    /// When the peer is not connected, does not speak the protocol, or does not answer in time.
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
        // An error means that the swarm is gone already, which is what is wanted.
        let _ = stopped.await;
    }

    fn send(&self, command: Command) {
        // The swarm is gone only while shutting down, when there is nothing left to ask of it.
        let _ = self.commands.send(command);
    }
}
