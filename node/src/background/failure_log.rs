//! Few lines in the log about a task that fails again and again.

use freehold_core::clock::Timestamp;
use freehold_core::node::Node;
use freehold_core::store::StoreError;

/// A task that keeps failing is logged once in this time, in milliseconds.
const REMIND_EVERY_MILLIS: u64 = 24 * 3600 * 1000;

/// Limits the log lines of a task that is retried: one when it begins to fail, one a day while it
/// fails, and one when it works again.
#[derive(Debug, Default)]
pub(super) struct FailureLog {
    /// The time of the last line about the failure.
    logged_at: Option<Timestamp>,
}

impl FailureLog {
    /// Logs the result of one run, if a line is due, and returns its value.
    pub(super) fn record<T>(
        &mut self,
        node: &Node,
        task: &str,
        result: Result<T, StoreError>,
    ) -> Option<T> {
        let is_due = self.is_due(node.clock.now(), result.is_ok());
        match result {
            Ok(value) => {
                if is_due {
                    tracing::info!(task, "a background task works again");
                }
                Some(value)
            }
            Err(error) => {
                if is_due {
                    tracing::error!(%error, task, "a background task failed; it is retried");
                }
                None
            }
        }
    }

    fn is_due(&mut self, now: Timestamp, works: bool) -> bool {
        // A clock that was set back must not suppress the line.
        let is_recent = self
            .logged_at
            .is_some_and(|at| at <= now && now.millis_since(at) < REMIND_EVERY_MILLIS);
        let is_due = if works { self.logged_at.is_some() } else { !is_recent };
        match (works, is_due) {
            (true, _) => self.logged_at = None,
            (false, true) => self.logged_at = Some(now),
            (false, false) => {}
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * 1000;

    #[test]
    fn failure_is_logged_daily_and_recovery_once() {
        let mut failures = FailureLog::default();
        let mut is_due = |hour: u64, works: bool| failures.is_due(Timestamp(hour * HOUR), works);
        assert!(!is_due(0, true), "a success without a failure is not logged");
        assert!(is_due(1, false));
        assert!((2..25).all(|hour| !is_due(hour, false)));
        assert!(is_due(25, false), "a day later the task still fails");
        assert!(!is_due(26, false));
        assert!(is_due(27, true));
        assert!(!is_due(28, true));
        assert!(is_due(28, false), "the task fails again");
    }

    #[test]
    fn clock_set_back_does_not_suppress_failure() {
        let mut failures = FailureLog::default();
        assert!(failures.is_due(Timestamp(1000 * HOUR), false));
        assert!(failures.is_due(Timestamp(HOUR), false));
        assert!(!failures.is_due(Timestamp(2 * HOUR), false));
    }
}
