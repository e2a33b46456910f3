//! The loop around a sync session: reads and writes the stream, reads and writes the store, and
//! takes new own entries from `push`.

mod frames;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use freehold_core::apply;
use freehold_core::blocking::try_blocking;
use freehold_core::identity::PersonId;
use freehold_core::shares;
use freehold_core::store::StoreError;
use futures::AsyncReadExt;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::frames::FrameSender;
use crate::acks::AckTracker;
use crate::held;
use crate::network::ByteStream;
use crate::peer_identity::PeerIdentity;
use crate::peers::Peer;
use crate::state::FederationState;
use crate::sync::{Action, SyncPeer, SyncSession, retry_after};
use crate::wire::frame::FrameError;
use crate::wire::sync::{Entry, Head, Log, Reason, Sync};
use crate::{own_feeds, receive};

/// Messages read ahead of the session; further ones wait in the network.
const READ_AHEAD_MAX: usize = 4;
/// How long the writing of the last frames may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Pauses between two tries to take a batch from a friend's share of the day.
const SHARE_RETRY_PAUSES: u32 = 5;
const SHARE_USED_UP: &str = "the share of the day is used up";

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type StoreTask = Task<Result<Vec<(Log, u64)>, Reason>>;
type CursorTask = Task<Result<(), StoreError>>;

/// Why a stream ended, and how many seconds to wait before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamEnd {
    pub(crate) reason: Reason,
    pub(crate) retry_after: u32,
}

impl StreamEnd {
    /// The connection is closed, or another stream replaces this one.
    const LEAVING: Self = Self { reason: Reason::Leaving, retry_after: 0 };

    fn by_us(reason: Reason) -> Self {
        Self { reason, retry_after: retry_after(reason) }
    }
}

struct SyncStream<'a> {
    state: &'a Arc<FederationState>,
    peer: SyncPeer,
    session: SyncSession,
    actions: VecDeque<Action>,
    store: StoreQueue,
    /// `None` for a stranger, whose acknowledgements do not count.
    acks: Option<AckTracker>,
    has_new_acks: bool,
    frames: FrameSender,
}

/// Batches to store, one at a time and in order.
#[derive(Default)]
struct StoreQueue {
    waiting: VecDeque<Vec<Entry>>,
    running: Option<StoreTask>,
}

