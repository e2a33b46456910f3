//! The loop around a session: reads and writes the stream, asks the store, listens to the outbox.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use freehold_core::identity::PersonId;
use freehold_core::store::StoreError;
use futures::io::{ReadHalf, WriteHalf};
use futures::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Action, Session, Trust};
use crate::limits::UNSENT_LEN_MAX;
use crate::network::ByteStream;
use crate::peers::{self, Peer, Shared};
use crate::push::{self, DeliveryStatus};
use crate::standing::Standing;
use crate::wire::frame::{self, FrameError};
use crate::wire::sync::{Entry, Head, Log, Reason, Sync};
use crate::{aside, inbox, wire};

/// Messages read and not yet looked at; further ones wait in the network.
const READ_AHEAD_MAX: usize = 4;
/// How long the last words of a stream may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// Pauses between two looks at whether a friend's share of the day has grown enough.
const SHARE_PAUSES: u32 = 5;

type Storing = Pin<Box<dyn Future<Output = Result<Vec<(Log, u64)>, Reason>> + Send>>;
type Recording = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// Why a stream ended, and how many seconds to wait before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) reason: Reason,
    pub(crate) retry_after: u32,
}

const GONE: Ended = Ended { reason: Reason::Leaving, retry_after: 0 };

struct Running<'a> {
    shared: &'a Arc<Shared>,
    trust: Trust,
    session: Session,
    todo: VecDeque<Action>,
    batches: VecDeque<Vec<Entry>>,
    storing: Option<Storing>,
    arrivals: Option<DeliveryStatus>,
    arrived: bool,
    unsent: Arc<AtomicUsize>,
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
}

/// Runs one sync stream to its end. A newer stream with the same peer ends it.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    peer: &Peer,
    trust: Trust,
    stream: ByteStream,
) -> Result<Ended, StoreError> {
    let replaced = peer.gone.child_token();
    std::mem::replace(
        &mut *peer.sync.lock().unwrap_or_else(PoisonError::into_inner),
        replaced.clone(),
    )
    .cancel();
    let (reader, writer) = stream.split();
    let (incoming, mut messages) = mpsc::channel(READ_AHEAD_MAX);
    let (outgoing, frames) = mpsc::unbounded_channel();
    let unsent = Arc::new(AtomicUsize::new(0));
    // Both halves end with this function: dropping the guard cancels them.
    let halves = CancellationToken::new();
    let _guard = halves.clone().drop_guard();
    tokio::spawn(halves.clone().run_until_cancelled_owned(read(reader, incoming)));
    let written = tokio::spawn(write(writer, frames, Arc::clone(&unsent)));

    // Listening begins before the logs are read, or what is said in between would be missed.
    let mut fresh = shared.fresh.subscribe();
    let (session, first) =
        Session::start(trust, offers(shared, trust).await?, shared.node.clock.now());
    let arrivals = if let Trust::Friend(friend) = trust {
        Some(DeliveryStatus::new(PersonId(friend)))
    } else {
        None
    };
    let todo = VecDeque::from(first);
    let mut running = Running {
        shared,
        trust,
        session,
        todo,
        batches: VecDeque::new(),
        storing: None,
        arrivals,
        arrived: false,
        unsent,
        outgoing,
    };
    running.ask_for_what_is_lacking().await?;
    let mut recording: Option<Recording> = None;
    let mut standing = peer.standing.subscribe();

    let ended = loop {
        if let Some(ended) = running.act().await? {
            break ended;
        }
        if recording.is_none() && std::mem::take(&mut running.arrived) {
            recording = running.record();
        }
        let now = || shared.node.clock.now();
        tokio::select! {
            biased;
            () = replaced.cancelled() => break GONE,
            changed = standing.changed() => {
                let trusted = standing.borrow_and_update().as_ref().map(Standing::trust);
                if changed.is_err() || trusted != Some(trust) {
                    break GONE;
                }
            }
            entry = fresh.recv() => match entry {
                Ok(entry) if push::may_see(trust, &entry.head.log.lane) => running.todo.extend(running.session.grown(&entry, now())),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    let offers = offers(shared, trust).await?;
                    running.todo.extend(running.session.offer_again(offers));
                }
                Err(RecvError::Closed) => break GONE,
            },
            stored = wait(&mut running.storing) => {
                running.storing = None;
                running.todo.extend(match stored {
                    Ok(reach) => running.session.stored(&reach),
                    Err(reason) => running.session.refused(reason),
                });
            }
            () = peer.lacking.notified() => running.ask_for_what_is_lacking().await?,
            recorded = wait(&mut recording) => {
                recording = None;
                recorded?;
            }
            message = messages.recv() => match message {
                Some(Ok(message)) => running.todo.extend(running.session.received(message, now())),
                Some(Err(FrameError::End | FrameError::Io(_))) | None => return Ok(GONE),
                Some(Err(error)) => {
                    tracing::warn!(peer = %peer.key, %error, "a bad frame");
                    running.todo.extend(running.session.refused(Reason::Invalid));
                }
            },
        }
    };
    if ended == GONE {
        running.send(&Sync::Bye { reason: Reason::Leaving, retry_after: 0 });
    }
    drop(running);
    // The last words are a courtesy: whoever does not take them in time misses them.
    let _ = tokio::time::timeout(FAREWELL, written).await;
    Ok(ended)
}

