//! A worker: sends the messages of one next hop's queue, one after the other, over one connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freehold_core::mailbox::QueueId;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::attempt::{self, Attempt};
use super::hop_queues::{HopQueues, Target};
use super::unanswered::UnansweredHops;
use crate::state::MailState;

/// The most messages that a worker sends; then other next hops have their turn.
const MESSAGES_MAX: usize = 50;
/// A worker that waits longer for its connection gives its place to others.
const PROMPT: Duration = Duration::from_secs(2);

/// The state of all workers and of the schedule.
#[derive(Debug, Default)]
pub(super) struct Shared {
    queues: Mutex<HopQueues>,
    unanswered: Mutex<UnansweredHops>,
    /// Another worker may start, or another walk finds more.
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn queues(&self) -> MutexGuard<'_, HopQueues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message for a new worker, with its target.
    pub(super) fn start(&self) -> Option<(Target, QueueId)> {
        self.queues().start()
    }

    /// Whether an attempt has ended since the last call.
    pub(super) fn has_ended(&self) -> bool {
        self.queues().take_ended()
    }

    pub(super) fn unanswered(&self) -> MutexGuard<'_, UnansweredHops> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running worker. It leaves its queue when it is dropped, also by a panic.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) target: Target,
    /// The message that is being sent.
    current: Option<QueueId>,
    is_opening: bool,
    is_slow: bool,
}

impl Worker {
    /// Begins with the first message of its queue.
    pub(super) fn new(shared: Arc<Shared>, target: Target, first: QueueId) -> Self {
        let is_opening = target.is_some();
        Self { shared, target, current: Some(first), is_opening, is_slow: false }
    }

    /// Sends messages until the queue is empty, others have their turn, or mail stops.
    pub(super) async fn run(mut self, state: MailState) {
        let mut connection = None;
        for number in 1..=MESSAGES_MAX {
            let Some(id) = self.current else { break };
            match Box::pin(attempt::run(&state, &mut self, id, &mut connection)).await {
                Attempt::Ended => self.shared.queues().end(&self.target, id),
                Attempt::PutBack => {
                    self.shared.queues().put_back(&self.target, id);
                    self.current = None;
                    break;
                }
            }
            // After a failure it is known now whether the next hop answers.
            self.opened();
            self.current = match number == MESSAGES_MAX || state.drain.is_stopping() {
                true => None,
                false => self.shared.queues().next(&self.target),
            };
            self.shared.changed.notify_one();
        }
        if let Some(connection) = connection {
            connection.quit().await;
        }
    }

    /// Waits for a connection; after a while in a place that takes none from others.
    pub(super) async fn wait_for<T>(&mut self, opening: impl Future<Output = T> + Unpin) -> T {
        let mut opening = opening;
        let opened = match timeout(PROMPT, &mut opening).await {
            Ok(opened) => opened,
            Err(_) => {
                self.set_slow(true);
                self.shared.changed.notify_one();
                opening.await
            }
        };
        self.set_slow(false);
        opened
    }

    /// True if another worker has a connection to the same next hop.
    pub(super) fn has_companion(&self) -> bool {
        self.shared.queues().has_other_connection(&self.target)
    }

    fn set_slow(&mut self, is_slow: bool) {
        if self.is_slow != is_slow {
            self.is_slow = is_slow;
            self.shared.queues().set_slow(is_slow);
        }
    }

    /// The worker waits for no connection any more: another one may open its own.
    pub(super) fn opened(&mut self) {
        if std::mem::take(&mut self.is_opening) {
            self.shared.queues().opened(&self.target);
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.set_slow(false);
        self.opened();
        let mut queues = self.shared.queues();
        if let Some(id) = self.current {
            queues.end(&self.target, id);
        }
        queues.leave(&self.target);
        drop(queues);
        self.shared.changed.notify_one();
    }
}
