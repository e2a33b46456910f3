//! A stream between two friends' nodes, and the session at each end of it, as `sync::stream` runs
//! it over libp2p.

use std::collections::{BTreeSet, VecDeque};

use freehold_core::identity::PersonId;
use freehold_core::random::Random;
use freehold_core::store::BlobId;
use freehold_core::timeline;

use super::breaks::{self, Break};
use super::person::Person;
use super::photos::{self, Came};
use crate::push::{self, DeliveryStatus};
use crate::sync::{Action, Fresh, Session, Trust};
use crate::wire::sync::{Entry, Sync};
use crate::{inbox, wire};

/// Wanted photos looked at in one go.
const WANTED_MAX: usize = 256;

/// What lies in the network on its way to one end.
#[derive(Debug)]
enum Coming {
    /// The bytes of a message.
    Message(Vec<u8>),
    /// The stream has broken here.
    Broken,
}

/// One end of the stream.
struct End {
    who: usize,
    session: Option<Session>,
    coming: VecDeque<Coming>,
    batches: VecDeque<Vec<Entry>>,
    arrivals: DeliveryStatus,
    /// Photos that this end will not ask for again.
    given_up: BTreeSet<BlobId>,
}

pub(super) struct Link {
    ends: [End; 2],
    is_parted: bool,
    broken: Option<Break>,
}

impl Link {
    pub(super) fn new(one: usize, other: usize, broken: Option<Break>) -> Self {
        Self { ends: [End::new(one), End::new(other)], is_parted: false, broken }
    }

    pub(super) fn joins(&self, who: usize) -> bool {
        self.ends.iter().any(|end| end.who == who)
    }

    /// A new stream takes the place of whatever there was, if the two can reach each other.
    pub(super) fn connect(&mut self, people: &[Person]) {
        if self.is_parted || self.ends.iter().any(|end| end.session.is_some()) {
            return;
        }
        // What is left of the stream before does not come out of this one.
        self.reset_ends();
        let whos = [self.ends[0].who, self.ends[1].who];
        for (end, (who, friend)) in [(whos[0], whos[1]), (whos[1], whos[0])].into_iter().enumerate()
        {
            let (me, friend) = (&people[who], people[friend].id);
            let trust = Trust::Friend(friend.0);
            let (mut session, mut actions) =
                Session::start(trust, push::offers(&me.node, trust).unwrap(), me.node.clock.now());
            actions.extend(session.lacking(inbox::lacking(&me.node, friend).unwrap()));
            self.ends[end].session = Some(session);
            self.ends[end].arrivals = DeliveryStatus::new(friend);
            self.take(end, actions, me, friend);
        }
    }

    /// The stream breaks: part of what is on its way still comes, and each end notices for itself.
    pub(super) fn tear(&mut self, random: &Random) {
        for end in &mut self.ends {
            let left = usize::try_from(random.u64() % (end.coming.len() as u64 + 1)).unwrap();
            end.coming.truncate(left);
            end.coming.push_back(Coming::Broken);
        }
    }

    /// From now on no stream can be opened between the two, or one can again.
    pub(super) fn partition(&mut self, is_parted: bool) {
        self.is_parted = is_parted;
        if is_parted {
            self.reset_ends();
        }
    }

    pub(super) fn reset(&mut self) {
        self.is_parted = false;
        self.reset_ends();
    }

    fn reset_ends(&mut self) {
        for end in &mut self.ends {
            end.hang_up();
        }
    }

    /// The process at one end is gone, with all it was about to do; the other end notices later.
    pub(super) fn process_gone(&mut self, who: usize, random: &Random) {
        if self.joins(who) {
            self.tear(random);
            for end in self.ends.iter_mut().filter(|end| end.who == who) {
                end.hang_up();
            }
        }
    }

    /// Puts a message into the network as if this person's node had sent it.
    pub(super) fn inject(&mut self, from: usize, message: &Sync) {
        let is_open = self.ends.iter().all(|end| end.session.is_some());
        for end in self.ends.iter_mut().filter(|end| is_open && end.who != from) {
            end.coming.push_back(Coming::Message(wire::encode(message)));
        }
    }

    pub(super) fn grown(&mut self, who: usize, fresh: &Fresh, me: &Person) {
        for end in 0..2 {
            if self.ends[end].who != who {
                continue;
            }
            let Some(session) = &mut self.ends[end].session else { continue };
            let actions = session.grown(fresh, me.node.clock.now());
            let friend = self.ends[end].friend();
            self.take(end, actions, me, friend);
        }
    }

