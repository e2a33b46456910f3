//! Collection of blobs by the rows that refer to them.

use std::collections::HashSet;

use super::{BlobId, Store, StoreError, Table};
use crate::blobs::{Blobs, Collected};
use crate::hints::Hint;

/// The last collection's row, written so that a failed group whose fate is open is settled before
/// files go.
const SWEPT: Table = Table::new("blobs_swept");
const PAGE_ROWS: usize = 500;

/// Every blob that a row refers to.
///
/// # Errors
/// As [`Store::walk`]; also when a row is damaged, for nobody knows what it refers to.
fn referred(store: &Store<impl Hint>) -> Result<HashSet<BlobId>, StoreError> {
    let mut referred = HashSet::new();
    let mut after: Option<(String, Vec<u8>)> = None;
    loop {
        let page = store
            .walk(after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice())), PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(referred) };
        after = Some((last.table.clone(), last.key.clone()));
        for found in page {
            referred.extend(found.row?.blobs);
        }
    }
}

impl Blobs {
    /// Removes what no row refers to. Blocks, for all rows are read.
    ///
    /// # Errors
    /// The store's, a damaged row included (then nothing is removed), or the disk's.
    pub fn collect(&self, store: &Store<impl Hint>) -> Result<Collected, StoreError> {
        let collection = self.collection();
        settle(store)?;
        collection.sweep(&referred(store)?)
    }

    /// Removes those of `gone` to which no row refers any more, durably: for a deletion that is
    /// acknowledged only once it is real. Blocks, for all rows are read.
    ///
    /// # Errors
    /// As [`Blobs::collect`]; part may have been removed.
    pub fn unlink_now(
        &self,
        store: &Store<impl Hint>,
        gone: &[BlobId],
    ) -> Result<Collected, StoreError> {
        let collection = self.collection();
        settle(store)?;
        collection.unlink(gone, &referred(store)?)
    }
}

/// Once this change is acknowledged, a group that failed before it is void for ever: no row of it
/// can come back.
fn settle(store: &Store<impl Hint>) -> Result<(), StoreError> {
    store.commit_blocking(|tx| {
        // Without it no file would ever go, and on a full disk it is files that must.
        tx.frees_space_later();
        let position = tx.position().to_be_bytes();
        tx.put(SWEPT, b"last", &position)
    })
}
