//! The mail queue: sends the messages that are due in core's queue, and records the results there.
//!
//! An event wakes the queue at once, a timer when a retry is due. No state is kept here: after a
//! crash the queue's rows tell what is due. A message that was accepted before its result was
//! recorded is sent again with the same envelope identifier (ENVID), by which a Freehold node drops
//! the duplicate.

use std::collections::HashSet;
use std::time::Duration;

use freehold_core::clock::Timestamp;
use freehold_core::events::Event;
use freehold_core::mailbox::{self, QueueId, QueuedMessage};
use freehold_core::store::StoreError;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::state::MailState;

mod abort;
mod attempt;
mod local;
pub(crate) mod next_hop;
mod result;
mod retry;
pub(crate) mod route;

/// The most messages sent at one time.
const SENDING_MAX: usize = 8;
/// The pause after a store error.
const ERROR_PAUSE: Duration = Duration::from_secs(5);
/// The longest sleep, in milliseconds; an extra read of the queue costs little.
const SLEEP_MS_MAX: u64 = 60 * 60 * 1000;

/// Sends what is due until mail stops. Attempts in progress then run to their end.
pub(crate) async fn run(state: MailState) {
    let mut events = state.node.events.subscribe();
    let mut sending = HashSet::new();
    let mut attempts: JoinSet<QueueId> = JoinSet::new();
    while !state.drain.is_stopping() {
        // The result of an attempt could not be recorded, and the message would be sent again.
        let is_ready = state.node.store.health().is_ready();
        let pause = match due(&state, &sending) {
            _ if !is_ready => ERROR_PAUSE,
            Ok((items, pause)) => {
                for item in items {
                    sending.insert(item.id);
                    attempts.spawn(Box::pin(attempt::run(state.clone(), item)));
                }
                pause
            }
            Err(error) => {
                tracing::error!(%error, "the mail queue can't be read");
                ERROR_PAUSE
            }
        };
        tokio::select! {
            () = queue_event(&mut events) => {}
            Some(ended) = attempts.join_next(), if !attempts.is_empty() => {
                forget(&mut sending, &attempts, ended.ok());
            }
            () = sleep(pause) => {}
            () = state.drain.stopping() => {}
        }
    }
    while attempts.join_next().await.is_some() {}
}

/// Removes an ended attempt from `sending`. A panicked attempt has no id: all are removed once none
/// is running.
fn forget(sending: &mut HashSet<QueueId>, attempts: &JoinSet<QueueId>, ended: Option<QueueId>) {
    match ended {
        Some(id) => drop(sending.remove(&id)),
        None if attempts.is_empty() => sending.clear(),
        None => {}
    }
}

/// The items to send now, and the time until the next is due.
fn due(
    state: &MailState,
    sending: &HashSet<QueueId>,
) -> Result<(Vec<QueuedMessage>, Duration), StoreError> {
    let now = state.node.clock.now();
    let free = SENDING_MAX.saturating_sub(sending.len());
    let mut items = mailbox::due(&state.node, Timestamp(u64::MAX), sending.len() + free + 1)?;
    items.retain(|item| !sending.contains(&item.id));
    let later = items.iter().map(|item| item.next_attempt).find(|at| *at > now);
    items.retain(|item| item.next_attempt <= now);
    items.truncate(free);
    let pause = later.map_or(SLEEP_MS_MAX, |at| at.millis_since(now).clamp(1, SLEEP_MS_MAX));
    Ok((items, Duration::from_millis(pause)))
}

/// Waits for an event about the queue; missed events count as one.
async fn queue_event(events: &mut Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Queue) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            // The node is closing; only the timer is left.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
