//! A bucket of tokens: so many at once, then so many per second.

use freehold_core::clock::Timestamp;

/// A bucket that refills by the clock.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    burst_milli: u64,
    milli_per_milli: u64,
    milli: u64,
    filled: Timestamp,
}

impl Bucket {
    /// A full bucket: `burst` at once, `per_second` after that.
    pub(crate) fn per_second(per_second: u32, burst: u32, now: Timestamp) -> Self {
        let burst_milli = u64::from(burst) * 1000;
        Self {
            burst_milli,
            milli_per_milli: u64::from(per_second),
            milli: burst_milli,
            filled: now,
        }
    }

    /// Takes `count` tokens if they are there.
    pub(crate) fn take(&mut self, count: usize, now: Timestamp) -> bool {
        let gained = now.millis_since(self.filled).saturating_mul(self.milli_per_milli);
        self.milli = self.milli.saturating_add(gained).min(self.burst_milli);
        self.filled = self.filled.max(now);
        let cost = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(1000);
        let enough = self.milli >= cost;
        if enough {
            self.milli -= cost;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate_holds() {
        let mut bucket = Bucket::per_second(20, 200, Timestamp(0));
        assert!(bucket.take(200, Timestamp(0)));
        assert!(!bucket.take(1, Timestamp(10)));
        assert!(bucket.take(1, Timestamp(50)));
        assert!(!bucket.take(1, Timestamp(50)));
        assert!(bucket.take(20, Timestamp(1050)));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::per_second(1, 1, Timestamp(10_000));
        assert!(bucket.take(1, Timestamp(10_000)));
        assert!(!bucket.take(1, Timestamp(5_000)));
        assert!(!bucket.take(1, Timestamp(10_500)));
    }
}
