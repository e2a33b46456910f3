//! The hybrid logical clock: milliseconds and a counter that do not run backwards within one
//! person's entries. The exception is a machine whose clock was far ahead: readers hold back
//! entries from the future, so continuing from there would silence the author until that day.
//!
//! The clock orders entries for a reader; edits and tombstones are ordered by (epoch chain, seq),
//! never by the clock. A node merges the clock only from its own person's entries, so the wrong
//! clock of another person cannot push it ahead.

use std::fmt;

use crate::clock::Timestamp;

/// The furthest ahead of this machine's clock that a moment is accepted, in milliseconds.
pub const AHEAD_MAX_MS: u64 = 60_000;
/// 1 January 2026, 0:00 UTC, before the first release: a clock that shows an earlier time was never
/// set.
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

    /// The next moment: the machine's time, or one step after `last` if the machine's clock has not
    /// advanced or ran backwards by up to [`AHEAD_MAX_MS`]. A clock that ran back further was wrong
    /// before and is right now, unless it shows a time before 2026.
    #[must_use]
    pub fn next(last: Self, now: Timestamp) -> Self {
        if last.is_ahead_of(now) && now >= NEVER_SET_BEFORE {
            return Self::at(now);
        }
        Self::at(now).max(Self(last.0.saturating_add(1)))
    }

    /// True if this is more than [`AHEAD_MAX_MS`] after `now`.
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
    fn hlc_moves_forward_when_the_machine_clock_runs_back() {
        let first = Hlc::next(Hlc::default(), Timestamp(1_000));
        let second = Hlc::next(first, Timestamp(900));
        assert!(second > first);
        assert_eq!(second.time(), Timestamp(1_000));
        assert_eq!(Hlc::next(second, Timestamp(2_000)), Hlc::at(Timestamp(2_000)));
    }

    #[test]
    fn hlc_resets_after_far_clock_unless_time_is_unset() {
        let (now, far_ahead) =
            (Timestamp(1_795_000_000_000), Hlc::at(Timestamp(2_085_000_000_000)));
        assert_eq!(Hlc::next(far_ahead, now), Hlc::at(now));
        let little = Hlc::at(now.plus_millis(AHEAD_MAX_MS));
        assert_eq!(Hlc::next(little, now), Hlc(little.0 + 1));
        // A machine without a battery starts in 1970: the last entry is closer to the real time.
        assert_eq!(Hlc::next(Hlc::at(now), Timestamp(5_000)), Hlc(Hlc::at(now).0 + 1));
        assert_eq!(Hlc::next(Hlc(u64::MAX), Timestamp(0)), Hlc(u64::MAX));
    }
}
