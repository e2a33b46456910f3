//! Who is connected, and what becomes of it: one entry per peer, one task per connection, one per stream.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freehold_core::events::Event;
use freehold_core::feed::{AppendError, HOMES_MAX};
use freehold_core::friends::{self, State};
use freehold_core::identity::{IdentityLog, PersonId, homes};
use freehold_core::node::Node;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blobs::Partials;
use crate::config::FederationConfig;
use crate::dial::Dialer;
use crate::follow::LastAsked;
use crate::limits::{
    ANSWER_TIMEOUT, BLOB_STREAMS_MAX, REQUESTS_BURST, REQUESTS_PER_SECOND, STRANGER_BLOB_KIB_BURST, STRANGER_BLOB_KIB_PER_SECOND,
};
use crate::network::{Network, NetworkEvent, PeerKey};
use crate::rate::Bucket;
use crate::sync::{Fresh, Trust};
use crate::{hello, serve};

/// New entries a slow stream may fall behind before it offers its logs again instead.
const FRESH_MAX: usize = 64;

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
    /// Each new own entry, once it is durable.
    pub(crate) fresh: broadcast::Sender<Arc<Fresh>>,
    /// Rung when a friend's entry shows a photo that is not here.
    pub(crate) wanted: Notify,
    pub(crate) partials: Partials,
    pub(crate) last_asked: Mutex<LastAsked>,
    peers: Mutex<HashMap<PeerKey, Arc<Peer>>>,
}

impl Shared {
    pub(crate) fn new(node: Node, network: Network, config: &FederationConfig) -> Self {
        let run = node.random.u64();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self {
            node,
            network,
            run,
            stop,
            tasks,
            local: config.is_local(),
            fresh: broadcast::channel(FRESH_MAX).0,
            wanted: Notify::new(),
            partials: Partials::default(),
            last_asked: Mutex::default(),
            peers: Mutex::default(),
        }
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
    /// What the person is to the owner.
    pub(crate) relation: Relation,
}

impl Standing {
    /// What a sync stream with this peer may carry.
    pub(crate) fn trust(&self) -> Trust {
        match (self.relation, self.person) {
            (Relation::Friend, Some(person)) => Trust::Friend(person.0),
            _ => Trust::Stranger,
        }
    }
}

/// What a person is to the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Both agreed.
    Friend,
    /// Their invite was accepted here and they have not answered.
    Asked,
    /// Anyone else.
    #[default]
    Stranger,
}

/// What a person is to the owner, by core's rows.
pub(crate) fn relation(shared: &Shared, person: Option<PersonId>) -> Relation {
    let friend = person.and_then(|person| friends::get(&shared.node, &person).ok()?);
    match friend.map(|friend| friend.state) {
        Some(State::Friend) => Relation::Friend,
        Some(State::Asked) => Relation::Asked,
        _ => Relation::Stranger,
    }
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
    /// KiB of blobs that a stranger may take; friends are not counted.
    pub(crate) taken: Mutex<Bucket>,
    /// The run of the peer that said hello last.
    pub(crate) run: Mutex<Option<u64>>,
    /// Ends the present sync stream when a newer one replaces it.
    pub(crate) sync: Mutex<CancellationToken>,
}

impl Peer {
    pub(crate) fn new(key: PeerKey, shared: &Shared) -> Self {
        let now = shared.node.clock.now();
        Self {
            key,
            standing: watch::Sender::new(None),
            gone: shared.stop.child_token(),
            requests: Mutex::new(Bucket::per_second(REQUESTS_PER_SECOND, REQUESTS_BURST, now)),
            blob_streams: Arc::new(Semaphore::new(BLOB_STREAMS_MAX)),
            taken: Mutex::new(Bucket::per_second(STRANGER_BLOB_KIB_PER_SECOND, STRANGER_BLOB_KIB_BURST, now)),
            run: Mutex::default(),
            sync: Mutex::default(),
        }
    }

    /// Whether the peer may make one more short request.
    pub(crate) fn may_ask(&self, shared: &Shared) -> bool {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take(1, shared.node.clock.now())
    }

