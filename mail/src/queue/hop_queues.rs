//! The messages that are due, in a queue for each next hop, and the number of workers that send
//! them. Each worker has at most one connection.
//!
//! The queues hold ids alone, and not all of them: the rows on the disk are the truth, and are read
//! again when there is room. Next hops get their workers in turn, so that a long queue for one of
//! them delays no other. A worker whose next hop does not answer soon gives its place to others.

use std::collections::{HashMap, HashSet, VecDeque};

use freehold_core::mailbox::QueueId;

use super::route::NextHop;

/// The most workers whose next hops answer.
const ACTIVE_MAX: usize = 64;
/// The most workers, with those that wait for an answer.
pub(super) const WORKERS_MAX: usize = 256;
/// The most connections to one next hop.
const CONNECTIONS_MAX: usize = 2;
/// The most connections to the smarthost, which gets the mail for all domains.
const SMARTHOST_CONNECTIONS_MAX: usize = 4;
/// The most workers for recipients that need no connection.
const LOCAL_MAX: usize = 4;
/// About how many ids are held, in all queues together.
const IDS_MAX: usize = 16 * 1024;
/// The ids that each queue may hold, however many queues there are.
const IDS_PER_QUEUE_MIN: usize = 16;
/// The most queues.
const QUEUES_MAX: usize = 4096;

/// The next hop of a queue; `None` for recipients that need no connection.
pub(super) type Target = Option<NextHop>;

/// The queues of all next hops.
#[derive(Debug, Default)]
pub(super) struct HopQueues {
    queues: HashMap<Target, HopQueue>,
    /// The queues for which another worker may start, in their order.
    turn: VecDeque<Target>,
    /// The messages that wait or are being sent.
    known: HashMap<QueueId, Known>,
    workers: usize,
    /// The workers whose next hops have not answered for some time.
    slow: usize,
    /// Since the last call of [`HopQueues::take_ended`] an attempt has ended.
    ended: bool,
}

/// A message that waits or is being sent.
#[derive(Debug, Default)]
struct Known {
    /// The targets whose attempts have not ended.
    open: Vec<Open>,
    /// Each of its recipients waits for one of them. Otherwise others may become due meanwhile.
    is_complete: bool,
}

/// A target of a message.
#[derive(Debug)]
struct Open {
    target: Target,
    /// The recipients to whom the message is being sent; none while it waits.
    sending: HashSet<String>,
}

#[derive(Debug, Default)]
struct HopQueue {
    waiting: VecDeque<QueueId>,
    workers: usize,
    /// The workers that have no connection yet.
    opening: usize,
    /// The most connections, if the next hop has refused one more.
    connections_max: Option<usize>,
    in_turn: bool,
}

impl HopQueue {
    fn connections_max(&self, target: &Target) -> usize {
        let max = match target {
            None => LOCAL_MAX,
            Some(NextHop::Smarthost) => SMARTHOST_CONNECTIONS_MAX,
            Some(NextHop::Configured(_) | NextHop::Direct(_)) => CONNECTIONS_MAX,
        };
        self.connections_max.unwrap_or(max).min(max)
    }

    /// True if another worker may start. While one waits for an answer, no second one does.
    fn wants_worker(&self, target: &Target) -> bool {
        !self.waiting.is_empty() && self.opening == 0 && self.workers < self.connections_max(target)
    }
}

impl HopQueues {
    /// True if each recipient of the message waits already, or the message is being sent to them.
    pub(super) fn has_all(&self, id: QueueId) -> bool {
        self.known.get(&id).is_some_and(|known| known.is_complete)
    }

    /// Queues a message for different targets, but for those that have it already. `is_complete`
    /// says that none of its recipients becomes due later. Where a queue is full, the message is
    /// left out: it is found again when an attempt has ended.
    pub(super) fn add(
        &mut self,
        id: QueueId,
        targets: impl IntoIterator<Item = Target>,
        is_complete: bool,
    ) {
        let room = (IDS_MAX / (self.queues.len() + 1)).max(IDS_PER_QUEUE_MIN);
        let mut known = self.known.remove(&id).unwrap_or_default();
        known.is_complete = is_complete;
        for target in targets {
            if known.open.iter().any(|open| open.target == target) {
                continue;
            }
            let has_queue = self.queues.contains_key(&target) || self.queues.len() < QUEUES_MAX;
            let queue = has_queue.then(|| self.queues.entry(target.clone()).or_default());
            match queue.filter(|queue| queue.waiting.len() < room) {
                Some(queue) => {
                    queue.waiting.push_back(id);
                    known.open.push(Open { target: target.clone(), sending: HashSet::new() });
                    self.offer(&target);
                }
                None => known.is_complete = false,
            }
        }
        if !known.open.is_empty() {
            self.known.insert(id, known);
        }
    }

