//! Which friends' nodes are connected at this moment. It is on no disk: a row per connection would
//! be a commit per connection, and after a start nobody is connected.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Timestamp};
use freehold_proto::identity::PersonId;

/// Who is connected, and when those were last heard who have been since the node started. Cheap to
/// clone.
#[derive(Clone, Debug, Default)]
pub struct Presence(Arc<Mutex<HashMap<PersonId, Heard>>>);

#[derive(Clone, Copy, Debug)]
struct Heard {
    /// How many of their connections are held now.
    connections: usize,
    last: Timestamp,
}

/// Held as long as a friend's node is connected.
#[derive(Debug)]
pub struct Connected {
    presence: Presence,
    person: PersonId,
    clock: Clock,
}

impl Presence {
    /// Notes that a friend's node is connected, until what this returns is dropped.
    #[must_use]
    pub fn connected(&self, person: PersonId, clock: &Clock) -> Connected {
        let heard = Heard { connections: 0, last: clock.now() };
        self.heard().entry(person).or_insert(heard).connections += 1;
        Connected { presence: self.clone(), person, clock: clock.clone() }
    }

    /// Whether a friend's node is connected now, and when it was last heard, if it has been since
    /// the node started.
    pub fn of(&self, person: &PersonId) -> (bool, Option<Timestamp>) {
        let heard = self.heard().get(person).copied();
        (heard.is_some_and(|heard| heard.connections > 0), heard.map(|heard| heard.last))
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<PersonId, Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(heard) = self.presence.heard().get_mut(&self.person) {
            heard.connections = heard.connections.saturating_sub(1);
            heard.last = self.clock.now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_friend_is_awake_as_long_as_one_connection_lasts() {
        let (awake, clock, bob) =
            (Presence::default(), Clock::manual(Timestamp(1000)), PersonId([2; 32]));
        assert_eq!(awake.of(&bob), (false, None));
        let (first, second) = (awake.connected(bob, &clock), awake.connected(bob, &clock));
        assert_eq!(awake.of(&bob), (true, Some(Timestamp(1000))));
        clock.advance(500);
        drop(first);
        assert!(awake.of(&bob).0);
        clock.advance(500);
        drop(second);
        clock.advance(500);
        assert_eq!(awake.of(&bob), (false, Some(Timestamp(2000))));
        assert_eq!(awake.of(&PersonId([3; 32])), (false, None));
    }
}