/// Runs one sync stream to its end. A newer stream with the same peer ends it.
pub(crate) async fn run(
    state: &Arc<FederationState>,
    peer: &Peer,
    sync_peer: SyncPeer,
    stream: ByteStream,
) -> Result<StreamEnd, StoreError> {
    let replaced = replace_present_stream(peer);
    let (reader, writer) = stream.split();
    let (incoming, mut messages) = mpsc::channel(READ_AHEAD_MAX);
    // Both halves end with this function: dropping the guard cancels the reader, dropping the
    // sender ends the writer.
    let halves = CancellationToken::new();
    let _guard = halves.clone().drop_guard();
    tokio::spawn(halves.clone().run_until_cancelled_owned(frames::read(reader, incoming)));
    let (frames, written) = FrameSender::spawn(writer);

    // Subscribe before the logs are read, so no new entry is missed.
    let mut new_entries = state.peers.new_entries();
    let offers = read_offers(state, sync_peer).await?;
    let (session, actions) = SyncSession::start(sync_peer, offers, state.node.clock.now());
    let acks = match sync_peer {
        SyncPeer::Friend(friend) => Some(AckTracker::new(PersonId(friend))),
        SyncPeer::Stranger => None,
    };
    let mut stream = SyncStream {
        state,
        peer: sync_peer,
        session,
        actions: actions.into(),
        store: StoreQueue::default(),
        acks,
        has_new_acks: false,
        frames,
    };
    stream.request_missing_bodies().await?;
    let mut storing_cursor: Option<CursorTask> = None;
    let mut identity = peer.identity.subscribe();

    let end = loop {
        if let Some(end) = stream.run_actions().await? {
            break end;
        }
        if storing_cursor.is_none() && std::mem::take(&mut stream.has_new_acks) {
            storing_cursor = stream.store_cursor();
        }
        let now = || state.node.clock.now();
        tokio::select! {
            biased;
            () = replaced.cancelled() => break StreamEnd::LEAVING,
            changed = identity.changed() => {
                let present = identity.borrow_and_update().as_ref().map(PeerIdentity::sync_peer);
                if changed.is_err() || present != Some(sync_peer) {
                    break StreamEnd::LEAVING;
                }
            }
            new = new_entries.recv() => match new {
                Ok(new) if own_feeds::may_read(sync_peer, &new.head.log.lane) => {
                    stream.actions.extend(stream.session.on_new_entry(&new, now()));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    let offers = read_offers(state, sync_peer).await?;
                    stream.actions.extend(stream.session.offer_again(offers));
                }
                Err(RecvError::Closed) => break StreamEnd::LEAVING,
            },
            stored = wait(&mut stream.store.running) => {
                stream.store.running = None;
                stream.actions.extend(match stored {
                    Ok(stored) => stream.session.on_stored(&stored),
                    Err(reason) => stream.session.on_refused(reason),
                });
            }
            () = peer.bodies_missing.notified() => stream.request_missing_bodies().await?,
            stored = wait(&mut storing_cursor) => {
                storing_cursor = None;
                stored?;
            }
            message = messages.recv() => match message {
                Some(Ok(message)) => {
                    stream.actions.extend(stream.session.on_message(message, now()));
                }
                Some(Err(FrameError::End | FrameError::Io(_))) | None => {
                    return Ok(StreamEnd::LEAVING);
                }
                Some(Err(error)) => {
                    tracing::warn!(peer = %peer.key, %error, "invalid frame on a sync stream");
                    stream.actions.extend(stream.session.on_refused(Reason::Invalid));
                }
            },
        }
    };
    if end == StreamEnd::LEAVING {
        stream.frames.send(&Sync::Bye { reason: Reason::Leaving, retry_after: 0 });
    }
    drop(stream);
    // A peer that does not read the last frames in time misses the Bye.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, written).await;
    Ok(end)
}

/// Ends the peer's present stream; returns the token that ends the new one.
fn replace_present_stream(peer: &Peer) -> CancellationToken {
    let replaced = peer.disconnected.child_token();
    let mut present = peer.sync_stream.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *present, replaced.clone()).cancel();
    replaced
}

