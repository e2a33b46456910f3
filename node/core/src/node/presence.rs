//! Presence: which friends' nodes are connected now. In memory only: a row per connection would be
//! a commit per connection, and after a start no node is connected.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Timestamp};
use freehold_proto::identity::PersonId;

/// The people whose nodes are connected, and the time of the last contact since this node started.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Presence(Arc<Mutex<HashMap<PersonId, Contact>>>);

#[derive(Clone, Copy, Debug)]
struct Contact {
    /// Open connections.
    connections: usize,
    last: Timestamp,
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
        let contact = Contact { connections: 0, last: clock.now() };
        self.contacts().entry(person).or_insert(contact).connections += 1;
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

    fn contacts(&self) -> MutexGuard<'_, HashMap<PersonId, Contact>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
}
