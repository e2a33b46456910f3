//! The least rate at which a client must send a message: one byte now and then is no progress.
//!
//! Without this rule a client that sends a byte before each timeout keeps its connection, and the
//! slot of another client, for hours.

use std::time::Duration;

/// Bytes of a message that count as progress. A connection whose message makes none for
/// [`freehold_listen::STALL_MS_MAX`] may lose its slot: 137 bytes a second suffice, a sixtieth of
/// what a line of 64 kbit/s carries.
const PROGRESS_LEN: usize = 4 * 1024;

/// Measures the time that the server waits for the client, and not the time that the server itself
/// needs.
#[derive(Debug)]
pub(super) struct MessageRate {
    /// How long the client may take for [`PROGRESS_LEN`] bytes of a message, or for any byte
    /// between messages (RFC 5321 4.5.3.2.7).
    timeout: Duration,
    left: Duration,
    len: usize,
}

impl MessageRate {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, left: timeout, len: 0 }
    }

    /// How long the next bytes may take.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// Begins a new wait: no message is in progress, or one has just begun.
    pub(super) fn restart(&mut self) {
        (self.left, self.len) = (self.timeout, 0);
    }

    /// Notes bytes of a message that came after a wait; true if they complete some progress.
    pub(super) fn received(&mut self, len: usize, after: Duration) -> bool {
        self.len = self.len.saturating_add(len);
        let is_progress = self.len >= PROGRESS_LEN;
        if is_progress {
            self.restart();
        } else {
            self.left = self.left.saturating_sub(after);
        }
        is_progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trickle_makes_no_progress() {
        let mut rate = MessageRate::new(Duration::from_secs(300));
        for _ in 0..3 {
            assert!(!rate.received(1, Duration::from_secs(99)));
        }
        assert_eq!(rate.left(), Duration::from_secs(3));
        assert!(!rate.received(1, Duration::from_secs(3)));
        assert!(rate.left().is_zero());
        rate.restart();
        assert_eq!(rate.left(), Duration::from_secs(300));
    }

    #[test]
    fn slow_line_is_progress_within_the_stall_timeout() {
        // 25 MB over 64 kbit/s, in packets of 536 bytes.
        let mut rate = MessageRate::new(Duration::from_secs(300));
        let mut since_progress = Duration::ZERO;
        for _ in 0..25_000_000 / 536 {
            let after = Duration::from_millis(67);
            since_progress += after;
            if rate.received(536, after) {
                since_progress = Duration::ZERO;
            }
            assert!(since_progress < Duration::from_millis(freehold_listen::STALL_MS_MAX / 10));
            assert!(rate.left() > Duration::from_secs(299));
        }
    }
}