    /// Whether the peer may take so many bytes of blobs now.
    pub(crate) fn may_take(&self, shared: &Shared, len: u64) -> bool {
        let is_friend = self.standing.borrow().as_ref().is_some_and(|standing| standing.relation == Relation::Friend);
        let kib = usize::try_from(len / 1024 + 1).unwrap_or(usize::MAX);
        is_friend || self.taken.lock().unwrap_or_else(PoisonError::into_inner).take(kib, shared.node.clock.now())
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
    let mut hints = shared.node.events.subscribe();
    let mut dialer = Dialer::new(&shared);
    refresh(&shared, &mut dialer).await;
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            event = network.recv() => match event {
                Some(event) => happened(&shared, &mut dialer, event),
                None => return,
            },
            hint = hints.recv() => match hint {
                Ok(Event::Friends | Event::Identity) | Err(RecvError::Lagged(_)) => refresh(&shared, &mut dialer).await,
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            },
            () = until(dialer.next()) => {
                for (key, addresses) in dialer.calls(Instant::now()) {
                    shared.network.dial(key, addresses);
                }
            }
        }
    }
}

fn happened(shared: &Arc<Shared>, dialer: &mut Dialer, event: NetworkEvent) {
    let now = Instant::now();
    match event {
        NetworkEvent::Connected { peer: key, dialed } => {
            dialer.connected(key);
            let (peer, new) = shared.enter(key);
            if new {
                shared.tasks.spawn(meet(Arc::clone(shared), peer, dialed));
            } else if dialed {
                // A stream made the entry and its task; what is lacking is the greeting.
                shared.tasks.spawn(greet(Arc::clone(shared), peer));
            }
        }
        NetworkEvent::Disconnected(key) => {
            shared.leave(key);
            dialer.disconnected(key, now);
        }
        NetworkEvent::DialFailed(key) => dialer.failed(key, now),
        NetworkEvent::Discovered(key, address) => dialer.discovered(key, address, now),
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
        if dialed {
            greet(Arc::clone(&shared), Arc::clone(&peer)).await;
        }
        match peer.known().await {
            Some(standing) => {
                let person = standing.person.map(|person| person.short());
                tracing::info!(peer = %peer.key, person, relation = ?standing.relation, "met");
                serve::attend(&shared, &peer).await;
            }
            None => {
                shared.network.hangup(peer.key);
                shared.leave(peer.key);
            }
        }
    };
    gone.run_until_cancelled(meeting).await;
}

async fn greet(shared: Arc<Shared>, peer: Arc<Peer>) {
    if let Some(Err(error)) = peer.gone.run_until_cancelled(hello::greet(&shared, &peer)).await {
        tracing::debug!(peer = %peer.key, %error, "no hello");
    }
}

/// Friends may have changed: who is trusted, blocked and called follows the rows.
async fn refresh(shared: &Arc<Shared>, dialer: &mut Dialer) {
    let friends = match friends::list(&shared.node) {
        Ok(friends) => friends,
        Err(error) => {
            tracing::warn!(%error, "cannot read the friends");
            return;
        }
    };
    let (mut callees, mut blocked) = (HashMap::new(), HashSet::new());
    for friend in friends {
        let key = PeerKey(*friend.node.as_bytes());
        match friend.state {
            State::Friend | State::Asked => {
                let homes = homes::of(&shared.node, &friend.person).ok().flatten().map(|homes| homes.libp2p).unwrap_or_default();
                let mut addresses = homes;
                addresses.extend(friend.addresses);
                addresses.dedup();
                callees.insert(key, addresses);
            }
            State::Blocked => _ = blocked.insert(key),
            State::Refused => {}
        }
    }
    let connected = shared.connected();
    dialer.learn(callees.clone(), &connected.iter().map(|peer| peer.key).collect(), Instant::now());
    shared.network.trust(callees.into_keys().collect());
    for key in &blocked {
        shared.network.hangup(*key);
    }
    shared.network.block(blocked);
    for peer in connected {
        peer.standing.send_if_modified(|standing| {
            let Some(standing) = standing else { return false };
            let now = relation(shared, standing.person);
            std::mem::replace(&mut standing.relation, now) != now
        });
    }
    if let Err(error) = announce(shared).await {
        tracing::warn!(%error, "cannot say where this node is reached");
    }
}

/// Tells friends where this node is reached, if that has changed.
async fn announce(shared: &Shared) -> Result<(), AppendError> {
    let Some(person) = shared.node.identity.person() else { return Ok(()) };
    let before = homes::of(&shared.node, &person)?;
    let libp2p: Vec<String> = shared.network.addresses().into_iter().take(HOMES_MAX).collect();
    let (web, mirrors) = before.map(|homes| (homes.web, homes.mirrors)).unwrap_or_default();
    homes::set(&shared.node, web, libp2p, mirrors).await.map(|_| ())
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// A moment to wait before trying again what failed on a connection that stands.
pub(crate) fn pause(shared: &Shared) -> Duration {
    let base = if shared.local { 50 } else { 1000 };
    Duration::from_millis(base + shared.node.random.u64() % base)
}
