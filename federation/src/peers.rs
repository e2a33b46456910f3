//! The connected peers: one [`Peer`] each, and the table of them all.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_core::blocking::blocking;
use freehold_core::clock::Timestamp;
use freehold_core::identity::PersonId;
use freehold_core::node::Node;
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::limits::{
    ANSWER_TIMEOUT, BLOB_STREAMS_MAX, FRIEND_BLOB_KIB_BURST, FRIEND_BLOB_KIB_PER_SECOND,
    NEW_ENTRIES_BUFFERED_MAX, REQUESTS_BURST, REQUESTS_PER_SECOND, STRANGER_BLOB_KIB_BURST,
    STRANGER_BLOB_KIB_PER_SECOND,
};
use crate::network::PeerKey;
use crate::peer_identity::{PeerIdentity, Relation};
use crate::rate::TokenBucket;
use crate::runs::Runs;
use crate::sync::NewEntry;
use crate::wire::hello::Hello;

/// The connected peers, and hints that reach all of them.
pub(crate) struct Peers {
    connected: Mutex<HashMap<PeerKey, Arc<Peer>>>,
    /// The nodes of friends, of persons whose invite the owner has accepted, and of persons who
    /// have not confirmed an unfollow notice.
    expected: Mutex<HashSet<PeerKey>>,
    /// Each new own entry, once it is durable.
    new_entries: broadcast::Sender<Arc<NewEntry>>,
    /// The runs of the peers' nodes.
    pub(crate) runs: Runs,
    /// Cancelled when the node stops.
    stop: CancellationToken,
}

