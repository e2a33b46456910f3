//! Who is connected, and what becomes of it: one entry per peer, one task per connection, one per
//! stream.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freehold_core::events::Event;
use freehold_core::identity::PersonId;
use freehold_core::node::Node;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blobs::{Partials, Shares};
use crate::config::{FederationConfig, WebAddress};
use crate::dial::Dialer;
use crate::follow::LastAsked;
use crate::limits::{
    ANSWER_TIMEOUT, BLOB_STREAMS_MAX, ENTRIES_MIB_PER_FRIEND_DAY, FRIEND_BLOB_KIB_BURST,
    FRIEND_BLOB_KIB_PER_SECOND, REQUESTS_BURST, REQUESTS_PER_SECOND, STRANGER_BLOB_KIB_BURST,
    STRANGER_BLOB_KIB_PER_SECOND, STRANGERS_BLOB_KIB_BURST, STRANGERS_BLOB_KIB_PER_SECOND,
    STRANGERS_REQUESTS_BURST, STRANGERS_REQUESTS_PER_SECOND, STRANGERS_VERIFIED_MAX,
};
use crate::network::{Network, NetworkEvent, PeerKey};
use crate::rate::Bucket;
use crate::refresh::{self, Bells};
use crate::standing::{Relation, Standing};
use crate::sync::Fresh;
use crate::{aside, hello, serve};

/// New entries a slow stream may fall behind before it offers its logs again instead.
const FRESH_MAX: usize = 64;

/// How often what has lain too long is dropped.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What every part of this crate works with.
pub(crate) struct Shared {
    pub(crate) node: Node,
    pub(crate) network: Network,
    /// Drawn at start; see `wire::hello`.
    pub(crate) run: u64,
    /// Cancelled when the node stops.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Every friend this node knows is called on this machine, so waiting long between calls serves
    /// nobody.
    pub(crate) local: bool,
    /// Each new own entry, once it is durable.
    pub(crate) fresh: broadcast::Sender<Arc<Fresh>>,
    pub(crate) partials: Partials,
    /// What each friend may still bring today of photos.
    pub(crate) shares: Shares,
    /// The same of entries.
    pub(crate) entry_shares: Shares,
    /// Taken while the identity log of somebody unknown is verified.
    pub(crate) verifying: Semaphore,
    /// The address of the site, if the process was told one.
    pub(crate) web: Option<WebAddress>,
    pub(crate) last_asked: Mutex<LastAsked>,
    pub(crate) bells: Bells,
    /// The nodes of friends, and of those who are to become or cease to be some.
    pub(crate) expected: Mutex<HashSet<PeerKey>>,
    /// What all other peers together may ask for: who hangs up and calls again, or comes with many
    /// keys, gains nothing.
    pub(crate) strangers: Mutex<Rates>,
    peers: Mutex<HashMap<PeerKey, Arc<Peer>>>,
}

/// What peers may cost.
pub(crate) struct Rates {
    pub(crate) requests: Bucket,
    pub(crate) blob_kib: Bucket,
}

impl Shared {
    pub(crate) fn new(node: Node, network: Network, config: &FederationConfig) -> Self {
        let (run, now) = (node.random.u64(), node.clock.now());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self {
            node,
            network,
            run,
            stop,
            tasks,
            local: config.is_local(),
            fresh: broadcast::channel(FRESH_MAX).0,
            partials: Partials::default(),
            shares: Shares::new(config.photos_mib_per_friend_day),
            entry_shares: Shares::new(ENTRIES_MIB_PER_FRIEND_DAY),
            verifying: Semaphore::new(STRANGERS_VERIFIED_MAX),
            web: config.web.clone(),
            last_asked: Mutex::default(),
            bells: Bells::default(),
            expected: Mutex::default(),
            strangers: Mutex::new(Rates {
                requests: Bucket::per_second(
                    STRANGERS_REQUESTS_PER_SECOND,
                    STRANGERS_REQUESTS_BURST,
                    now,
                ),
                blob_kib: Bucket::per_second(
                    STRANGERS_BLOB_KIB_PER_SECOND,
                    STRANGERS_BLOB_KIB_BURST,
                    now,
                ),
            }),
            peers: Mutex::default(),
        }
    }

    fn strangers(&self) -> MutexGuard<'_, Rates> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<PeerKey, Arc<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everyone connected.
    pub(crate) fn connected(&self) -> Vec<Arc<Peer>> {
        self.peers().values().cloned().collect()
    }

    /// Has photos fetched from the nodes of this friend; of every friend for `None`.
    fn want(&self, of: Option<PersonId>) {
        for peer in self.peers().values() {
            let person = peer.standing.borrow().as_ref().and_then(|standing| standing.person);
            if of.is_none() || person == of {
                peer.wanted.notify_one();
            }
        }
    }

