//! Garbage collection of blobs by the rows that refer to them.

use std::collections::HashSet;

use super::{BlobId, Store, StoreError, Table};
use crate::blobs::{Blobs, Collected};
use crate::hints::Hint;

/// The row of the last collection; see [`void_failed_groups`].
const SWEPT: Table = Table::new("blobs_swept");
/// The number of rows read at a time.
const PAGE_ROWS: usize = 500;

/// Every blob that a row refers to.
///
/// # Errors
/// As [`Store::walk`]; also if a row is damaged, because its references are unknown.
fn referenced(store: &Store<impl Hint>) -> Result<HashSet<BlobId>, StoreError> {
    let mut blobs = HashSet::new();
    let mut after: Option<(String, Vec<u8>)> = None;
    loop {
        let page = store
            .walk(after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice())), PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(blobs) };
        after = Some((last.table.clone(), last.key.clone()));
        for row in page {
            blobs.extend(row.row?.blobs);
        }
    }
}

impl Blobs {
    /// Removes the blobs that no row refers to. Blocks, because it reads all rows.
    ///
    /// # Errors
    /// The store's, also for a damaged row (then nothing is removed), or the disk's.
    pub fn collect(&self, store: &Store<impl Hint>) -> Result<Collected, StoreError> {
        let collection = self.collection();
        void_failed_groups(store)?;
        collection.sweep(&referenced(store)?)
    }

    /// Removes the blobs of `ids` that no row refers to any more, durably: for a deletion that is
    /// acknowledged when its bytes are gone. Blocks, because it reads all rows.
    ///
    /// # Errors
    /// As [`Blobs::collect`]; some blobs may be removed.
    pub fn unlink_now(
        &self,
        store: &Store<impl Hint>,
        ids: &[BlobId],
    ) -> Result<Collected, StoreError> {
        let collection = self.collection();
        void_failed_groups(store)?;
        collection.unlink(ids, &referenced(store)?)
    }
}

/// Commits a change. When it is acknowledged, every earlier group that failed with an unknown
/// outcome is void, so no row of it can refer to a removed file after the next start.
fn void_failed_groups(store: &Store<impl Hint>) -> Result<(), StoreError> {
    store.commit_blocking(|tx| {
        // Must be admitted on a full disk, because removing files frees space there.
        tx.frees_space_later();
        let position = tx.position().to_be_bytes();
        tx.put(SWEPT, b"last", &position)
    })
}
