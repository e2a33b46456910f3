//! The mail queue: sends the messages that are due in core's queue, and records the results there.
//!
//! An event wakes the queue at once, a timer when a retry is due. The schedule finds the messages
//! that are due, and workers send them, a few for each next hop. Nothing else is kept here: after a
//! crash the queue's rows tell what is due. A message that was accepted before its result was
//! recorded is sent again with the same envelope identifier (ENVID), by which a Freehold node drops
//! the duplicate.

use std::sync::Arc;
use std::time::Duration;

use freehold_core::events::Event;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::state::MailState;
use schedule::Schedule;
use worker::{Shared, Worker};

mod abort;
mod attempt;
mod by_friend;
mod hop_queues;
mod local;
pub(crate) mod next_hop;
mod result;
mod retry;
pub(crate) mod route;
mod schedule;
mod unanswered;
mod worker;

/// The pause after a store error.
const ERROR_PAUSE: Duration = Duration::from_secs(5);

/// Sends what is due until mail stops. Attempts in progress then run to their end.
pub(crate) async fn run(state: MailState) {
    let mut events = state.node.events.subscribe();
    let (shared, mut schedule) = (Arc::new(Shared::default()), Schedule::new());
    let mut workers: JoinSet<()> = JoinSet::new();
    while !state.drain.is_stopping() {
        // The result of an attempt could not be recorded, and the message would be sent again.
        if !state.node.store.health().is_ready() {
            schedule.postpone(ERROR_PAUSE);
        } else {
            if schedule.next() <= Instant::now()
                && let Err(error) = schedule.step(&state, &shared).await
            {
                tracing::error!(%error, "the mail queue can't be read");
                schedule.postpone(ERROR_PAUSE);
            }
            while let Some((target, first)) = shared.start() {
                let worker = Worker::new(Arc::clone(&shared), target, first);
                workers.spawn(Box::pin(worker.run(state.clone())));
            }
        }
        while workers.try_join_next().is_some() {}
        tokio::select! {
            () = sleep_until(schedule.next()) => {}
            () = queue_event(&mut events) => schedule.want(),
            () = shared.changed.notified() => {
                if shared.has_ended() {
                    schedule.want();
                }
            }
            () = state.drain.stopping() => {}
        }
    }
    while workers.join_next().await.is_some() {}
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
