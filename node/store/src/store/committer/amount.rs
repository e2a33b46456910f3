//! How much of the log a start would replay: the reason for a checkpoint before a segment is full.
//!
//! The rows of a replay cost the engine up to 20 microseconds each, so a start after a crash takes
//! as long as the log since the checkpoint is. And the small blobs of the log stay in memory until
//! a checkpoint has written them to packs.

use crate::wal::group::Change;

/// A checkpoint is requested after so many rows: a replay of them takes some 0.15 s.
const ROWS_MAX: usize = 8192;
/// A checkpoint is requested after so much of the log; bytes.
const LEN_MAX: usize = 4 * 1024 * 1024;

/// A part of the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Amount {
    rows: usize,
    len: usize,
}

impl Amount {
    /// Adds a group of this length in bytes.
    pub(super) fn add(&mut self, len: usize, changes: &[Change]) {
        self.len = self.len.saturating_add(len);
        let rows = changes.iter().map(|change| change.rows.len()).sum();
        self.rows = self.rows.saturating_add(rows);
    }

    /// True if a start after a crash would take noticeably longer.
    pub(super) fn is_checkpoint_due(self) -> bool {
        self.rows >= ROWS_MAX || self.len >= LEN_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::group::RowWrite;

    #[test]
    fn checkpoint_is_due_after_rows_or_bytes() {
        let row = RowWrite { table: "t".into(), key: vec![1], value: None };
        let group = [Change { rows: vec![row; ROWS_MAX / 2], blobs: Vec::new() }];
        let mut amount = Amount::default();
        amount.add(100, &group);
        assert!(!amount.is_checkpoint_due());
        amount.add(100, &group);
        assert!(amount.is_checkpoint_due());
        let mut amount = Amount::default();
        amount.add(LEN_MAX - 1, &[]);
        assert!(!amount.is_checkpoint_due());
        amount.add(1, &[]);
        assert!(amount.is_checkpoint_due());
    }
}
