//! Applying the write-ahead log again to an engine, from a mark to its end.

use super::options::{OpenError, Stage, StoreOptions};
use super::sealed_rows::SealedRows;
use super::{BlobId, StoreError};
use crate::hints::Hint;
use crate::wal::Mark;
use crate::wal::recover::{End, Group, Reader};

/// A replay writes the small blobs to files when it holds more bytes of them than this: it cannot
/// write their places.
const UNFLUSHED_LEN_MAX: usize = 8 * 1024 * 1024;

/// A replay of the log.
pub(super) struct Replay<'a, H> {
    rows: SealedRows,
    /// The small blobs of groups up to this position are in packs or files already.
    flushed: u64,
    options: &'a StoreOptions<H>,
    /// The blobs that were written to files.
    spilled: Vec<BlobId>,
    /// The first and the last position, for the progress.
    range: (u64, u64),
}

/// The rows after a replay of the log without its unconfirmed last group.
pub(super) struct Replayed {
    pub(super) rows: SealedRows,
    pub(super) end: End,
    /// Small blobs that were written to files before the replay ended; the remaining rows may not
    /// refer to all of them.
    pub(super) spilled: Vec<BlobId>,
}

impl<'a, H: Hint> Replay<'a, H> {
    pub(super) fn new(rows: SealedRows, flushed: u64, options: &'a StoreOptions<H>) -> Self {
        Self { rows, flushed, options, spilled: Vec::new(), range: (0, 0) }
    }

    /// Applies the groups after `from`.
    pub(super) fn run(
        mut self,
        reader: &Reader,
        from: Option<&Mark>,
    ) -> Result<Replayed, OpenError> {
        self.range = (from.map_or(0, |from| from.position), reader.last_position()?);
        let end = reader.read(from, &mut |group| Ok(self.apply(&group)?))?;
        let Self { rows, spilled, .. } = self;
        Ok(Replayed { rows, end, spilled })
    }

    fn apply(&mut self, group: &Group) -> Result<(), StoreError> {
        self.options.stop.check()?;
        if group.last() > self.flushed {
            self.rows.apply(&group.changes)?;
            let may_write = self.options.read_only.is_none();
            if may_write && self.rows.has_unflushed_over(UNFLUSHED_LEN_MAX) {
                self.spilled.extend(self.rows.spill_blobs()?);
            }
        } else {
            self.rows.apply_rows(&group.changes)?;
        }
        let (from, to) = self.range;
        self.options.report(Stage::Applying, group.last() - from, to.saturating_sub(from));
        Ok(())
    }
}