impl SyncStream<'_> {
    /// Does the session's actions until there are no more.
    async fn run_actions(&mut self) -> Result<Option<StreamEnd>, StoreError> {
        while let Some(action) = self.actions.pop_front() {
            let node = self.state.node.clone();
            match (action, self.friend()) {
                (Action::Send(Sync::Ack { log, through, .. }), Some(_)) => {
                    let held = move || held::remaining_ms(&node, &log, through);
                    let held_ms = try_blocking(held).await?;
                    self.frames.send(&Sync::Ack { log, through, held_ms });
                }
                (Action::Send(message), _) => self.frames.send(&message),
                (Action::Read { log, from, count_max, len_max }, _) => {
                    let read = move || own_feeds::read(&node, &log, from, count_max, len_max);
                    let entries = try_blocking(read).await?;
                    self.actions.extend(self.session.on_read(&log, entries));
                }
                (Action::Compare(heads), Some(friend)) => {
                    let compare = move || receive::compare(&node, friend, heads);
                    let compared = try_blocking(compare).await?;
                    self.actions.extend(self.session.on_compared(compared));
                }
                (Action::FindBodies(entries), Some(friend)) => {
                    let find = move || own_feeds::find_bodies(&node, friend, &entries);
                    let found = try_blocking(find).await?;
                    self.actions.extend(self.session.on_bodies_found(found));
                }
                // The session requests nothing for a stranger.
                (Action::Compare(_) | Action::FindBodies(_), None) => {}
                (Action::Store(entries), _) => self.store.waiting.push_back(entries),
                (Action::StoreFork(proof), _) => {
                    self.store.waiting.push_back(vec![proof.0, proof.1]);
                }
                (Action::Acknowledged { log, through, held_ms }, friend) => {
                    if let (Some(friend), Some(held_ms)) = (friend, held_ms) {
                        let note = move || held::note(&node, friend, &log, through, held_ms);
                        try_blocking(note).await?;
                    }
                    if let Some(acks) = &mut self.acks {
                        acks.note(log, through);
                        self.has_new_acks = true;
                    }
                }
                (Action::End(reason), _) => return Ok(Some(StreamEnd::by_us(reason))),
                (Action::Ended { reason, retry_after }, friend) => {
                    if let (Reason::Leaving, Some(friend)) = (reason, friend) {
                        node.presence.set_left(friend, node.clock.now());
                    }
                    return Ok(Some(StreamEnd { reason, retry_after }));
                }
            }
        }
        self.start_storing();
        // A peer that requests entries and does not read them would fill this node's memory.
        Ok(self.frames.is_over_limit().then(|| StreamEnd::by_us(Reason::Rate)))
    }

    fn friend(&self) -> Option<PersonId> {
        match self.peer {
            SyncPeer::Friend(person) => Some(PersonId(person)),
            SyncPeer::Stranger => None,
        }
    }

    fn start_storing(&mut self) {
        if self.store.running.is_some() {
            return;
        }
        if let (Some(entries), Some(friend)) = (self.store.waiting.pop_front(), self.friend()) {
            self.store.running = Some(Box::pin(store(Arc::clone(self.state), friend, entries)));
        }
    }

    /// Requests bodies that are missing here and that this friend may have.
    async fn request_missing_bodies(&mut self) -> Result<(), StoreError> {
        if let Some(friend) = self.friend() {
            let node = self.state.node.clone();
            let missing = try_blocking(move || receive::missing_bodies(&node, friend)).await?;
            self.actions.extend(self.session.request_bodies(missing));
        }
        Ok(())
    }

    fn store_cursor(&self) -> Option<CursorTask> {
        let acks = self.acks.clone()?;
        let state = Arc::clone(self.state);
        Some(Box::pin(async move { acks.store_cursor(&state.node).await }))
    }
}

async fn read_offers(state: &FederationState, peer: SyncPeer) -> Result<Vec<Head>, StoreError> {
    let node = state.node.clone();
    try_blocking(move || own_feeds::offers(&node, peer)).await
}

/// Stores a friend's batch once the disk has space for it and the friend's share of the day allows
/// it. Until then the batch is not acknowledged: an honest node stops sending when its credit is
/// used up, while the owner's entries are still sent to it. It keeps the entries, and sends them
/// again on the next stream.
async fn store(
    state: Arc<FederationState>,
    friend: PersonId,
    entries: Vec<Entry>,
) -> Result<Vec<(Log, u64)>, Reason> {
    let len = entries.iter().map(Entry::len).sum::<usize>() as u64;
    let (mut is_logged, mut is_over_share) = (false, false);
    loop {
        let node = state.node.clone();
        let has_space = move || {
            node.blobs.check_space_for_strangers(len)?;
            let allowance = apply::entries_allowance(friend);
            // Known entries and proofs of forks are taken without a share.
            Ok(!is_over_share || shares::has_room(&node.store, node.clock.now(), &allowance)?)
        };
        let cause = match try_blocking(has_space).await {
            Ok(true) => match receive::store(&state.node, friend, entries.clone()).await {
                Ok(Some(stored)) => return Ok(stored),
                Ok(None) => {
                    is_over_share = true;
                    SHARE_USED_UP
                }
                Err(reason) => return Err(reason),
            },
            Ok(false) => SHARE_USED_UP,
            Err(StoreError::Full) => "the disk is nearly full",
            Err(_) => return Err(Reason::Busy),
        };
        if !std::mem::replace(&mut is_logged, true) {
            tracing::warn!(friend = %friend.short(), cause, "a friend's entries are stored later");
        }
        tokio::time::sleep(state.retry_pause() * SHARE_RETRY_PAUSES).await;
    }
}

/// Waits for a task; for ever if there is none.
async fn wait<T>(task: &mut Option<Task<T>>) -> T {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}
