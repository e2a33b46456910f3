//! The sending half: own logs, each offered, then sent on a Want, then live.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use freehold_core::clock::Timestamp;

use super::{Action, NewEntry};
use crate::limits::{CREDIT, ENTRIES_LEN_MAX, ENTRIES_MAX, HAVE_MAX, PUSH_BURST, PUSH_PER_SECOND};
use crate::rate::TokenBucket;
use crate::wire::sync::{self, Head, Log, Reason, Sync};

/// The state of a log at this peer.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Offered; the peer has answered with neither Want nor Ack.
    Offered,
    /// The peer has sent a Want; entries are being sent up to the offered end.
    Sending { is_reading: bool },
    /// The peer has been sent all entries; new ones are pushed.
    Live,
}

#[derive(Debug)]
struct Offer {
    head: Head,
    /// The last entry that was offered: a Want is answered up to here, and later entries are
    /// offered again.
    offered: u64,
    stage: Stage,
    /// The next entry to send.
    next: u64,
    /// The peer has acknowledged every entry before this one.
    acknowledged: u64,
    /// Frames sent and not acknowledged: the number of the last entry, and the bytes of entries.
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
    /// Bytes of entries sent and not acknowledged, over all logs.
    unacknowledged_len: usize,
    /// The rate of pushes that the peer allows, kept so that this node stays below it.
    pushes: TokenBucket,
    may_push: bool,
    /// Logs being sent, in the order of their Wants: an epoch continues the one before it, so the
    /// peer must have that one whole first.
    sending: VecDeque<Log>,
}

impl Outgoing {
    pub(super) fn start(ours: Vec<Head>, may_push: bool, now: Timestamp) -> (Self, Vec<Action>) {
        let offers =
            ours.iter().map(|head| (head.log, Offer::new(*head, Stage::Offered))).collect();
        // Half of the rate that the peer allows: the two clocks do not run at exactly one speed.
        let pushes = TokenBucket::per_second(PUSH_PER_SECOND / 2, PUSH_BURST / 2, now);
        let (unacknowledged_len, sending) = (0, VecDeque::new());
        (Self { offers, unacknowledged_len, pushes, may_push, sending }, have_messages(ours))
    }

