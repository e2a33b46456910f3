//! Mail on its way out: what core's queue says is due is carried to its next hop, and what became
//! of it is recorded there.
//!
//! A hint wakes the queue at once and a timer wakes it when a retry is due. Nothing is remembered
//! here: after a crash the queue's rows say again what is due, and a message that arrived without
//! our having recorded it is sent once more under the same envelope name (ENVID), by which a
//! Freehold node knows that it has it already.

use std::collections::HashSet;
use std::time::Duration;

use freehold_core::clock::Timestamp;
use freehold_core::events::Event;
use freehold_core::mailbox::{self, QueueId, QueuedMessage};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::state::MailState;

mod attempt;
mod hop;
mod local;
mod retry;
pub(crate) mod route;
mod wire;

/// How many messages are under way at one time.
const SENDING_MAX: usize = 8;
/// How long the queue waits when it can't be read.
const ERROR_PAUSE: Duration = Duration::from_secs(5);
/// How long it sleeps at most, in milliseconds; looking once too often costs nothing.
const SLEEP_MS_MAX: u64 = 60 * 60 * 1000;

/// Sends what is due until mail stops; what is under way then may come to its end.
pub(crate) async fn run(state: MailState) {
    let mut hints = state.node.events.subscribe();
    let mut sending = HashSet::new();
    let mut attempts: JoinSet<QueueId> = JoinSet::new();
    while !state.drain.is_stopping() {
        let pause = match due(&state, &sending) {
            Ok((items, pause)) => {
                for item in items {
                    sending.insert(item.id);
                    attempts.spawn(Box::pin(attempt::make(state.clone(), item)));
                }
                pause
            }
            Err(error) => {
                tracing::error!(%error, "the mail queue can't be read");
                ERROR_PAUSE
            }
        };
        tokio::select! {
            () = hint(&mut hints) => {}
            Some(ended) = attempts.join_next(), if !attempts.is_empty() => forget(&mut sending, &attempts, ended.ok()),
            () = sleep(pause) => {}
            () = state.drain.stopping() => {}
        }
    }
    while attempts.join_next().await.is_some() {}
}

/// An attempt that panicked does not say which it was; once nothing is under way, nothing is.
fn forget(sending: &mut HashSet<QueueId>, attempts: &JoinSet<QueueId>, ended: Option<QueueId>) {
    match ended {
        Some(id) => drop(sending.remove(&id)),
        None if attempts.is_empty() => sending.clear(),
        None => {}
    }
}

/// What is to be started now, and how long until something else is due.
fn due(
    state: &MailState,
    sending: &HashSet<QueueId>,
) -> Result<(Vec<QueuedMessage>, Duration), freehold_core::store::StoreError> {
    let now = state.node.clock.now();
    let room = SENDING_MAX.saturating_sub(sending.len());
    let mut items = mailbox::due(&state.node, Timestamp(u64::MAX), sending.len() + room + 1)?;
    items.retain(|item| !sending.contains(&item.id));
    let later = items.iter().map(|item| item.next_attempt).find(|at| *at > now);
    items.retain(|item| item.next_attempt <= now);
    items.truncate(room);
    let pause = later.map_or(SLEEP_MS_MAX, |at| at.millis_since(now).clamp(1, SLEEP_MS_MAX));
    Ok((items, Duration::from_millis(pause)))
}

/// Waits for a hint that concerns the queue; hints that were missed count as one.
async fn hint(hints: &mut tokio::sync::broadcast::Receiver<Event>) {
    loop {
        match hints.recv().await {
            Ok(Event::Queue) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            // The node is going; the timer is left.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
