//! The half that gives: own logs, each offered, then fed, then live.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use freehold_core::clock::Timestamp;

use super::{Action, Fresh};
use crate::limits::{CREDIT, ENTRIES_LEN_MAX, ENTRIES_MAX, HAVE_MAX, PUSH_BURST, PUSH_PER_SECOND};
use crate::rate::Bucket;
use crate::wire::sync::{self, Head, Log, Reason, Sync};

/// How far the peer has come with a log.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Offered; the peer has not said where it stands.
    Offered,
    /// The peer asked; entries are being sent up to the log's end.
    Feeding { reading: bool },
    /// The peer has been sent everything; new entries are pushed.
    Live,
}

#[derive(Debug)]
struct Offer {
    head: Head,
    /// The last entry that the peer has been told of; it is fed up to there, and what comes after
    /// is offered anew.
    offered: u64,
    stage: Stage,
    /// The next entry to send.
    next: u64,
    /// The peer has said that it holds everything before this.
    acknowledged: u64,
    /// Sent and not acknowledged: the last number in each frame and the frame's weight.
    unacknowledged: VecDeque<(u64, usize)>,
}

impl Offer {
    fn new(head: Head, stage: Stage) -> Self {
        Self {
            head,
            offered: head.hi,
            stage,
            next: head.lo,
            acknowledged: head.lo,
            unacknowledged: VecDeque::new(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Outgoing {
    offers: BTreeMap<Log, Offer>,
    /// Bytes sent and not acknowledged, over all logs.
    weight: usize,
    /// The peer's patience with pushes, counted here so as not to try it.
    pushes: Bucket,
    pushing: bool,
    /// Logs being fed, in the order in which they were asked for: an epoch continues the one before
    /// it, so the peer must have that whole first.
    feeding: VecDeque<Log>,
}

impl Outgoing {
    pub(super) fn start(ours: Vec<Head>, pushing: bool, now: Timestamp) -> (Self, Vec<Action>) {
        let offers =
            ours.iter().map(|head| (head.log, Offer::new(*head, Stage::Offered))).collect();
        // Half of what the peer allows: its clock and ours need not agree to the millisecond.
        let pushes = Bucket::per_second(PUSH_PER_SECOND / 2, PUSH_BURST / 2, now);
        (Self { offers, weight: 0, pushes, pushing, feeding: VecDeque::new() }, have(ours))
    }

    /// Offers what has grown since, or appeared.
    pub(super) fn offer_again(&mut self, ours: Vec<Head>) -> Vec<Action> {
        let mut grown = Vec::new();
        for head in ours {
            match self.offers.entry(head.log) {
                Entry::Vacant(new) => {
                    new.insert(Offer::new(head, Stage::Offered));
                    grown.push(head);
                }
                Entry::Occupied(mut old) if old.get().head.hi < head.hi => {
                    let offer = old.get_mut();
                    offer.head = head;
                    if matches!(offer.stage, Stage::Live | Stage::Offered) {
                        offer.stage = Stage::Offered;
                        offer.offered = head.hi;
                        grown.push(head);
                    }
                }
                Entry::Occupied(_) => {}
            }
        }
        let mut actions = have(grown);
        actions.extend(self.pump());
        actions
    }

    pub(super) fn grown(&mut self, fresh: &Fresh, now: Timestamp) -> Vec<Action> {
        if !self.pushing {
            return Vec::new();
        }
        let head = fresh.head;
        let settled = self.offers.values().all(|offer| offer.stage == Stage::Live);
        let offer = match self.offers.entry(head.log) {
            // A log that begins with this very entry cannot have been seen by the peer: no need to
            // ask, unless it continues one that the peer does not have whole.
            Entry::Vacant(new) if head.lo == head.hi && settled => {
                new.insert(Offer::new(head, Stage::Live))
            }
            Entry::Vacant(new) => {
                new.insert(Offer::new(head, Stage::Offered));
                return have(vec![head]);
            }
            Entry::Occupied(old) => {
                let offer = old.into_mut();
                if head.hi <= offer.head.hi {
                    return Vec::new();
                }
                offer.head = Head { lo: offer.head.lo, ..head };
                offer
            }
        };
        let weight = fresh.entry.len();
        match offer.stage {
            Stage::Live
                if offer.next == head.hi
                    && self.weight + weight <= CREDIT
                    && self.pushes.take(1, now) =>
            {
                offer.next += 1;
                offer.unacknowledged.push_back((head.hi, weight));
                self.weight += weight;
                vec![Action::Send(Sync::Push(vec![fresh.entry.clone()]))]
            }
            Stage::Live => {
                offer.stage = Stage::Offered;
                offer.offered = head.hi;
                have(vec![head])
            }
            // The peer may have answered the offer before with an Ack, which says nothing of this
            // entry.
            Stage::Offered => {
                offer.offered = head.hi;
                have(vec![head])
            }
            Stage::Feeding { .. } => self.pump(),
        }
    }

    pub(super) fn wanted(&mut self, log: &Log, from: u64) -> Result<Vec<Action>, Reason> {
        // A log that is not offered does not exist for this peer.
        let Some(offer) = self.offers.get_mut(log) else { return Ok(Vec::new()) };
        if from < offer.head.lo || from > offer.head.hi.saturating_add(1) {
            return Err(Reason::Invalid);
        }
        if offer.stage != Stage::Offered {
            // Asking twice would let a peer have the same bytes read over and over.
            return Ok(Vec::new());
        }
        // What was pushed before stays counted until its Ack; the peer may have asked before it
        // read that far.
        offer.next = from
            .max(offer.acknowledged)
            .max(offer.unacknowledged.back().map_or(0, |(last, _)| last + 1));
        offer.stage = Stage::Feeding { reading: false };
        self.feeding.push_back(*log);
        Ok(self.pump())
    }

    pub(super) fn acknowledged(&mut self, log: &Log, through: u64) -> Vec<Action> {
        let Some(offer) = self.offers.get_mut(log) else { return Vec::new() };
        let through = through.min(offer.head.hi);
        while offer.unacknowledged.front().is_some_and(|(last, _)| *last <= through) {
            self.weight -= offer.unacknowledged.pop_front().map_or(0, |(_, weight)| weight);
        }
        offer.acknowledged = offer.acknowledged.max(through.saturating_add(1));
        if offer.stage == Stage::Offered && through == offer.head.hi {
            offer.stage = Stage::Live;
            offer.next = through + 1;
        }
        let mut actions = vec![Action::Arrived { log: *log, through }];
        actions.extend(self.pump());
        actions
    }

    pub(super) fn read(&mut self, log: &Log, entries: Vec<sync::Entry>) -> Vec<Action> {
        let Some(offer) = self.offers.get_mut(log) else { return Vec::new() };
        if offer.stage != (Stage::Feeding { reading: true }) {
            return Vec::new();
        }
        offer.stage = Stage::Feeding { reading: false };
        let Some(count) = u64::try_from(entries.len()).ok().filter(|count| *count > 0) else {
            // Nothing there that should be: do not spin on it, the next connection asks again.
            offer.stage = Stage::Live;
            return self.pump();
        };
        let weight: usize = entries.iter().map(sync::Entry::len).sum();
        offer.next += count;
        offer.unacknowledged.push_back((offer.next - 1, weight));
        self.weight += weight;
        let mut actions = vec![Action::Send(Sync::Entries(entries))];
        actions.extend(self.pump());
        actions
    }

    /// Asks for the next entries if there is credit, and lets logs that are sent whole go live.
    fn pump(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(log) = self.feeding.front() {
            match self.offers.get_mut(log) {
                Some(Offer { stage: Stage::Feeding { reading: true }, .. }) => return actions,
                Some(offer)
                    if offer.stage == (Stage::Feeding { reading: false })
                        && offer.next <= offer.offered =>
                {
                    if self.weight + ENTRIES_LEN_MAX <= CREDIT {
                        offer.stage = Stage::Feeding { reading: true };
                        let count_max = usize::try_from(offer.offered - offer.next + 1)
                            .unwrap_or(usize::MAX)
                            .min(ENTRIES_MAX);
                        actions.push(Action::Read {
                            log: *log,
                            from: offer.next,
                            count_max,
                            len_max: ENTRIES_LEN_MAX,
                        });
                    }
                    return actions;
                }
                Some(offer)
                    if offer.stage == (Stage::Feeding { reading: false })
                        && offer.next <= offer.head.hi =>
                {
                    offer.stage = Stage::Offered;
                    offer.offered = offer.head.hi;
                    actions.extend(have(vec![offer.head]));
                }
                Some(offer) if offer.stage == (Stage::Feeding { reading: false }) => {
                    offer.stage = Stage::Live
                }
                _ => {}
            }
            self.feeding.pop_front();
        }
        actions
    }
}

/// The offer, in as many messages as it needs.
fn have(heads: Vec<Head>) -> Vec<Action> {
    heads.chunks(HAVE_MAX).map(|part| Action::Send(Sync::Have(part.to_vec()))).collect()
}
