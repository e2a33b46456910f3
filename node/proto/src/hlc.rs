//! The hybrid logical clock: milliseconds that do not run backwards within one person's entries,
//! with a counter below them, unless it turns out that the machine's own clock was far ahead:
//! readers hold back what is from the future, so going on from there would silence the author until
//! that day comes.
//!
//! It orders what a reader sees; edits and tombstones are ordered by (epoch chain, seq), never by
//! this. A node merges it only from its own person's entries, so nobody else's wrong clock can push
//! it ahead.

use std::fmt;

use crate::clock::Timestamp;

/// How far ahead of this machine's clock a moment may be and still be believed, in milliseconds.
pub const AHEAD_MAX_MS: u64 = 60_000;
/// 1 January 2026, 0:00 UTC: a clock that says less was never set, for this program is younger.
const NEVER_SET_BEFORE: Timestamp = Timestamp(1_767_225_600_000);
/// Bits of the counter below the milliseconds.
const COUNTER_BITS: u32 = 16;

/// A moment in the hybrid clock: 48 bits of milliseconds since the Unix epoch above 16 bits of
/// counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The first moment of a millisecond.
    pub fn at(time: Timestamp) -> Self {
        Self(time.0.min(u64::MAX >> COUNTER_BITS) << COUNTER_BITS)
    }

    /// The next moment: the machine's time, or one step after `last` if the machine's clock stands
    /// still or ran backwards a little. If it ran back far, it was wrong before and is right now;
    /// unless what it says now cannot be.
    #[must_use]
    pub fn next(last: Self, now: Timestamp) -> Self {
        if last.is_ahead_of(now) && now >= NEVER_SET_BEFORE {
            return Self::at(now);
        }
        Self::at(now).max(Self(last.0.saturating_add(1)))
    }

    /// Whether this is further in the future than two clocks that are right can be apart.
    pub fn is_ahead_of(self, now: Timestamp) -> bool {
        self.time() > now.plus_millis(AHEAD_MAX_MS)
    }

    /// The wall-clock part.
    pub fn time(self) -> Timestamp {
        Timestamp(self.0 >> COUNTER_BITS)
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.time().0, self.0 & ((1 << COUNTER_BITS) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_backwards_still_moves_forward() {
        let first = Hlc::next(Hlc::default(), Timestamp(1_000));
        let second = Hlc::next(first, Timestamp(900));
        assert!(second > first);
        assert_eq!(second.time(), Timestamp(1_000));
        assert_eq!(Hlc::next(second, Timestamp(2_000)), Hlc::at(Timestamp(2_000)));
    }

    #[test]
    fn a_clock_that_was_far_ahead_is_forgotten_and_one_that_was_never_set_is_not_believed() {
        let (right, far) = (Timestamp(1_795_000_000_000), Hlc::at(Timestamp(2_085_000_000_000)));
        assert_eq!(Hlc::next(far, right), Hlc::at(right));
        let little = Hlc::at(right.plus_millis(AHEAD_MAX_MS));
        assert_eq!(Hlc::next(little, right), Hlc(little.0 + 1));
        // A machine without a battery begins in 1970: what was said last is nearer to the truth.
        assert_eq!(Hlc::next(Hlc::at(right), Timestamp(5_000)), Hlc(Hlc::at(right).0 + 1));
        assert_eq!(Hlc::next(Hlc(u64::MAX), Timestamp(0)), Hlc(u64::MAX));
    }
}
