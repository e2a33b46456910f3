//! A stream between two friends' nodes, and the session at each end, as `sync_stream` runs it over
//! libp2p.

use std::collections::{BTreeSet, VecDeque};

use freehold_core::identity::PersonId;
use freehold_core::random::Random;
use freehold_core::shares::Limit;
use freehold_core::store::BlobId;
use freehold_core::timeline;

use super::faults::{self, NodeFault};
use super::person::Person;
use super::photos::{self, Transfer};
use crate::acks::AckTracker;
use crate::sync::{Action, NewEntry, SyncPeer, SyncSession};
use crate::wire::sync::{Entry, Sync};
use crate::{own_feeds, receive, wire};

/// Wanted photos read at once.
const WANTED_MAX: usize = 256;

/// An item on its way to one end.
#[derive(Debug)]
enum InFlight {
    /// The bytes of a message.
    Message(Vec<u8>),
    /// The stream is broken from here on.
    Broken,
}

/// One end of the stream.
struct End {
    person: usize,
    session: Option<SyncSession>,
    incoming: VecDeque<InFlight>,
    batches: VecDeque<Vec<Entry>>,
    acks: AckTracker,
    /// Photos that this end does not request again; see [`NodeFault::AbandonsPhotos`].
    abandoned: BTreeSet<BlobId>,
}

pub(super) struct Link {
    ends: [End; 2],
    is_partitioned: bool,
    fault: Option<NodeFault>,
}

impl Link {
    pub(super) fn new(one: usize, other: usize, fault: Option<NodeFault>) -> Self {
        Self { ends: [End::new(one), End::new(other)], is_partitioned: false, fault }
    }

    pub(super) fn has_end(&self, person: usize) -> bool {
        self.ends.iter().any(|end| end.person == person)
    }

    /// Opens a new stream, if there is none and the two can reach each other.
    pub(super) fn connect(&mut self, people: &[Person]) {
        if self.is_partitioned || self.ends.iter().any(|end| end.session.is_some()) {
            return;
        }
        // The new stream delivers no message of the stream before.
        self.reset_ends();
        let persons = [self.ends[0].person, self.ends[1].person];
        for (end, (person, friend)) in
            [(persons[0], persons[1]), (persons[1], persons[0])].into_iter().enumerate()
        {
            let (me, friend) = (&people[person], people[friend].id);
            let sync_peer = SyncPeer::Friend(friend.0);
            let (mut session, mut actions) = SyncSession::start(
                sync_peer,
                own_feeds::offers(&me.node, sync_peer).unwrap(),
                me.node.clock.now(),
            );
            actions
                .extend(session.request_bodies(receive::missing_bodies(&me.node, friend).unwrap()));
            self.ends[end].session = Some(session);
            self.ends[end].acks = AckTracker::new(friend);
            self.run_actions(end, actions, me, friend);
        }
    }

    /// Breaks the stream: some messages on their way still arrive, and each end detects the break
    /// by itself.
    pub(super) fn break_stream(&mut self, random: &Random) {
        for end in &mut self.ends {
            let left = usize::try_from(random.u64() % (end.incoming.len() as u64 + 1)).unwrap();
            end.incoming.truncate(left);
            end.incoming.push_back(InFlight::Broken);
        }
    }

    /// Prevents streams between the two, or allows them again.
    pub(super) fn partition(&mut self, is_partitioned: bool) {
        self.is_partitioned = is_partitioned;
        if is_partitioned {
            self.reset_ends();
        }
    }

    pub(super) fn reset(&mut self) {
        self.is_partitioned = false;
        self.reset_ends();
    }

    fn reset_ends(&mut self) {
        for end in &mut self.ends {
            end.close();
        }
    }

    /// Ends the process at one end, with its queued work; the other end detects it later.
    pub(super) fn process_ended(&mut self, person: usize, random: &Random) {
        if self.has_end(person) {
            self.break_stream(random);
            for end in self.ends.iter_mut().filter(|end| end.person == person) {
                end.close();
            }
        }
    }

    /// Sends a message as this person's node.
    pub(super) fn inject(&mut self, from: usize, message: &Sync) {
        let is_open = self.ends.iter().all(|end| end.session.is_some());
        for end in self.ends.iter_mut().filter(|end| is_open && end.person != from) {
            end.incoming.push_back(InFlight::Message(wire::encode(message)));
        }
    }

    pub(super) fn on_new_entry(&mut self, person: usize, new: &NewEntry, me: &Person) {
        for end in 0..2 {
            if self.ends[end].person != person {
                continue;
            }
            let Some(session) = &mut self.ends[end].session else { continue };
            let actions = session.on_new_entry(new, me.node.clock.now());
            let friend = self.ends[end].friend();
            self.run_actions(end, actions, me, friend);
        }
    }

