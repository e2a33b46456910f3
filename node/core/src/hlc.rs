//! The hybrid logical clock: milliseconds that never run backwards within one person's entries, with a counter below them.
//!
//! It orders what a reader sees; edits and tombstones are ordered by (epoch chain, seq), never by this. A node merges it only from its own
//! person's entries, so nobody else's wrong clock can push it ahead.

use std::fmt;

use crate::clock::Timestamp;

/// Bits of the counter below the milliseconds.
const COUNTER_BITS: u32 = 16;

/// A moment in the hybrid clock: 48 bits of milliseconds since the Unix epoch above 16 bits of counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The first moment of a millisecond.
    pub fn at(time: Timestamp) -> Self {
        Self(time.0.min(u64::MAX >> COUNTER_BITS) << COUNTER_BITS)
    }

    /// The next moment: the machine's time, or one step after `last` if the machine's clock stands still or ran backwards.
    #[must_use]
    pub fn next(last: Self, now: Timestamp) -> Self {
        Self::at(now).max(Self(last.0.saturating_add(1)))
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
}
