//! Bytes of photos that are requested of each friend per day, also of photos that are cut off or do
//! not match their hash. Core counts the stored ones in rows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use freehold_core::clock::Timestamp;
use freehold_core::friends::FRIENDS_MAX;
use freehold_core::identity::PersonId;

use crate::rate::TokenBucket;

const SECS_PER_DAY: u64 = 24 * 60 * 60;

/// The daily share of every friend, counted as long as the process runs.
pub(crate) struct DailyShares {
    bytes_per_day: u64,
    remaining: Mutex<HashMap<PersonId, TokenBucket>>,
}

impl DailyShares {
    pub(crate) fn new(mib_per_day: u32) -> Self {
        Self { bytes_per_day: u64::from(mib_per_day) << 20, remaining: Mutex::default() }
    }

    /// Takes `len` bytes from this friend's share, or takes nothing and returns false.
    pub(crate) fn take(&self, friend: PersonId, len: u64, now: Timestamp) -> bool {
        let mut remaining = self.remaining.lock().unwrap_or_else(PoisonError::into_inner);
        if remaining.len() >= FRIENDS_MAX && !remaining.contains_key(&friend) {
            // More than there can be friends: some of these are friends no longer.
            remaining.clear();
        }
        // Counted in KiB, so that a share of many GiB fits.
        let kib = |bytes: u64| u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        let full = || {
            TokenBucket::per_second(
                kib(self.bytes_per_day / SECS_PER_DAY).max(1),
                kib(self.bytes_per_day),
                now,
            )
        };
        remaining
            .entry(friend)
            .or_insert_with(full)
            .take(usize::try_from(len.div_ceil(1024)).unwrap_or(usize::MAX), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daily_share_is_counted_per_friend() {
        let (shares, start) = (DailyShares::new(64), Timestamp(0));
        let (bob, carol) = (PersonId([2; 32]), PersonId([3; 32]));
        assert!(shares.take(bob, 64 << 20, start));
        assert!(!shares.take(bob, 1, start));
        assert!(shares.take(carol, 1 << 20, start));
        assert!(shares.take(bob, 32 << 20, start.plus_millis(24 * 60 * 60 * 1000)));
        assert!(!DailyShares::new(0).take(bob, 1, start), "a share of zero allows nothing");
    }
}