impl Running<'_> {
    /// Does what the session asks for, until it asks for nothing more.
    async fn act(&mut self) -> Result<Option<Ended>, StoreError> {
        while let Some(action) = self.todo.pop_front() {
            match action {
                Action::Send(message) => self.send(&message),
                Action::Read { log, from, count_max, len_max } => {
                    let node = self.shared.node.clone();
                    let entries =
                        aside::reading(move || push::read(&node, &log, from, count_max, len_max))
                            .await?;
                    self.todo.extend(self.session.read(&log, entries));
                }
                Action::Compare(heads) => {
                    if let Trust::Friend(friend) = self.trust {
                        let node = self.shared.node.clone();
                        let compared =
                            aside::reading(move || inbox::compare(&node, PersonId(friend), heads))
                                .await?;
                        self.todo.extend(self.session.compared(compared));
                    }
                }
                Action::Find(entries) => {
                    if let Trust::Friend(friend) = self.trust {
                        let node = self.shared.node.clone();
                        let found =
                            aside::reading(move || push::find(&node, PersonId(friend), &entries))
                                .await?;
                        self.todo.extend(self.session.found(found));
                    }
                }
                Action::Store(entries) => self.batches.push_back(entries),
                Action::Forked(proof) => self.batches.push_back(vec![proof.0, proof.1]),
                Action::Arrived { log, through } => {
                    if let Some(arrivals) = &mut self.arrivals {
                        arrivals.note(log, through);
                        self.arrived = true;
                    }
                }
                Action::End(reason) => {
                    return Ok(Some(Ended { reason, retry_after: super::retry_after(reason) }));
                }
                Action::Ended { reason, retry_after } => {
                    return Ok(Some(Ended { reason, retry_after }));
                }
            }
        }
        if self.storing.is_none()
            && let (Some(entries), Trust::Friend(friend)) = (self.batches.pop_front(), self.trust)
        {
            self.storing =
                Some(Box::pin(store(Arc::clone(self.shared), PersonId(friend), entries)));
        }
        // A peer that asks and does not read would have this node hold ever more for it.
        if self.unsent.load(Ordering::Relaxed) > UNSENT_LEN_MAX {
            return Ok(Some(Ended {
                reason: Reason::Rate,
                retry_after: super::retry_after(Reason::Rate),
            }));
        }
        Ok(None)
    }

    /// Asks for bodies that are missing here and that this friend may have.
    async fn ask_for_what_is_lacking(&mut self) -> Result<(), StoreError> {
        if let Trust::Friend(friend) = self.trust {
            let node = self.shared.node.clone();
            let lacking = aside::reading(move || inbox::lacking(&node, PersonId(friend))).await?;
            self.todo.extend(self.session.lacking(lacking));
        }
        Ok(())
    }

    fn send(&self, message: &Sync) {
        let bytes = wire::encode(message);
        self.unsent.fetch_add(bytes.len(), Ordering::Relaxed);
        // The writer is gone only when the stream is broken, which the reader will report.
        let _ = self.outgoing.send(bytes);
    }

    fn record(&self) -> Option<Recording> {
        let arrivals = self.arrivals.clone()?;
        let shared = Arc::clone(self.shared);
        Some(Box::pin(async move { arrivals.record(&shared.node).await }))
    }
}

async fn offers(shared: &Shared, trust: Trust) -> Result<Vec<Head>, StoreError> {
    let node = shared.node.clone();
    aside::reading(move || push::offers(&node, trust)).await
}

/// Stores what a friend sent once the friend's share of the day has room for it. Until then it is
/// not acknowledged: an honest node stops sending when its credit is used up, while what the owner
/// says goes on to it.
async fn store(
    shared: Arc<Shared>,
    friend: PersonId,
    entries: Vec<Entry>,
) -> Result<Vec<(Log, u64)>, Reason> {
    let weight = entries.iter().map(Entry::len).sum::<usize>() as u64;
    let mut told = false;
    while !shared.entry_shares.take(friend, weight, shared.node.clock.now()) {
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(friend = %friend.short(), "a friend has brought what one may bring in a day; the rest waits");
        }
        tokio::time::sleep(peers::pause(&shared) * SHARE_PAUSES).await;
    }
    inbox::store(&shared.node, friend, entries).await
}

/// Waits for what is under way; for ever when nothing is.
async fn wait<T>(work: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn read(mut stream: ReadHalf<ByteStream>, messages: mpsc::Sender<Result<Sync, FrameError>>) {
    loop {
        let message = frame::read::<Sync, _>(&mut stream).await;
        let is_last = message.is_err();
        if messages.send(message).await.is_err() || is_last {
            return;
        }
    }
}

async fn write(
    mut stream: WriteHalf<ByteStream>,
    mut frames: mpsc::UnboundedReceiver<Vec<u8>>,
    unsent: Arc<AtomicUsize>,
) {
    while let Some(bytes) = frames.recv().await {
        if frame::write_bytes(&mut stream, &bytes).await.is_err() {
            return;
        }
        unsent.fetch_sub(bytes.len(), Ordering::Relaxed);
        // What is queued behind goes out in the same packet.
        if frames.is_empty() && stream.flush().await.is_err() {
            return;
        }
    }
    // The stream may be broken already.
    let _ = stream.close().await;
}