impl Peers {
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            connected: Mutex::default(),
            expected: Mutex::default(),
            new_entries: broadcast::channel(NEW_ENTRIES_BUFFERED_MAX).0,
            runs: Runs::default(),
            stop,
        }
    }

    /// Every connected peer.
    pub(crate) fn connected(&self) -> Vec<Arc<Peer>> {
        self.lock().values().cloned().collect()
    }

    /// The peer with this key, and true if it was added just now.
    pub(crate) fn get_or_add(&self, key: PeerKey, now: Timestamp) -> (Arc<Peer>, bool) {
        let mut connected = self.lock();
        if let Some(peer) = connected.get(&key) {
            return (Arc::clone(peer), false);
        }
        let peer = Arc::new(Peer::new(key, self.stop.child_token(), now));
        connected.insert(key, Arc::clone(&peer));
        (peer, true)
    }

    /// Removes a peer and ends its tasks.
    pub(crate) fn remove(&self, key: PeerKey) {
        if let Some(peer) = self.lock().remove(&key) {
            peer.disconnected.cancel();
        }
    }

    /// Replaces the set of expected peers.
    pub(crate) fn expect(&self, keys: HashSet<PeerKey>) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// True if this node would dial the peer itself, or the peer has shown a valid token.
    pub(crate) fn is_expected(&self, peer: &Peer) -> bool {
        peer.is_friend()
            || peer.invited.is_cancelled()
            || self.expected.lock().unwrap_or_else(PoisonError::into_inner).contains(&peer.key)
    }

    /// Hands a new own entry to every sync stream.
    pub(crate) fn send_new_entry(&self, entry: NewEntry) {
        // An error means that no stream is open; each stream begins with an offer of whole logs.
        let _ = self.new_entries.send(Arc::new(entry));
    }

    /// New own entries from now on.
    pub(crate) fn new_entries(&self) -> broadcast::Receiver<Arc<NewEntry>> {
        self.new_entries.subscribe()
    }

    /// Wakes the fetching of blobs from this person's nodes; from every peer for `None`.
    pub(crate) fn notify_blobs_wanted(&self, person: Option<PersonId>) {
        self.notify(person, |peer| &peer.blobs_wanted);
    }

    /// Wakes the request for missing bodies on this person's sync streams; on all for `None`.
    pub(crate) fn notify_bodies_missing(&self, person: Option<PersonId>) {
        self.notify(person, |peer| &peer.bodies_missing);
    }

    fn notify(&self, person: Option<PersonId>, signal: impl Fn(&Peer) -> &Notify) {
        for peer in self.lock().values() {
            let peer_person = peer.identity.borrow().as_ref().and_then(|identity| identity.person);
            if person.is_none() || peer_person == person {
                signal(peer).notify_one();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerKey, Arc<Peer>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connected peer.
pub(crate) struct Peer {
    pub(crate) key: PeerKey,
    /// `None` until the hellos have been exchanged and the peer's claim is verified.
    pub(crate) identity: watch::Sender<Option<PeerIdentity>>,
    /// Cancelled when the last connection is closed, or the node stops.
    pub(crate) disconnected: CancellationToken,
    /// Held while the peer's claim is verified.
    pub(crate) identifying: tokio::sync::Mutex<()>,
    /// The run number of the peer's last hello.
    pub(crate) last_run: Mutex<Option<u64>>,
    /// The hello of a peer whose identity log could not be looked up because of a rate.
    pub(crate) unverified: Mutex<Option<Hello>>,
    /// Cancelled once the peer has shown the token of an open invite.
    pub(crate) invited: CancellationToken,
    /// The peer's person is a friend whose post shows photos that are missing here.
    pub(crate) blobs_wanted: Notify,
    /// Bodies are missing here that the peer may have.
    pub(crate) bodies_missing: Notify,
    /// Ends the present sync stream when a newer one replaces it.
    pub(crate) sync_stream: Mutex<CancellationToken>,
    pub(crate) blob_streams: Arc<Semaphore>,
    /// Held while a message of the peer is received.
    pub(crate) mail_stream: Semaphore,
    rates: Mutex<PeerRates>,
}

/// Rates of one connected peer.
struct PeerRates {
    requests: TokenBucket,
    stranger_blob_kib: TokenBucket,
    friend_blob_kib: TokenBucket,
}

impl Peer {
    pub(crate) fn new(key: PeerKey, disconnected: CancellationToken, now: Timestamp) -> Self {
        Self {
            key,
            identity: watch::Sender::new(None),
            disconnected,
            identifying: tokio::sync::Mutex::default(),
            last_run: Mutex::default(),
            unverified: Mutex::default(),
            invited: CancellationToken::new(),
            blobs_wanted: Notify::new(),
            bodies_missing: Notify::new(),
            sync_stream: Mutex::default(),
            blob_streams: Arc::new(Semaphore::new(BLOB_STREAMS_MAX)),
            mail_stream: Semaphore::new(1),
            rates: Mutex::new(PeerRates {
                requests: TokenBucket::per_second(REQUESTS_PER_SECOND, REQUESTS_BURST, now),
                stranger_blob_kib: TokenBucket::per_second(
                    STRANGER_BLOB_KIB_PER_SECOND,
                    STRANGER_BLOB_KIB_BURST,
                    now,
                ),
                friend_blob_kib: TokenBucket::per_second(
                    FRIEND_BLOB_KIB_PER_SECOND,
                    FRIEND_BLOB_KIB_BURST,
                    now,
                ),
            }),
        }
    }

    /// Takes short requests from the peer's own rate.
    pub(crate) fn take_requests(&self, count: usize, now: Timestamp) -> bool {
        self.rates().requests.take(count, now)
    }

    /// Takes KiB of blobs from the peer's own rate as a friend, or as a stranger.
    pub(crate) fn take_blob_kib(&self, kib: usize, is_friend: bool, now: Timestamp) -> bool {
        let mut rates = self.rates();
        let bucket =
            if is_friend { &mut rates.friend_blob_kib } else { &mut rates.stranger_blob_kib };
        bucket.take(kib, now)
    }

    fn rates(&self) -> MutexGuard<'_, PeerRates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peer's relation to the owner; `None` until its identity is known.
    pub(crate) fn relation(&self) -> Option<Relation> {
        self.identity.borrow().as_ref().map(|identity| identity.relation)
    }

    /// True if the peer's claim could not be verified because of a rate.
    pub(crate) fn is_unverified(&self) -> bool {
        self.unverified.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// True if the peer's person is known to be a friend.
    pub(crate) fn is_friend(&self) -> bool {
        self.relation() == Some(Relation::Friend)
    }

    /// Reads the peer's identity again from the present rows, if it was known.
    pub(crate) async fn reread_identity(&self, node: &Node) {
        let Some(before) = self.identity.borrow().clone() else { return };
        let (node, key, person) = (node.clone(), self.key, before.person);
        // Fails only when the node stops.
        let Ok(reread) = blocking(move || before.reread(&node, key)).await else { return };
        self.identity.send_if_modified(|identity| {
            // If another hello was verified meanwhile, its result is newer.
            let Some(identity) = identity.as_mut().filter(|identity| identity.person == person)
            else {
                return false;
            };
            let is_changed =
                (identity.person, identity.relation) != (reread.person, reread.relation);
            *identity = reread;
            is_changed
        });
    }

    /// Waits for the peer's identity; `None` after [`ANSWER_TIMEOUT`].
    pub(crate) async fn identified(&self) -> Option<PeerIdentity> {
        let mut changes = self.identity.subscribe();
        let identified =
            tokio::time::timeout(ANSWER_TIMEOUT, changes.wait_for(Option::is_some)).await;
        identified.ok()?.ok()?.clone()
    }
}
