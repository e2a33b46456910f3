//! Retry times, and when to give up (RFC 5321 4.5.4.1).

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::Outcome;

use crate::MailConfig;

/// The longest pause, in milliseconds.
pub(super) const PAUSE_MS_MAX: u64 = 60 * 60 * 1000;
/// The attempts made before a message fails, however much time has passed by the clock: it may have
/// been set ahead, or the machine was switched off.
const ATTEMPTS_MIN: u32 = 8;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// The outcome of a deferred attempt after `attempts` earlier ones: another attempt `at` this time,
/// or failure.
pub(super) fn outcome(
    config: &MailConfig,
    created: Timestamp,
    attempts: u32,
    at: Timestamp,
    reply: String,
) -> Outcome {
    let hours = config.retry_hours_max;
    if attempts >= ATTEMPTS_MIN && at > created.plus_millis(hours.saturating_mul(HOUR_MS)) {
        return Outcome::Failed(format!("{reply} (tried for {hours} hours)"));
    }
    Outcome::Later { at, reply }
}

/// The pause after `attempts` earlier attempts: 1, 5, 10, 20, 40 … times the first one. A server
/// that restarts is reached again soon, and one that is down is tried rarely.
pub(super) fn pause_ms(first_ms: u64, attempts: u32) -> u64 {
    let times = match attempts.checked_sub(1) {
        None => 1,
        Some(doublings) => 5u64.saturating_mul(1 << doublings.min(32)),
    };
    first_ms.max(1).saturating_mul(times).min(PAUSE_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_pause_grows_to_an_hour() {
        let pauses: Vec<u64> = (0..14).map(|attempts| pause_ms(1000, attempts) / 1000).collect();
        assert_eq!(pauses, [1, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
        assert_eq!(pause_ms(1000, u32::MAX), PAUSE_MS_MAX);
    }

    #[test]
    fn message_fails_after_two_days() {
        let config = MailConfig::default();
        let created = Timestamp(0);
        let last = Timestamp(48 * HOUR_MS);
        assert_eq!(
            outcome(&config, created, 50, last, "451 later".into()),
            Outcome::Later { at: last, reply: "451 later".into() }
        );
        let over = Timestamp(48 * HOUR_MS + 1);
        assert_eq!(
            outcome(&config, created, 50, over, "451 later".into()),
            Outcome::Failed("451 later (tried for 48 hours)".into())
        );
        // Queued while the clock was days behind.
        for attempts in 0..ATTEMPTS_MIN {
            let outcome = outcome(&config, created, attempts, over, "451 later".into());
            assert!(matches!(outcome, Outcome::Later { .. }), "{attempts}");
        }
    }
}
