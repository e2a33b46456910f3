//! What each friend may bring in a day: photos and entries cost the owner's disk, and the friend
//! alone decides how many there are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use freehold_core::clock::Timestamp;
use freehold_core::friends::FRIENDS_MAX;
use freehold_core::identity::PersonId;

use crate::rate::Bucket;

const SECS_PER_DAY: u64 = 24 * 60 * 60;

/// The day's share of every friend, counted as long as the process runs.
pub(crate) struct Shares {
    bytes_per_day: u64,
    left: Mutex<HashMap<PersonId, Bucket>>,
}

impl Shares {
    pub(crate) fn new(mib_per_day: u32) -> Self {
        Self { bytes_per_day: u64::from(mib_per_day) << 20, left: Mutex::default() }
    }

    /// Whether so many bytes of this friend's may be taken now.
    pub(crate) fn take(&self, friend: PersonId, len: u64, now: Timestamp) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() >= FRIENDS_MAX && !left.contains_key(&friend) {
            // More than there are friends: some are friends no longer.
            left.clear();
        }
        // Counted in KiB, so that a share of many GiB fits.
        let kib = |bytes: u64| u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        let full = || {
            Bucket::per_second(
                kib(self.bytes_per_day / SECS_PER_DAY).max(1),
                kib(self.bytes_per_day),
                now,
            )
        };
        left.entry(friend)
            .or_insert_with(full)
            .take(usize::try_from(len.div_ceil(1024)).unwrap_or(usize::MAX), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_friend_brings_a_days_share_and_the_next_one_has_their_own() {
        let (shares, start) = (Shares::new(64), Timestamp(0));
        let (bob, carol) = (PersonId([2; 32]), PersonId([3; 32]));
        assert!(shares.take(bob, 64 << 20, start));
        assert!(!shares.take(bob, 1, start));
        assert!(shares.take(carol, 1 << 20, start));
        assert!(shares.take(bob, 32 << 20, start.plus_millis(24 * 60 * 60 * 1000)));
        assert!(!Shares::new(0).take(bob, 1, start), "nothing is allowed");
    }
}