    /// Offers logs that have grown, and new ones.
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
        let mut actions = have_messages(grown);
        actions.extend(self.pump());
        actions
    }

    pub(super) fn on_new_entry(&mut self, new: &NewEntry, now: Timestamp) -> Vec<Action> {
        if !self.may_push {
            return Vec::new();
        }
        let head = new.head;
        let all_live = self.offers.values().all(|offer| offer.stage == Stage::Live);
        let offer = match self.offers.entry(head.log) {
            // The peer cannot hold any of a log that begins with this entry, so the entry is pushed
            // without an offer, unless the log continues one that the peer does not have whole.
            Entry::Vacant(vacant) if head.lo == head.hi && all_live => {
                vacant.insert(Offer::new(head, Stage::Live))
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Offer::new(head, Stage::Offered));
                return have_messages(vec![head]);
            }
            Entry::Occupied(occupied) => {
                let offer = occupied.into_mut();
                if head.hi <= offer.head.hi {
                    return Vec::new();
                }
                offer.head = Head { lo: offer.head.lo, ..head };
                offer
            }
        };
        let len = new.entry.len();
        match offer.stage {
            Stage::Live
                if offer.next == head.hi
                    && self.unacknowledged_len + len <= CREDIT
                    && self.pushes.take(1, now) =>
            {
                offer.next += 1;
                offer.unacknowledged.push_back((head.hi, len));
                self.unacknowledged_len += len;
                vec![Action::Send(Sync::Push(vec![new.entry.clone()]))]
            }
            Stage::Live => {
                offer.stage = Stage::Offered;
                offer.offered = head.hi;
                have_messages(vec![head])
            }
            // The peer may have answered the last offer with an Ack, which does not cover this
            // entry.
            Stage::Offered => {
                offer.offered = head.hi;
                have_messages(vec![head])
            }
            Stage::Sending { .. } => self.pump(),
        }
    }

    pub(super) fn on_want(&mut self, log: &Log, from: u64) -> Result<Vec<Action>, Reason> {
        // A log that is not offered does not exist for this peer.
        let Some(offer) = self.offers.get_mut(log) else { return Ok(Vec::new()) };
        if from < offer.head.lo || from > offer.head.hi.saturating_add(1) {
            return Err(Reason::Invalid);
        }
        if offer.stage != Stage::Offered {
            // A second Want would let the peer have the same bytes read again and again.
            return Ok(Vec::new());
        }
        // The peer may have sent the Want before it read the latest pushes: those are not sent
        // again, and stay counted until their Ack.
        offer.next = from
            .max(offer.acknowledged)
            .max(offer.unacknowledged.back().map_or(0, |(last, _)| last + 1));
        offer.stage = Stage::Sending { is_reading: false };
        self.sending.push_back(*log);
        Ok(self.pump())
    }

    pub(super) fn on_ack(&mut self, log: &Log, acked: u64, held_ms: Option<u64>) -> Vec<Action> {
        let Some(offer) = self.offers.get_mut(log) else { return Vec::new() };
        let through = acked.min(offer.head.hi);
        let held_ms = held_ms.filter(|_| acked == through);
        while offer.unacknowledged.front().is_some_and(|(last, _)| *last <= through) {
            self.unacknowledged_len -= offer.unacknowledged.pop_front().map_or(0, |(_, len)| len);
        }
        offer.acknowledged = offer.acknowledged.max(through.saturating_add(1));
        if offer.stage == Stage::Offered && through == offer.head.hi {
            offer.stage = Stage::Live;
            offer.next = through + 1;
        }
        let mut actions = vec![Action::Acknowledged { log: *log, through, held_ms }];
        actions.extend(self.pump());
        actions
    }

    pub(super) fn on_read(&mut self, log: &Log, entries: Vec<sync::Entry>) -> Vec<Action> {
        let Some(offer) = self.offers.get_mut(log) else { return Vec::new() };
        if offer.stage != (Stage::Sending { is_reading: true }) {
            return Vec::new();
        }
        offer.stage = Stage::Sending { is_reading: false };
        let Some(count) = u64::try_from(entries.len()).ok().filter(|count| *count > 0) else {
            // The entries are missing in the store. A retry would loop; the next stream offers
            // the log again.
            offer.stage = Stage::Live;
            return self.pump();
        };
        let len: usize = entries.iter().map(sync::Entry::len).sum();
        offer.next += count;
        offer.unacknowledged.push_back((offer.next - 1, len));
        self.unacknowledged_len += len;
        let mut actions = vec![Action::Send(Sync::Entries(entries))];
        actions.extend(self.pump());
        actions
    }

    /// Reads the next entries if there is credit, and makes logs live that are sent whole.
    fn pump(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(log) = self.sending.front() {
            match self.offers.get_mut(log) {
                Some(Offer { stage: Stage::Sending { is_reading: true }, .. }) => return actions,
                Some(offer)
                    if offer.stage == (Stage::Sending { is_reading: false })
                        && offer.next <= offer.offered =>
                {
                    if self.unacknowledged_len + ENTRIES_LEN_MAX <= CREDIT {
                        offer.stage = Stage::Sending { is_reading: true };
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
                    if offer.stage == (Stage::Sending { is_reading: false })
                        && offer.next <= offer.head.hi =>
                {
                    offer.stage = Stage::Offered;
                    offer.offered = offer.head.hi;
                    actions.extend(have_messages(vec![offer.head]));
                }
                Some(offer) if offer.stage == (Stage::Sending { is_reading: false }) => {
                    offer.stage = Stage::Live
                }
                _ => {}
            }
            self.sending.pop_front();
        }
        actions
    }
}

/// An offer, in as many messages as it needs.
fn have_messages(heads: Vec<Head>) -> Vec<Action> {
    heads.chunks(HAVE_MAX).map(|part| Action::Send(Sync::Have(part.to_vec()))).collect()
}
