//! A token bucket: a burst at once, then a steady rate per second.

use freehold_core::clock::Timestamp;

/// A token bucket that refills by the clock.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    burst_millitokens: u64,
    tokens_per_second: u64,
    millitokens: u64,
    refilled_at: Timestamp,
}

impl TokenBucket {
    /// A full bucket: `burst` tokens at once, `per_second` after that.
    pub(crate) fn per_second(per_second: u32, burst: u32, now: Timestamp) -> Self {
        let burst_millitokens = u64::from(burst) * 1000;
        Self {
            burst_millitokens,
            tokens_per_second: u64::from(per_second),
            millitokens: burst_millitokens,
            refilled_at: now,
        }
    }

    /// Takes `count` tokens and returns true, or takes none and returns false.
    pub(crate) fn take(&mut self, count: usize, now: Timestamp) -> bool {
        // One token per second is one millitoken per millisecond.
        let gained = now.millis_since(self.refilled_at).saturating_mul(self.tokens_per_second);
        self.millitokens = self.millitokens.saturating_add(gained).min(self.burst_millitokens);
        self.refilled_at = self.refilled_at.max(now);
        let cost = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(1000);
        let is_enough = self.millitokens >= cost;
        if is_enough {
            self.millitokens -= cost;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_bucket_allows_a_burst_then_the_rate() {
        let mut bucket = TokenBucket::per_second(20, 200, Timestamp(0));
        assert!(bucket.take(200, Timestamp(0)));
        assert!(!bucket.take(1, Timestamp(10)));
        assert!(bucket.take(1, Timestamp(50)));
        assert!(!bucket.take(1, Timestamp(50)));
        assert!(bucket.take(20, Timestamp(1050)));
    }

    #[test]
    fn clock_that_goes_back_refills_no_tokens() {
        let mut bucket = TokenBucket::per_second(1, 1, Timestamp(10_000));
        assert!(bucket.take(1, Timestamp(10_000)));
        assert!(!bucket.take(1, Timestamp(5_000)));
        assert!(!bucket.take(1, Timestamp(10_500)));
    }
}
