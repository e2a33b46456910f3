//! The receiving half: requests the peer's logs where they are longer than the stored ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use freehold_core::clock::Timestamp;
use freehold_core::feed::{BODY_LEN_MAX, EntryId, HEADER_LEN_MAX};

use super::{Action, ComparedHead};
use crate::limits::{CREDIT, ENTRIES_LEN_MAX, PUSH_BURST, PUSH_PER_SECOND, WANTED_MAX};
use crate::rate::TokenBucket;
use crate::wire::feed::log_and_seq;
use crate::wire::sync::{Entry, Head, Log, Reason, Sync};

/// Bodies requested in one Lacking: the answer fits one frame even if all have the longest length.
const BODIES_PER_REQUEST: usize = ENTRIES_LEN_MAX / (BODY_LEN_MAX + HEADER_LEN_MAX);

#[derive(Debug)]
pub(super) struct Incoming {
    /// The last requested entry of each log with an open Want.
    wanted: BTreeMap<Log, u64>,
    bodies: BodyRequests,
    /// Batches that are being stored, oldest first.
    storing: VecDeque<Batch>,
    pushes: TokenBucket,
}

/// Requests for missing bodies.
#[derive(Debug, Default)]
struct BodyRequests {
    /// Every entry named on this stream.
    known: BTreeSet<EntryId>,
    /// Those to request next.
    queue: VecDeque<EntryId>,
    /// Those of the Lacking that has no answer yet.
    requested: BTreeSet<EntryId>,
}

#[derive(Clone, Copy, Debug)]
struct Batch {
    len: usize,
    /// The batch answers a Lacking.
    is_body_answer: bool,
}

impl Incoming {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            wanted: BTreeMap::new(),
            bodies: BodyRequests::default(),
            storing: VecDeque::new(),
            pushes: TokenBucket::per_second(PUSH_PER_SECOND, PUSH_BURST, now),
        }
    }

    pub(super) fn on_have(heads: Vec<Head>) -> Vec<Action> {
        if heads.is_empty() { Vec::new() } else { vec![Action::Compare(heads)] }
    }

    pub(super) fn on_compared(&mut self, heads: Vec<ComparedHead>) -> Result<Vec<Action>, Reason> {
        let mut actions = Vec::new();
        for (offered, stored) in heads {
            let log = offered.log;
            let from = match stored {
                Some((hi, id)) if hi >= offered.hi && id == offered.head => {
                    actions.push(acknowledge(log, offered.hi));
                    continue;
                }
                // The last stored entry is requested once more: if the log has forked before it,
                // the peer sends another entry with that number, which proves the fork. The entry
                // after it could only be refused.
                Some((hi, _)) if hi < offered.hi => offered.lo.max(hi),
                // The same number with another id: the log from its start shows the fork point.
                Some(_) | None => offered.lo,
            };
            self.wanted.insert(log, offered.hi);
            actions.push(Action::Send(Sync::Want { log, from }));
        }
        if self.wanted.len() > WANTED_MAX { Err(Reason::Rate) } else { Ok(actions) }
    }

    /// Requests the bodies of entries, each once per stream.
    pub(super) fn request_bodies(&mut self, entries: Vec<EntryId>) -> Vec<Action> {
        let bodies = &mut self.bodies;
        for entry in entries {
            if bodies.known.len() < WANTED_MAX && bodies.known.insert(entry) {
                bodies.queue.push_back(entry);
            }
        }
        self.request_next_bodies()
    }

    /// Sends the next Lacking once the answer to the one before is durable: the credit has room for
    /// one answer besides the entries under way.
    fn request_next_bodies(&mut self) -> Vec<Action> {
        let bodies = &mut self.bodies;
        if !bodies.requested.is_empty()
            || bodies.queue.is_empty()
            || self.storing.iter().any(|batch| batch.is_body_answer)
        {
            return Vec::new();
        }
        let count = bodies.queue.len().min(BODIES_PER_REQUEST);
        let next: Vec<EntryId> = bodies.queue.drain(..count).collect();
        bodies.requested.extend(&next);
        vec![Action::Send(Sync::Lacking(next.into_iter().map(|entry| entry.0.into()).collect()))]
    }

    /// Entries that answer a Want, or bodies that answer a Lacking. None means that the peer has
    /// none of these bodies; such an answer may belong to an older Lacking. Entries that were not
    /// requested count as pushes.
    pub(super) fn on_entries(
        &mut self,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Vec<Action>, Reason> {
        let is_wanted = |entry: &Entry| {
            log_and_seq(entry)
                .is_some_and(|(log, seq)| self.wanted.get(&log).is_some_and(|last| seq <= *last))
        };
        let is_requested_body =
            |entry: &Entry| self.bodies.requested.contains(&EntryId::of(&entry.header));
        // An answer to a Want may contain some requested bodies among other entries; an answer to a
        // Lacking contains nothing else.
        let is_body_answer =
            !self.bodies.requested.is_empty() && entries.iter().all(is_requested_body);
        let unrequested =
            entries.iter().filter(|entry| !is_wanted(entry) && !is_requested_body(entry)).count();
        if unrequested > 0 && !self.pushes.take(unrequested, now) {
            return Err(Reason::Rate);
        }
        if is_body_answer {
            self.bodies.requested.clear();
        }
        if entries.is_empty() {
            Ok(self.request_next_bodies())
        } else {
            self.store(entries, is_body_answer)
        }
    }

    pub(super) fn on_push(
        &mut self,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Vec<Action>, Reason> {
        if self.pushes.take(entries.len(), now) {
            self.store(entries, false)
        } else {
            Err(Reason::Rate)
        }
    }

    pub(super) fn on_fork(
        &mut self,
        one: Entry,
        other: Entry,
        now: Timestamp,
    ) -> Result<Vec<Action>, Reason> {
        if !self.pushes.take(2, now) {
            return Err(Reason::Rate);
        }
        self.reserve(one.len() + other.len(), false)?;
        Ok(vec![Action::StoreFork(Box::new((one, other)))])
    }

    fn store(&mut self, entries: Vec<Entry>, is_body_answer: bool) -> Result<Vec<Action>, Reason> {
        self.reserve(entries.iter().map(Entry::len).sum(), is_body_answer)?;
        Ok(vec![Action::Store(entries)])
    }

    /// Counts a batch that waits to be stored, which may take long: the friend's share of the day
    /// may be used up.
    fn reserve(&mut self, len: usize, is_body_answer: bool) -> Result<(), Reason> {
        // One entry may be longer than ENTRIES_LEN_MAX, never longer than a frame, which the reader
        // of the stream has checked.
        let waiting = self.storing.iter().map(|batch| batch.len).sum::<usize>();
        if waiting + len > CREDIT + ENTRIES_LEN_MAX {
            return Err(Reason::Rate);
        }
        self.storing.push_back(Batch { len, is_body_answer });
        Ok(())
    }

    pub(super) fn on_stored(&mut self, stored: &[(Log, u64)]) -> Vec<Action> {
        self.storing.pop_front();
        for (log, through) in stored {
            if self.wanted.get(log).is_some_and(|last| through >= last) {
                self.wanted.remove(log);
            }
        }
        let acks = stored.iter().map(|(log, through)| acknowledge(*log, *through));
        acks.chain(self.request_next_bodies()).collect()
    }
}

/// An acknowledgement; the loop around the session adds whether the entry is held back.
fn acknowledge(log: Log, through: u64) -> Action {
    Action::Send(Sync::Ack { log, through, held_ms: None })
}
