//! How long an accept loop pauses when `accept` fails, as it does while the process has no free
//! file descriptor (EMFILE, ENFILE).

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The pauses of one accept loop: each failure in a row doubles the next.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection was accepted: the next failure begins anew.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure, and whether this failure is the first in a row (only that
    /// one is logged as a warning).
    pub(crate) fn failed(&mut self) -> (Duration, bool) {
        let is_first = self.failures == 0;
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        (pause, is_first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_pause_doubles_up_to_one_second() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..7).map(|_| backoff.failed().0.as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
        backoff.succeeded();
        assert_eq!(backoff.failed(), (FIRST, true));
        assert_eq!(backoff.failed(), (FIRST * 2, false));
    }
}
