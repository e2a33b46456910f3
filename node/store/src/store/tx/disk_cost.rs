//! The space that a change takes on the disk. It is an estimate: what the engine uses for a row
//! depends on its neighbours, and older log segments are removed in time.

use super::Tx;
use crate::hints::Hint;

/// Bytes that the seal, the record around it and the engine add to a row.
const ROW_OVERHEAD: u64 = 96;
/// The copies of a row: in the log, in the engine and in two snapshots.
const ROW_COPIES: u64 = 4;
/// The copies of a small blob: in the log and in a pack.
const BLOB_COPIES: u64 = 2;

impl<H: Hint> Tx<'_, H> {
    /// The bytes that the rows and the small blobs of this change take on the disk; 0 if it has
    /// written nothing. A longer blob is not included: its file is written before.
    pub fn disk_cost(&self) -> u64 {
        let rows = self.len as u64 + self.own.len() as u64 * ROW_OVERHEAD;
        let blobs: u64 = self.blobs.iter().map(|blob| blob.bytes.len() as u64).sum();
        rows * ROW_COPIES + blobs * BLOB_COPIES
    }
}
