//! Who is connected, and what becomes of it: one entry per peer, one task per connection, one per stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freehold_core::identity::{IdentityLog, PersonId};
use freehold_core::node::Node;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::FederationConfig;
use crate::limits::{ANSWER_TIMEOUT, BLOB_STREAMS_MAX, REQUESTS_BURST, REQUESTS_PER_SECOND};
use crate::network::{Network, NetworkEvent, PeerKey};
use crate::rate::Bucket;
use crate::{hello, serve};

/// What every part of this crate works with.
pub(crate) struct Shared {
    pub(crate) node: Node,
    pub(crate) network: Network,
    /// Drawn at start; see `wire::hello`.
    pub(crate) run: u64,
    /// Cancelled when the node stops.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Every friend this node knows is called on this machine, so waiting long between calls serves nobody.
    pub(crate) local: bool,
    peers: Mutex<HashMap<PeerKey, Arc<Peer>>>,
}

impl Shared {
    pub(crate) fn new(node: Node, network: Network, config: &FederationConfig) -> Self {
        let run = node.random.u64();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self { node, network, run, stop, tasks, local: config.is_local(), peers: Mutex::default() }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<PeerKey, Arc<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everyone connected.
    pub(crate) fn connected(&self) -> Vec<Arc<Peer>> {
        self.peers().values().cloned().collect()
    }

    /// The peer's entry, and whether it was made just now.
    fn enter(&self, key: PeerKey) -> (Arc<Peer>, bool) {
        let mut peers = self.peers();
        if let Some(peer) = peers.get(&key) {
            return (Arc::clone(peer), false);
        }
        let peer = Arc::new(Peer::new(key, self));
        peers.insert(key, Arc::clone(&peer));
        (peer, true)
    }

    fn leave(&self, key: PeerKey) {
        if let Some(peer) = self.peers().remove(&key) {
            peer.gone.cancel();
        }
    }
}

/// What is known of who is at the other end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// The person whose verified identity log names the peer's key; `None` for a node that nobody has claimed, or that
    /// claims to be somebody it is not.
    pub(crate) person: Option<PersonId>,
    /// That log.
    pub(crate) log: Option<Arc<IdentityLog>>,
}

/// One connected peer.
pub(crate) struct Peer {
    pub(crate) key: PeerKey,
    /// `None` until the hellos have been exchanged and judged.
    pub(crate) standing: watch::Sender<Option<Standing>>,
    /// Cancelled when the last connection is gone, or the node stops.
    pub(crate) gone: CancellationToken,
    pub(crate) requests: Mutex<Bucket>,
    pub(crate) blob_streams: Arc<Semaphore>,
    /// The run of the peer that said hello last.
    pub(crate) run: Mutex<Option<u64>>,
    /// Ends the present sync stream when a newer one replaces it.
    pub(crate) sync: Mutex<CancellationToken>,
}

impl Peer {
    fn new(key: PeerKey, shared: &Shared) -> Self {
        let now = shared.node.clock.now();
        Self {
            key,
            standing: watch::Sender::new(None),
            gone: shared.stop.child_token(),
            requests: Mutex::new(Bucket::per_second(REQUESTS_PER_SECOND, REQUESTS_BURST, now)),
            blob_streams: Arc::new(Semaphore::new(BLOB_STREAMS_MAX)),
            run: Mutex::default(),
            sync: Mutex::default(),
        }
    }

    /// Whether the peer may make one more short request.
    pub(crate) fn may_ask(&self, shared: &Shared) -> bool {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take(1, shared.node.clock.now())
    }

    /// Who the peer is, once that is known; `None` when it does not say in time.
    pub(crate) async fn known(&self) -> Option<Standing> {
        let mut standing = self.standing.subscribe();
        let known = tokio::time::timeout(ANSWER_TIMEOUT, standing.wait_for(Option::is_some)).await;
        known.ok()?.ok()?.clone()
    }
}

/// Takes what the network reports and what core hints at, until the node stops.
pub(crate) async fn run(shared: Arc<Shared>, mut network: mpsc::Receiver<NetworkEvent>) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            event = network.recv() => match event {
                Some(event) => happened(&shared, event),
                None => return,
            },
        }
    }
}

fn happened(shared: &Arc<Shared>, event: NetworkEvent) {
    match event {
        NetworkEvent::Connected { peer: key, dialed } => {
            let (peer, _) = shared.enter(key);
            shared.tasks.spawn(meet(Arc::clone(shared), peer, dialed));
        }
        NetworkEvent::Disconnected(key) => {
            shared.leave(key);
        }
        NetworkEvent::DialFailed(_) | NetworkEvent::Discovered(..) => {}
        NetworkEvent::Incoming(key, protocol, stream) => {
            // A stream may be heard of before its connection is.
            let (peer, new) = shared.enter(key);
            if new {
                shared.tasks.spawn(meet(Arc::clone(shared), Arc::clone(&peer), false));
            }
            let shared_here = Arc::clone(shared);
            shared.tasks.spawn(async move {
                let gone = peer.gone.clone();
                let serving = serve::serve(&shared_here, &peer, protocol, stream);
                let ended = gone.run_until_cancelled(serving).await;
                if let Some(Err(error)) = ended {
                    tracing::debug!(peer = %peer.key, protocol, %error, "a stream ended early");
                }
            });
        }
    }
}

/// Greets a peer we called, or waits to be greeted, then keeps up what the peer's standing calls for.
async fn meet(shared: Arc<Shared>, peer: Arc<Peer>, dialed: bool) {
    let gone = peer.gone.clone();
    let meeting = async {
        if dialed && let Err(error) = hello::greet(&shared, &peer).await {
            tracing::debug!(peer = %peer.key, %error, "no hello");
        }
        match peer.known().await {
            Some(standing) => {
                tracing::info!(peer = %peer.key, person = standing.person.map(|person| person.short()), "met");
            }
            None => {
                shared.network.hangup(peer.key);
                shared.leave(peer.key);
            }
        }
    };
    gone.run_until_cancelled(meeting).await;
}

/// A moment to wait before trying again what failed on a connection that stands.
pub(crate) fn pause(shared: &Shared) -> Duration {
    let base = if shared.local { 50 } else { 1000 };
    Duration::from_millis(base + shared.node.random.u64() % base)
}