    /// One end handles a message, or makes a batch of entries durable; false if neither waits.
    pub(super) async fn step(&mut self, people: &mut [Person], end: usize, choice: u64) -> bool {
        let me = &people[self.ends[end].person];
        let friend = self.ends[end].friend();
        let stores_first = choice.is_multiple_of(2) || self.ends[end].incoming.is_empty();
        if stores_first && let Some(batch) = self.ends[end].batches.pop_front() {
            let stored = match self.fault {
                Some(NodeFault::DropsAcknowledged) if choice % 8 < 4 => {
                    Ok(faults::last_entries(&batch))
                }
                Some(NodeFault::KeepsDeleted) => {
                    faults::store_and_keep_showing(me, friend, batch).await
                }
                _ => receive::store(&me.node, friend, batch).await.map(Option::unwrap_or_default),
            };
            let Some(session) = &mut self.ends[end].session else { return true };
            let actions = match stored {
                Ok(stored) => session.on_stored(&stored),
                Err(reason) => session.on_refused(reason),
            };
            self.run_actions(end, actions, me, friend);
            return true;
        }
        match self.ends[end].incoming.pop_front() {
            Some(InFlight::Broken) => self.ends[end].close(),
            Some(InFlight::Message(bytes)) => {
                let Some(session) = &mut self.ends[end].session else { return true };
                let now = me.node.clock.now();
                let actions = match wire::decode::<Sync>(&bytes) {
                    Ok(message) => session.on_message(message, now),
                    Err(_) => session.on_refused(wire::sync::Reason::Invalid),
                };
                self.run_actions(end, actions, me, friend);
            }
            None => return false,
        }
        self.ends[end].acks.store_cursor(&me.node).await.unwrap();
        true
    }

    /// One end fetches one of its wanted photos while the stream is open; true if it was stored.
    pub(super) async fn fetch(
        &mut self,
        people: &[Person],
        end: usize,
        choice: u64,
        is_lossy: bool,
    ) -> bool {
        if self.ends.iter().any(|end| end.session.is_none()) {
            return false;
        }
        let (me, friend) = (&people[self.ends[end].person], &people[self.ends[1 - end].person]);
        let mut wanted = timeline::wanted_blobs(&me.node, &friend.id, None, WANTED_MAX).unwrap();
        wanted.retain(|wanted| !self.ends[end].abandoned.contains(&wanted.blob));
        let first = usize::try_from(choice / 16).unwrap() % wanted.len().max(1);
        wanted.rotate_left(first);
        for wanted in &wanted {
            match photos::transfer(&friend.node, &me.node, wanted, choice, is_lossy) {
                Transfer::Complete(pinned) => {
                    return timeline::blob_arrived(&me.node, friend.id, pinned, Limit::NONE)
                        .await
                        .unwrap();
                }
                Transfer::Broken if self.fault == Some(NodeFault::AbandonsPhotos) => {
                    self.ends[end].abandoned.insert(wanted.blob);
                    return false;
                }
                Transfer::Broken => return false,
                // Its author has lost it; another one may be available.
                Transfer::Missing => {}
            }
        }
        false
    }

    /// Does a session's actions. Entries are queued to be stored, so a node may stop before that.
    fn run_actions(&mut self, end: usize, actions: Vec<Action>, me: &Person, friend: PersonId) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            let Some(session) = &mut self.ends[end].session else { return };
            match action {
                Action::Send(message) => {
                    self.ends[1 - end].incoming.push_back(InFlight::Message(wire::encode(&message)))
                }
                Action::Read { log, from, count_max, len_max } => {
                    let entries =
                        own_feeds::read(&me.node, &log, from, count_max, len_max).unwrap();
                    actions.extend(session.on_read(&log, entries));
                }
                Action::Compare(heads) => actions.extend(
                    session.on_compared(receive::compare(&me.node, friend, heads).unwrap()),
                ),
                Action::FindBodies(entries) => {
                    actions.extend(session.on_bodies_found(
                        own_feeds::find_bodies(&me.node, friend, &entries).unwrap(),
                    ))
                }
                Action::Store(entries) => self.ends[end].batches.push_back(entries),
                Action::StoreFork(proof) => {
                    self.ends[end].batches.push_back(vec![proof.0, proof.1])
                }
                Action::Acknowledged { log, through, .. } => self.ends[end].acks.note(log, through),
                Action::End(_) | Action::Ended { .. } => {
                    self.ends[1 - end].incoming.push_back(InFlight::Broken);
                    self.ends[end].close();
                }
            }
        }
    }
}

impl End {
    fn new(person: usize) -> Self {
        let (incoming, batches, abandoned) = (VecDeque::new(), VecDeque::new(), BTreeSet::new());
        Self {
            person,
            session: None,
            incoming,
            batches,
            acks: AckTracker::new(PersonId([0; 32])),
            abandoned,
        }
    }

    fn friend(&self) -> PersonId {
        self.acks.friend()
    }

    fn close(&mut self) {
        self.session = None;
        self.incoming.clear();
        self.batches.clear();
    }
}
