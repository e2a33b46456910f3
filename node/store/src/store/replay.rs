//! Applying the write-ahead log again to an engine, from a mark to its end.

use std::collections::HashMap;

use super::options::{OpenError, Stage, StoreOptions};
use super::sealed_rows::SealedRows;
use super::{BlobId, StoreError};
use crate::blobs::AtRest;
use crate::hints::Hint;
use crate::wal::Mark;
use crate::wal::group::Change;
use crate::wal::recover::{End, Group, Reader};

/// A replay flushes the small blobs to files when it holds more bytes of them than this.
const UNFLUSHED_LEN_MAX: usize = 8 * 1024 * 1024;

/// A replay of the log.
pub(super) struct Replay<'a, H> {
    rows: SealedRows,
    /// The small blobs of groups up to this position have files already.
    flushed: u64,
    options: &'a StoreOptions<H>,
    flushed_early: bool,
    encodings: LastEncodings,
    /// The first and the last position, for the progress.
    range: (u64, u64),
}

/// The rows after a replay of the log without its unconfirmed last group.
pub(super) struct Replayed {
    pub(super) rows: SealedRows,
    pub(super) end: End,
    /// Small blobs were flushed to files before the replay ended; the remaining rows may not refer
    /// to all of them.
    pub(super) flushed_early: bool,
    /// The encodings of the replayed small blobs.
    pub(super) encodings: LastEncodings,
}

/// The encoding at rest in which the log holds each small blob last, and true if it holds the blob
/// in the other encoding before: a file flushed early in that one must be removed.
#[derive(Default)]
pub(super) struct LastEncodings(HashMap<BlobId, (AtRest, bool)>);

impl LastEncodings {
    pub(super) fn record(&mut self, changes: &[Change]) {
        for blob in changes.iter().flat_map(|change| &change.blobs) {
            let (last, is_changed) = self.0.entry(blob.id).or_insert((blob.at_rest, false));
            *is_changed |= *last != blob.at_rest;
            *last = blob.at_rest;
        }
    }

    /// The blobs that the log holds in both encodings, with the last one.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&BlobId, AtRest)> {
        self.0.iter().filter(|(_, (_, is_changed))| *is_changed).map(|(id, (last, _))| (id, *last))
    }
}

impl<'a, H: Hint> Replay<'a, H> {
    pub(super) fn new(rows: SealedRows, flushed: u64, options: &'a StoreOptions<H>) -> Self {
        let (flushed_early, encodings) = (false, LastEncodings::default());
        Self { rows, flushed, options, flushed_early, encodings, range: (0, 0) }
    }

    /// Applies the groups after `from`.
    pub(super) fn run(
        mut self,
        reader: &Reader,
        from: Option<&Mark>,
    ) -> Result<Replayed, OpenError> {
        self.range = (from.map_or(0, |from| from.position), reader.last_position()?);
        let end = reader.read(from, &mut |group| Ok(self.apply(&group)?))?;
        let Self { rows, flushed_early, encodings, .. } = self;
        Ok(Replayed { rows, end, flushed_early, encodings })
    }

    fn apply(&mut self, group: &Group) -> Result<(), StoreError> {
        self.options.stop.check()?;
        if group.last() > self.flushed {
            self.rows.apply(&group.changes)?;
            self.encodings.record(&group.changes);
            let may_write = self.options.read_only.is_none();
            if may_write && self.rows.has_unflushed_over(UNFLUSHED_LEN_MAX) {
                self.rows.flush_blobs()?;
                self.flushed_early = true;
            }
        } else {
            self.rows.apply_rows(&group.changes)?;
        }
        let (from, to) = self.range;
        self.options.report(Stage::Applying, group.last() - from, to.saturating_sub(from));
        Ok(())
    }
}