    /// One end does one thing that waits: takes a message in, or makes a batch of entries durable.
    /// Whether there was one.
    pub(super) async fn advance(&mut self, people: &mut [Person], end: usize, choice: u64) -> bool {
        let me = &people[self.ends[end].who];
        let friend = self.ends[end].friend();
        let stores_first = choice.is_multiple_of(2) || self.ends[end].coming.is_empty();
        if stores_first && let Some(batch) = self.ends[end].batches.pop_front() {
            let stored = match self.broken {
                Some(Break::DropsAcknowledged) if choice % 8 < 4 => Ok(breaks::reach_of(&batch)),
                Some(Break::KeepsDeleted) => breaks::store_and_show_on(me, friend, batch).await,
                _ => inbox::store(&me.node, friend, batch).await,
            };
            let Some(session) = &mut self.ends[end].session else { return true };
            let actions = match stored {
                Ok(reach) => session.stored(&reach),
                Err(reason) => session.refused(reason),
            };
            self.take(end, actions, me, friend);
            return true;
        }
        match self.ends[end].coming.pop_front() {
            Some(Coming::Broken) => self.ends[end].hang_up(),
            Some(Coming::Message(bytes)) => {
                let Some(session) = &mut self.ends[end].session else { return true };
                let now = me.node.clock.now();
                let actions = match wire::decode::<Sync>(&bytes) {
                    Ok(message) => session.received(message, now),
                    Err(_) => session.refused(wire::sync::Reason::Invalid),
                };
                self.take(end, actions, me, friend);
            }
            None => return false,
        }
        self.ends[end].arrivals.record(&me.node).await.unwrap();
        true
    }

    /// One end fetches one of the photos that its friend's posts show, while there is a stream;
    /// whether it came.
    pub(super) async fn fetch(
        &mut self,
        people: &[Person],
        end: usize,
        choice: u64,
        is_rough: bool,
    ) -> bool {
        if self.ends.iter().any(|end| end.session.is_none()) {
            return false;
        }
        let (me, friend) = (&people[self.ends[end].who], &people[self.ends[1 - end].who]);
        let mut wanted = timeline::wanted_blobs(&me.node, &friend.id, None, WANTED_MAX).unwrap();
        wanted.retain(|wanted| !self.ends[end].given_up.contains(&wanted.blob));
        let first = usize::try_from(choice / 16).unwrap() % wanted.len().max(1);
        wanted.rotate_left(first);
        for wanted in &wanted {
            match photos::bring(&friend.node, &me.node, wanted, choice, is_rough) {
                Came::Whole(pinned) => {
                    return timeline::blob_arrived(&me.node, friend.id, pinned).await.unwrap();
                }
                Came::Broken if self.broken == Some(Break::GivesUpPhotos) => {
                    self.ends[end].given_up.insert(wanted.blob);
                    return false;
                }
                Came::Broken => return false,
                // Its author has lost it; the next may be there.
                Came::Missing => {}
            }
        }
        false
    }

    /// Does what a session asks for. Entries wait to be stored: that is where a node may stop.
    fn take(&mut self, end: usize, actions: Vec<Action>, me: &Person, friend: PersonId) {
        let mut todo = VecDeque::from(actions);
        while let Some(action) = todo.pop_front() {
            let Some(session) = &mut self.ends[end].session else { return };
            match action {
                Action::Send(message) => {
                    self.ends[1 - end].coming.push_back(Coming::Message(wire::encode(&message)))
                }
                Action::Read { log, from, count_max, len_max } => {
                    let entries = push::read(&me.node, &log, from, count_max, len_max).unwrap();
                    todo.extend(session.read(&log, entries));
                }
                Action::Compare(heads) => {
                    todo.extend(session.compared(inbox::compare(&me.node, friend, heads).unwrap()))
                }
                Action::Find(entries) => {
                    todo.extend(session.found(push::find(&me.node, friend, &entries).unwrap()))
                }
                Action::Store(entries) => self.ends[end].batches.push_back(entries),
                Action::Forked(proof) => self.ends[end].batches.push_back(vec![proof.0, proof.1]),
                Action::Arrived { log, through } => self.ends[end].arrivals.note(log, through),
                Action::End(_) | Action::Ended { .. } => {
                    self.ends[1 - end].coming.push_back(Coming::Broken);
                    self.ends[end].hang_up();
                }
            }
        }
    }
}

impl End {
    fn new(who: usize) -> Self {
        let (coming, batches, given_up) = (VecDeque::new(), VecDeque::new(), BTreeSet::new());
        Self {
            who,
            session: None,
            coming,
            batches,
            arrivals: DeliveryStatus::new(PersonId([0; 32])),
            given_up,
        }
    }

    fn friend(&self) -> PersonId {
        self.arrivals.friend()
    }

    fn hang_up(&mut self) {
        self.session = None;
        self.coming.clear();
        self.batches.clear();
    }
}