    /// Has missing bodies asked for: of this author's own nodes, of everybody for the owner's and
    /// for `None`.
    fn lack(&self, of: Option<PersonId>) {
        let of = of.filter(|author| self.node.identity.person() != Some(*author));
        for peer in self.peers().values() {
            let person = peer.standing.borrow().as_ref().and_then(|standing| standing.person);
            if of.is_none() || person == of {
                peer.lacking.notify_one();
            }
        }
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

/// One connected peer.
pub(crate) struct Peer {
    pub(crate) key: PeerKey,
    /// `None` until the hellos have been exchanged and judged.
    pub(crate) standing: watch::Sender<Option<Standing>>,
    /// Cancelled when the last connection is gone, or the node stops.
    pub(crate) gone: CancellationToken,
    /// Held while it is found out who the peer is.
    pub(crate) judging: tokio::sync::Mutex<()>,
    pub(crate) requests: Mutex<Bucket>,
    pub(crate) blob_streams: Arc<Semaphore>,
    /// KiB of blobs that the peer may take as a stranger, and as a friend.
    taken: Mutex<(Bucket, Bucket)>,
    /// The run of the peer that said hello last.
    pub(crate) run: Mutex<Option<u64>>,
    /// Rung when the peer's person is a friend whose post shows photos that are not here.
    pub(crate) wanted: Notify,
    /// Rung when bodies are missing that the peer may have.
    pub(crate) lacking: Notify,
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
            judging: tokio::sync::Mutex::default(),
            requests: Mutex::new(Bucket::per_second(REQUESTS_PER_SECOND, REQUESTS_BURST, now)),
            blob_streams: Arc::new(Semaphore::new(BLOB_STREAMS_MAX)),
            taken: Mutex::new((
                Bucket::per_second(STRANGER_BLOB_KIB_PER_SECOND, STRANGER_BLOB_KIB_BURST, now),
                Bucket::per_second(FRIEND_BLOB_KIB_PER_SECOND, FRIEND_BLOB_KIB_BURST, now),
            )),
            run: Mutex::default(),
            wanted: Notify::new(),
            lacking: Notify::new(),
            sync: Mutex::default(),
        }
    }

    /// Whether the peer may make one more short request, or have one made that counts for several.
    pub(crate) fn may_ask(&self, shared: &Shared, cost: usize) -> bool {
        let now = shared.node.clock.now();
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take(cost, now)
            && (self.is_expected(shared) || shared.strangers().requests.take(cost, now))
    }

    /// Whether the peer may take so many bytes of blobs now, or have them hashed.
    pub(crate) fn may_take(&self, shared: &Shared, len: u64) -> bool {
        let is_friend = self.is_friend();
        let kib = usize::try_from(len / 1024 + 1).unwrap_or(usize::MAX);
        let (now, mut taken) =
            (shared.node.clock.now(), self.taken.lock().unwrap_or_else(PoisonError::into_inner));
        if is_friend {
            taken.1.take(kib, now)
        } else {
            taken.0.take(kib, now) && shared.strangers().blob_kib.take(kib, now)
        }
    }

    fn is_friend(&self) -> bool {
        self.standing
            .borrow()
            .as_ref()
            .is_some_and(|standing| standing.relation == Relation::Friend)
    }

    /// Whether the key, which the connection has proved, is one that this node would call itself.
    fn is_expected(&self, shared: &Shared) -> bool {
        self.is_friend()
            || shared.expected.lock().unwrap_or_else(PoisonError::into_inner).contains(&self.key)
    }

    /// Looks anew at who the peer is, if that was known.
    pub(crate) async fn renew(&self, shared: &Shared) {
        let Some(before) = self.standing.borrow().clone() else { return };
        let (node, key, person) = (shared.node.clone(), self.key, before.person);
        // Fails only when the node stops.
        let Ok(now) = aside::blocking(move || before.renewed(&node, key)).await else { return };
        self.standing.send_if_modified(|standing| {
            // Judged meanwhile by another hello: what that found is newer.
            let Some(standing) = standing.as_mut().filter(|standing| standing.person == person)
            else {
                return false;
            };
            let is_news = (standing.person, standing.relation) != (now.person, now.relation);
            *standing = now;
            is_news
        });
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
    let (learnt, mut callees) = watch::channel(HashMap::new());
    refresh::refresh(&shared, &learnt).await;
    let refreshing = refresh::run(Arc::clone(&shared), learnt);
    shared.tasks.spawn(shared.stop.clone().run_until_cancelled_owned(refreshing));
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            event = network.recv() => match event {
                Some(event) => happened(&shared, &mut dialer, event),
                None => return,
            },
            hint = hints.recv() => match hint {
                Ok(Event::Friends | Event::Identity) => shared.bells.friends.notify_one(),
                // The owner may have a name now, and with it a site.
                Ok(Event::Public) => shared.bells.homes.notify_one(),
                Ok(Event::Wanted(friend)) => shared.want(Some(friend)),
                Ok(Event::Missing(author)) => shared.lack(Some(author)),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    shared.bells.friends.notify_one();
                    shared.want(None);
                    shared.lack(None);
                }
                Err(RecvError::Closed) => return,
            },
            Ok(()) = callees.changed() => {
                let (wanted, connected) = (callees.borrow_and_update().clone(), shared.connected());
                dialer.learn(wanted, &connected.iter().map(|peer| peer.key).collect(), Instant::now());
            }
            _ = sweep.tick() => shared.partials.forget_old(shared.node.clock.now()),
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

/// Greets a peer we called, or waits to be greeted, then keeps up what the peer's standing calls
/// for.
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