    /// The queue for which a worker starts now, with the worker's first message.
    pub(super) fn start(&mut self) -> Option<(Target, QueueId)> {
        while self.workers < WORKERS_MAX && self.workers - self.slow < ACTIVE_MAX {
            let target = self.turn.pop_front()?;
            let Some(queue) = self.queues.get_mut(&target) else { continue };
            queue.in_turn = false;
            if !queue.wants_worker(&target) {
                continue;
            }
            let Some(id) = queue.waiting.pop_front() else { continue };
            queue.workers += 1;
            queue.opening += usize::from(target.is_some());
            self.workers += 1;
            self.offer(&target);
            return Some((target, id));
        }
        None
    }

    /// The next message for a worker of a queue.
    pub(super) fn next(&mut self, target: &Target) -> Option<QueueId> {
        self.queues.get_mut(target)?.waiting.pop_front()
    }

    /// A worker has its connection, or gave up.
    pub(super) fn opened(&mut self, target: &Target) {
        if let Some(queue) = self.queues.get_mut(target) {
            queue.opening = queue.opening.saturating_sub(1);
        }
        self.offer(target);
    }

    /// A worker begins to wait for an answer (`true`), or has waited.
    pub(super) fn set_slow(&mut self, is_slow: bool) {
        match is_slow {
            true => self.slow += 1,
            false => self.slow = self.slow.saturating_sub(1),
        }
    }

    /// True if another worker has a connection to the same next hop.
    pub(super) fn has_other_connection(&self, target: &Target) -> bool {
        self.queues.get(target).is_some_and(|queue| queue.workers > 1)
    }

    /// Queues a message again, which a worker has not tried, because its next hop takes no further
    /// connection beside those of the other workers.
    pub(super) fn put_back(&mut self, target: &Target, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(target) {
            queue.connections_max = Some(queue.workers.saturating_sub(1).max(1));
            queue.waiting.push_front(id);
        }
        let open = self.known.get_mut(&id).map(|known| known.open.iter_mut());
        for open in open.into_iter().flatten().filter(|open| open.target == *target) {
            open.sending.clear();
        }
    }

    /// The recipients of an attempt that begins: those of `addresses` to whom no other attempt is
    /// sending. A recipient has another target when the route changes, as to a new smarthost.
    pub(super) fn claim(
        &mut self,
        target: &Target,
        id: QueueId,
        addresses: impl IntoIterator<Item = String>,
    ) -> HashSet<String> {
        let Some(known) = self.known.get_mut(&id) else { return HashSet::new() };
        let (own, others): (Vec<_>, Vec<_>) =
            known.open.iter_mut().partition(|open| open.target == *target);
        let is_free = |to: &String| !others.iter().any(|open| open.sending.contains(to));
        let claimed: HashSet<String> = addresses.into_iter().filter(is_free).collect();
        for open in own {
            open.sending.clone_from(&claimed);
        }
        claimed
    }

    /// An attempt has ended. Its recipients may be due again before the attempts at other targets
    /// have ended.
    pub(super) fn end(&mut self, target: &Target, id: QueueId) {
        self.ended = true;
        if let Some(known) = self.known.get_mut(&id) {
            known.open.retain(|open| open.target != *target);
            known.is_complete = false;
            if known.open.is_empty() {
                self.known.remove(&id);
            }
        }
    }

    /// Whether an attempt has ended since the last call.
    pub(super) fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }

    /// A worker of a queue has ended.
    pub(super) fn leave(&mut self, target: &Target) {
        self.workers = self.workers.saturating_sub(1);
        let Some(queue) = self.queues.get_mut(target) else { return };
        queue.workers = queue.workers.saturating_sub(1);
        if queue.workers == 0 && queue.waiting.is_empty() {
            self.queues.remove(target);
        } else {
            self.offer(target);
        }
    }

    /// Puts a queue that wants a worker at the end of the turn.
    fn offer(&mut self, target: &Target) {
        if let Some(queue) = self.queues.get_mut(target)
            && !queue.in_turn
            && queue.wants_worker(target)
        {
            queue.in_turn = true;
            self.turn.push_back(target.clone());
        }
    }
}

#[cfg(test)]
mod tests;
