//! The pauses between attempts at something that keeps failing.

use std::time::{Duration, Instant};

/// The pause after the second failure; doubled by each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// When the next attempt is due. After the first failure it is due at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    pause: Duration,
    due: Option<Instant>,
}

impl Backoff {
    /// True if an attempt may be made at `now`.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// The time from `now` to the next attempt; `None` if nothing has failed.
    pub(crate) fn remaining(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(now))
    }

    /// Records a failed attempt.
    pub(crate) fn failed(&mut self, now: Instant) {
        let first = self.due.is_none();
        self.due = Some(now + self.pause);
        self.pause = match first {
            true => PAUSE_FIRST,
            false => (self.pause * 2).min(PAUSE_MAX),
        };
    }

    /// Records a success, or a reason to try again at once.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        assert!(backoff.is_due(now) && backoff.remaining(now).is_none());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            backoff.failed(now);
            let pause = backoff.remaining(now).unwrap();
            assert_eq!(backoff.is_due(now), pause.is_zero());
            now += pause;
            assert!(backoff.is_due(now));
            pauses.push(u64::try_from(pause.as_millis()).unwrap());
        }
        assert_eq!(pauses[..4], [0, 250, 500, 1000]);
        assert_eq!(pauses[11], 60_000);
        backoff.reset();
        assert!(backoff.is_due(now));
    }
}
