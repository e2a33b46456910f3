//! The half that takes: the peer's logs, asked for where they are longer than what is held.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use freehold_core::clock::Timestamp;
use freehold_core::feed::{BODY_LEN_MAX, EntryId, HEADER_LEN_MAX};

use super::{Action, Compared};
use crate::limits::{CREDIT, ENTRIES_LEN_MAX, PUSH_BURST, PUSH_PER_SECOND, WANTED_MAX};
use crate::rate::Bucket;
use crate::wire::sync::{Entry, Head, Log, Reason, Sync};

/// Bodies asked for in one message: the longest there are fit one answer.
const LACKING_EACH: usize = ENTRIES_LEN_MAX / (BODY_LEN_MAX + HEADER_LEN_MAX);

#[derive(Debug)]
pub(super) struct Incoming {
    /// What was asked for, to its last entry.
    wanted: BTreeMap<Log, u64>,
    /// Entries whose bodies are lacking: all that were ever named, those that are still to be asked
    /// for, and those of the question that has no answer yet.
    lacking: BTreeSet<EntryId>,
    to_ask: VecDeque<EntryId>,
    asked: BTreeSet<EntryId>,
    /// What is being stored, oldest first.
    storing: VecDeque<Storing>,
    pushes: Bucket,
}

#[derive(Clone, Copy, Debug)]
struct Storing {
    weight: usize,
    /// Whether it answers a question for what is lacking.
    is_answer: bool,
}

impl Incoming {
    pub(super) fn new(now: Timestamp) -> Self {
        let pushes = Bucket::per_second(PUSH_PER_SECOND, PUSH_BURST, now);
        let (lacking, to_ask, asked) = (BTreeSet::new(), VecDeque::new(), BTreeSet::new());
        Self { wanted: BTreeMap::new(), lacking, to_ask, asked, storing: VecDeque::new(), pushes }
    }

    pub(super) fn offered(heads: Vec<Head>) -> Vec<Action> {
        if heads.is_empty() { Vec::new() } else { vec![Action::Compare(heads)] }
    }

    pub(super) fn compared(&mut self, heads: Vec<Compared>) -> Result<Vec<Action>, Reason> {
        let mut actions = Vec::new();
        for (offered, held) in heads {
            let log = offered.log;
            let from = match held {
                Some((hi, id)) if hi >= offered.hi && id == offered.head => {
                    actions.push(Action::Send(Sync::Ack { log, through: offered.hi }));
                    continue;
                }
                // The last entry that is held comes once more: if the log has forked before it, it
                // comes as another one, which proves that, where the one behind it could only be
                // refused.
                Some((hi, _)) if hi < offered.hi => offered.lo.max(hi),
                // The same place under another id: the log from its beginning shows where its sides
                // parted.
                Some(_) | None => offered.lo,
            };
            self.wanted.insert(log, offered.hi);
            actions.push(Action::Send(Sync::Want { log, from }));
        }
        if self.wanted.len() > WANTED_MAX { Err(Reason::Rate) } else { Ok(actions) }
    }

    /// Asks for the bodies of entries, each once.
    pub(super) fn lacking(&mut self, entries: Vec<EntryId>) -> Vec<Action> {
        for entry in entries {
            if self.lacking.len() < WANTED_MAX && self.lacking.insert(entry) {
                self.to_ask.push_back(entry);
            }
        }
        self.ask()
    }

    /// One question at a time, until its answer is durable: one fits what may be on the way besides
    /// the credit.
    fn ask(&mut self) -> Vec<Action> {
        if !self.asked.is_empty()
            || self.to_ask.is_empty()
            || self.storing.iter().any(|batch| batch.is_answer)
        {
            return Vec::new();
        }
        let asked: Vec<EntryId> =
            self.to_ask.drain(..self.to_ask.len().min(LACKING_EACH)).collect();
        self.asked.extend(&asked);
        vec![Action::Send(Sync::Lacking(asked.into_iter().map(|entry| entry.0.into()).collect()))]
    }

    /// Entries that answer a Want, or bodies that were lacking; none when the peer has none of
    /// these, which an answer to an older question may say late. Those that nobody asked for are
    /// pushes by another name.
    pub(super) fn answered(
        &mut self,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Vec<Action>, Reason> {
        let is_wanted = |entry: &Entry| {
            entry
                .place()
                .is_some_and(|(log, seq)| self.wanted.get(&log).is_some_and(|goal| seq <= *goal))
        };
        let was_lacking = |entry: &Entry| self.asked.contains(&EntryId::of(&entry.header));
        // A load of a log may hold some of what is lacking among the rest; the answer holds nothing
        // else.
        let is_answer = !self.asked.is_empty() && entries.iter().all(was_lacking);
        let unasked =
            entries.iter().filter(|entry| !is_wanted(entry) && !was_lacking(entry)).count();
        if unasked > 0 && !self.pushes.take(unasked, now) {
            return Err(Reason::Rate);
        }
        if is_answer {
            self.asked.clear();
        }
        if entries.is_empty() { Ok(self.ask()) } else { self.store(entries, is_answer) }
    }

    pub(super) fn pushed(
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

    pub(super) fn forked(
        &mut self,
        one: Entry,
        other: Entry,
        now: Timestamp,
    ) -> Result<Vec<Action>, Reason> {
        if !self.pushes.take(2, now) {
            return Err(Reason::Rate);
        }
        self.hold(one.len() + other.len(), false)?;
        Ok(vec![Action::Forked(Box::new((one, other)))])
    }

    fn store(&mut self, entries: Vec<Entry>, is_answer: bool) -> Result<Vec<Action>, Reason> {
        self.hold(entries.iter().map(Entry::len).sum(), is_answer)?;
        Ok(vec![Action::Store(entries)])
    }

    /// Counts what waits to be stored: that may take long, when the friend's share of the day is
    /// used up.
    fn hold(&mut self, weight: usize, is_answer: bool) -> Result<(), Reason> {
        // One entry may be larger than a frame's share, but never the frame: reading it has checked
        // that.
        if self.storing.iter().map(|batch| batch.weight).sum::<usize>() + weight
            > CREDIT + ENTRIES_LEN_MAX
        {
            return Err(Reason::Rate);
        }
        self.storing.push_back(Storing { weight, is_answer });
        Ok(())
    }

    pub(super) fn stored(&mut self, reach: &[(Log, u64)]) -> Vec<Action> {
        self.storing.pop_front();
        for (log, through) in reach {
            if self.wanted.get(log).is_some_and(|goal| through >= goal) {
                self.wanted.remove(log);
            }
        }
        let acks = reach
            .iter()
            .map(|(log, through)| Action::Send(Sync::Ack { log: *log, through: *through }));
        acks.chain(self.ask()).collect()
    }
}
