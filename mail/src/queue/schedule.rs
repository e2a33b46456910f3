//! Finds the messages that are due and queues them for their next hops.
//!
//! A walk reads the rows in the order in which they are due, a few at a time, and leaves out those
//! that are queued already for all their recipients. The next walk begins only after a rest that
//! is longer than the walk, so that a long queue costs a small part of the processor however often
//! the queue changes.

use std::collections::HashSet;
use std::time::Duration;

use freehold_core::blocking::try_blocking;
use freehold_core::clock::Timestamp;
use freehold_core::mailbox::queue::due_ids;
use freehold_core::mailbox::{QueueId, QueuedMessage, queue};
use freehold_core::store::StoreError;
use tokio::time::Instant;

use super::hop_queues::Target;
use super::worker::Shared;
use super::{retry, route};
use crate::state::MailState;

/// The rows of one step.
const STEP_LEN: usize = 64;
/// The rest is so many times as long as the walk.
const REST_TIMES: u32 = 20;
/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(2);
/// The longest pause without a walk, in milliseconds; an extra one costs little.
const PAUSE_MS_MAX: u64 = 60 * 60 * 1000;
/// The pause between two looks for items that wait too long, because the clock was ahead.
const CLOCK_EVERY: Duration = Duration::from_secs(10 * 60);

/// The walk over the rows.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The last row that the walk has read; `None` at its beginning.
    after: Option<(Timestamp, QueueId)>,
    begun: Instant,
    /// When the next walk may begin.
    rested: Instant,
    /// When the next walk begins without an event.
    due: Instant,
    /// Something has changed since the walk began.
    is_wanted: bool,
    /// When the next recipient is due of an item that is due for others already.
    later: Option<Timestamp>,
    /// When items that wait too long were looked for.
    clock_noticed: Option<Instant>,
}

impl Schedule {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            after: None,
            begun: now,
            rested: now,
            due: now,
            is_wanted: true,
            later: None,
            clock_noticed: None,
        }
    }

    /// Asks for a walk.
    pub(super) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// No walk for this time: the store is not available.
    pub(super) fn postpone(&mut self, pause: Duration) {
        (self.after, self.is_wanted) = (None, true);
        self.rested = Instant::now() + pause;
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Instant {
        match (self.after, self.is_wanted) {
            (Some(_), _) => self.begun,
            (None, true) => self.rested,
            (None, false) => self.due.max(self.rested),
        }
    }

    /// Reads a few rows and queues what is due.
    pub(super) async fn step(
        &mut self,
        state: &MailState,
        shared: &Shared,
    ) -> Result<(), StoreError> {
        if self.after.is_none() {
            (self.begun, self.is_wanted, self.later) = (Instant::now(), false, None);
            self.notice_clock(state).await?;
        }
        let (after, working, now) = (self.after, state.clone(), state.node.clock.now());
        let rows = try_blocking(move || due_ids(&working.node, after, STEP_LEN)).await?;
        let is_last = rows.len() < STEP_LEN;
        let later = rows.iter().map(|(at, _)| *at).find(|at| *at > now);
        self.after = rows.last().copied();
        let due = rows.into_iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id);
        let new: Vec<QueueId> = {
            let queues = shared.queues();
            due.filter(|id| !queues.has_all(*id)).collect()
        };
        if !new.is_empty() {
            let working = state.clone();
            let (found, next) = try_blocking(move || targets(&working, new, now)).await?;
            self.later = self.later.into_iter().chain(next).min();
            let mut queues = shared.queues();
            for Due { id, targets, is_complete } in found {
                queues.add(id, targets, is_complete);
            }
        }
        if is_last || later.is_some() {
            let later = later.into_iter().chain(self.later).min();
            self.end(later.map_or(PAUSE_MS_MAX, |at| at.millis_since(now)));
        }
        Ok(())
    }

    /// Finds items that were tried while the clock was ahead, now and then.
    async fn notice_clock(&mut self, state: &MailState) -> Result<(), StoreError> {
        if self.clock_noticed.is_some_and(|at| at.elapsed() < CLOCK_EVERY) {
            return Ok(());
        }
        let now = state.node.clock.now();
        let due = queue::make_due_after_clock_step(&state.node, now, retry::PAUSE_MS_MAX).await?;
        if due > 0 {
            tracing::warn!(due, "this machine's clock was ahead: queued messages are due again");
        }
        self.clock_noticed = Some(Instant::now());
        Ok(())
    }

    fn end(&mut self, pause_ms: u64) {
        let now = Instant::now();
        self.after = None;
        self.rested = now + ((now - self.begun) * REST_TIMES).min(REST_MAX);
        self.due = now + Duration::from_millis(pause_ms.clamp(1, PAUSE_MS_MAX));
    }
}

/// A message with the next hops to which it is due.
struct Due {
    id: QueueId,
    targets: HashSet<Target>,
    /// None of its recipients is due later.
    is_complete: bool,
}

/// The messages with the next hops to which they are due, and when the next of their recipients
/// is due. An item may be due for a recipient that goes to a friend's node, and for others later.
fn targets(
    state: &MailState,
    ids: Vec<QueueId>,
    now: Timestamp,
) -> Result<(Vec<Due>, Option<Timestamp>), StoreError> {
    let (mut found, mut next) = (Vec::with_capacity(ids.len()), None);
    for id in ids {
        let Some(item) = queue::item(&state.node, id)? else { continue };
        let mut targets = HashSet::new();
        for address in due_addresses(&item, now) {
            targets.insert(route::of(state, &item, address)?.next_hop().cloned());
        }
        let waiting = item.recipients.iter().filter(|to| to.waits_for_smtp());
        let later = waiting.map(|to| to.next_attempt).filter(|at| *at > now).min();
        // One that waits for a friend's node may come to mail at any time.
        let waits_for_friend = item.recipients.iter().any(|to| to.waits_for_friend().is_some());
        found.push(Due { id, targets, is_complete: later.is_none() && !waits_for_friend });
        next = next.into_iter().chain(later).min();
    }
    Ok((found, next))
}

/// The recipients that are due and that mail sends to.
pub(super) fn due_addresses(item: &QueuedMessage, now: Timestamp) -> impl Iterator<Item = &str> {
    let is_due = move |to: &&queue::Recipient| to.waits_for_smtp() && to.next_attempt <= now;
    item.recipients.iter().filter(is_due).map(|to| to.address.as_str())
}
