//! Messages that each friend's node offers per hour.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use freehold_core::clock::Timestamp;
use freehold_core::friends::FRIENDS_MAX;
use freehold_core::identity::PersonId;

use crate::limits::MAIL_PER_HOUR;
use crate::rate::TokenBucket;

/// The tokens of one message, at one token per second.
const COST: u32 = 3600 / MAIL_PER_HOUR;

/// The rate of every friend, counted as long as the process runs.
#[derive(Default)]
pub(crate) struct MailRates(Mutex<HashMap<PersonId, TokenBucket>>);

impl MailRates {
    /// Takes one message from this friend's rate, or takes nothing and returns false.
    pub(crate) fn take(&self, friend: PersonId, now: Timestamp) -> bool {
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= FRIENDS_MAX && !rates.contains_key(&friend) {
            // More than there can be friends: some of these are friends no longer.
            rates.clear();
        }
        let full = || TokenBucket::per_second(1, COST.saturating_mul(MAIL_PER_HOUR), now);
        let cost = usize::try_from(COST).unwrap_or(usize::MAX);
        rates.entry(friend).or_insert_with(full).take(cost, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn friend_offers_sixty_messages_per_hour() {
        let (rates, start) = (MailRates::default(), Timestamp(0));
        let (bob, carol) = (PersonId([2; 32]), PersonId([3; 32]));
        assert_eq!((0..100).filter(|_| rates.take(bob, start)).count(), 60);
        assert!(rates.take(carol, start));
        assert!(rates.take(bob, start.plus_millis(60_000)));
        assert!(!rates.take(bob, start.plus_millis(60_000)));
    }
}
