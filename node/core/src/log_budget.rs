//! A bound on the log lines that strangers can cause: so many in a minute, then a count of those
//! left out.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;

/// The most lines in one period.
const LINES_MAX: u32 = 60;
/// The length of a period, in milliseconds.
const PERIOD_MS: u64 = 60 * 1000;

/// The budget of one kind of lines. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub struct LogBudget(Arc<Mutex<Period>>);

#[derive(Default)]
struct Period {
    began: Option<Timestamp>,
    written: u32,
    left_out: u64,
}

impl LogBudget {
    /// Takes one line. Returns how many lines were left out since the last one, or `None` if this
    /// one is to be left out too.
    pub fn take(&self, now: Timestamp) -> Option<u64> {
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back begins a new period.
        let is_over =
            period.began.is_none_or(|began| now < began || now.millis_since(began) >= PERIOD_MS);
        if is_over {
            *period = Period { began: Some(now), written: 0, left_out: period.left_out };
        }
        if period.written >= LINES_MAX {
            period.left_out += 1;
            return None;
        }
        period.written += 1;
        Some(std::mem::take(&mut period.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_minute_are_bounded_and_counted() {
        let budget = LogBudget::default();
        let taken = |at: u64| budget.take(Timestamp(at));
        for line in 0..LINES_MAX {
            assert_eq!(taken(1000 + u64::from(line)), Some(0), "{line}");
        }
        assert_eq!([taken(1100), taken(PERIOD_MS), taken(999 + PERIOD_MS)], [None; 3]);
        assert_eq!(taken(1000 + PERIOD_MS), Some(3));
        assert_eq!(taken(1001 + PERIOD_MS), Some(0));
        assert_eq!(taken(5), Some(0), "the clock was set back");
    }
}
