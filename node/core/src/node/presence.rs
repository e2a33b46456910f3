//! Presence: which friends' nodes are connected now, and what the hellos with them have shown of
//! clocks and of copies of a node. In memory only: a row per connection would be a commit per
//! connection, and after a start no node is connected.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Timestamp};
use freehold_proto::identity::PersonId;

/// How long an observation of a copy counts, in milliseconds. While both copies run, each connects
/// again within minutes, and the observation is repeated.
const COPY_MS: u64 = 60 * 60 * 1000;

/// The people whose nodes are connected, and the time of the last contact since this node started.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Presence(Arc<Mutex<HashMap<PersonId, Contact>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Contact {
    /// Open connections.
    connections: usize,
    last: Timestamp,
    /// The friend's node has said that it stops, and has not connected since.
    has_left: bool,
    clock_ahead_ms: Option<i64>,
    /// Two copies of the friend's node were heard.
    copies: Option<Timestamp>,
    /// The friend's node has heard two copies of this node.
    own_copies: Option<Timestamp>,
}

/// A guard: a friend's node is connected until it is dropped.
#[derive(Debug)]
pub struct Connected {
    presence: Presence,
    person: PersonId,
    clock: Clock,
}

impl Presence {
    /// Marks a friend's node as connected until the returned guard is dropped.
    #[must_use]
    pub fn connected(&self, person: PersonId, clock: &Clock) -> Connected {
        self.update(person, clock.now(), |contact| {
            contact.connections += 1;
            contact.has_left = false;
        });
        Connected { presence: self.clone(), person, clock: clock.clone() }
    }

    /// True if a friend's node is connected now, and the time of the last contact since this node
    /// started.
    pub fn of(&self, person: &PersonId) -> (bool, Option<Timestamp>) {
        let contact = self.contacts().get(person).copied();
        (
            contact.is_some_and(|contact| contact.connections > 0),
            contact.map(|contact| contact.last),
        )
    }

    /// Notes that a friend's node has said that it stops.
    pub fn set_left(&self, person: PersonId, now: Timestamp) {
        self.update(person, now, |contact| contact.has_left = true);
    }

    /// True if a friend's node has said that it stops, and has not connected since.
    pub fn has_left(&self, person: &PersonId) -> bool {
        self.contacts().get(person).is_some_and(|contact| contact.has_left)
    }

    /// Notes by how many milliseconds the clock of a friend's node is ahead of this one's; negative
    /// if it is behind.
    pub fn set_clock(&self, person: PersonId, ahead_ms: i64, now: Timestamp) {
        self.update(person, now, |contact| contact.clock_ahead_ms = Some(ahead_ms));
    }

    /// By how many milliseconds the clock of a friend's node is ahead of this one's.
    pub fn clock_ahead_ms(&self, person: &PersonId) -> Option<i64> {
        self.contacts().get(person)?.clock_ahead_ms
    }

    /// The clocks of all friends' nodes that were met since this node started, as
    /// [`Self::clock_ahead_ms`].
    pub fn clocks(&self) -> Vec<(PersonId, i64)> {
        let contacts = self.contacts();
        let known = contacts.iter().filter_map(|(person, contact)| {
            contact.clock_ahead_ms.map(|ahead_ms| (*person, ahead_ms))
        });
        known.collect()
    }

    /// Notes that two copies of a friend's node run. Returns true unless that was known.
    pub fn set_copies(&self, person: PersonId, now: Timestamp) -> bool {
        self.update(person, now, |contact| !is_recent(contact.copies.replace(now), now))
    }

    /// True if two copies of a friend's node were heard within the last hour.
    pub fn has_copies(&self, person: &PersonId, now: Timestamp) -> bool {
        self.contacts().get(person).is_some_and(|contact| is_recent(contact.copies, now))
    }

    /// Notes that a friend's node hears two copies of this one. Returns true unless that was known.
    pub fn set_own_copies(&self, friend: PersonId, now: Timestamp) -> bool {
        self.update(friend, now, |contact| !is_recent(contact.own_copies.replace(now), now))
    }

    /// The friends whose nodes have heard two copies of this node within the last hour.
    pub fn own_copies(&self, now: Timestamp) -> Vec<PersonId> {
        let contacts = self.contacts();
        let heard = contacts.iter().filter(|(_, contact)| is_recent(contact.own_copies, now));
        heard.map(|(person, _)| *person).collect()
    }

    /// Changes what is known of a friend whose node was heard just now.
    fn update<T>(
        &self,
        person: PersonId,
        now: Timestamp,
        change: impl FnOnce(&mut Contact) -> T,
    ) -> T {
        let mut contacts = self.contacts();
        change(contacts.entry(person).or_insert(Contact { last: now, ..Contact::default() }))
    }

    fn contacts(&self) -> MutexGuard<'_, HashMap<PersonId, Contact>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_recent(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| now.millis_since(at) < COPY_MS)
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(contact) = self.presence.contacts().get_mut(&self.person) {
            contact.connections = contact.connections.saturating_sub(1);
            contact.last = self.clock.now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_of_copies_end_after_an_hour() {
        let (presence, bob) = (Presence::default(), PersonId([2; 32]));
        let at = |minutes: u64| Timestamp(minutes * 60_000);
        assert!(presence.set_own_copies(bob, at(0)));
        assert!(!presence.set_own_copies(bob, at(30)), "it is known");
        assert_eq!(presence.own_copies(at(89)), [bob]);
        assert_eq!(presence.own_copies(at(90)), []);
        assert!(presence.set_copies(bob, at(0)) && presence.has_copies(&bob, at(59)));
        assert!(!presence.has_copies(&bob, at(60)));
    }

    #[test]
    fn friend_is_online_while_one_connection_lasts() {
        let (presence, clock, bob) =
            (Presence::default(), Clock::manual(Timestamp(1000)), PersonId([2; 32]));
        assert_eq!(presence.of(&bob), (false, None));
        let (first, second) = (presence.connected(bob, &clock), presence.connected(bob, &clock));
        assert_eq!(presence.of(&bob), (true, Some(Timestamp(1000))));
        clock.advance(500);
        drop(first);
        assert!(presence.of(&bob).0);
        clock.advance(500);
        drop(second);
        clock.advance(500);
        assert_eq!(presence.of(&bob), (false, Some(Timestamp(2000))));
        assert_eq!(presence.of(&PersonId([3; 32])), (false, None));
    }

    #[test]
    fn friend_has_left_until_the_next_connection() {
        let (presence, clock, bob) =
            (Presence::default(), Clock::manual(Timestamp(1000)), PersonId([2; 32]));
        assert!(!presence.has_left(&bob));
        let connected = presence.connected(bob, &clock);
        presence.set_left(bob, clock.now());
        drop(connected);
        assert!(presence.has_left(&bob));
        let _again = presence.connected(bob, &clock);
        assert!(!presence.has_left(&bob));
    }
}
