//! Removing blobs that no row refers to.
//!
//! The reverse index (references.rs) says whether a row refers to a blob, so the cost of a removal
//! does not depend on the number of rows. While the index of a data folder of an earlier version is
//! not complete, all rows are read instead.

use std::collections::HashSet;

use super::references::{self, LOOSE, REFERENCES, build};
use super::{BlobId, Scan, Store, StoreError, Table, Tx};
use crate::blobs::{BlobFiles, Blobs, Collected};
use crate::hints::Hint;

/// The row of the last removal; see [`Store::unlink`].
const SWEPT: Table = Table::new("blobs_swept");
/// The number of blobs removed by one change.
const UNLINK_MAX: usize = 300;
/// The number of references read at a time.
const PAGE_ROWS: usize = 1000;
/// Only packs without a live byte are removed together with their last blob.
const WHOLLY_DEAD: u64 = 100;

/// The blobs that a change removes.
#[derive(Default)]
struct Unlinked {
    removed: Vec<BlobId>,
    packed: u64,
    pinned: HashSet<BlobId>,
}

impl Blobs {
    /// Removes the blobs that no row refers to: those that lost their last reference, files that
    /// were never referred to, and packs that no row describes. Blocks.
    ///
    /// # Errors
    /// The store's, also for a damaged row while the reverse index is not complete (then nothing is
    /// removed), or the disk's.
    pub fn collect(&self, store: &Store<impl Hint>) -> Result<Collected, StoreError> {
        match build::complete(store, &|| true) {
            // Without space for the index all rows are read instead.
            Err(StoreError::Full) | Ok(_) => {}
            Err(error) => return Err(error),
        }
        let (mut all, mut after) = (Collected::default(), None::<Vec<u8>>);
        loop {
            let scan = Scan::prefix(&[], UNLINK_MAX);
            let scan = after.iter().fold(scan, |scan, key| scan.after(key));
            let loose = store.keys(LOOSE, &scan)?;
            let Some(last) = loose.last() else { break };
            after = Some(last.clone());
            let ids: Vec<BlobId> =
                loose.iter().filter_map(|key| references::blob_of(key)).collect();
            all.add(self.unlink_now(store, &ids)?);
        }
        self.remove_orphan_packs(store)?;
        let collection = self.collection();
        // When this is acknowledged, no group with an unknown outcome can refer to a file.
        unlink(self, store, &[], None)?;
        let files = self.unneeded_files(store)?;
        all.files += collection.sweep(files)?;
        Ok(all)
    }

    /// Removes the blobs of `ids` that no row refers to any more: for a deletion that is
    /// acknowledged when they cannot be read again. The bytes of a small blob stay in its pack
    /// until [`Blobs::rewrite_packs`]. Blocks.
    ///
    /// # Errors
    /// As [`Blobs::collect`]; some blobs may be removed.
    pub fn unlink_now(
        &self,
        store: &Store<impl Hint>,
        ids: &[BlobId],
    ) -> Result<Collected, StoreError> {
        let rows = &store.0.shared.rows;
        let live = match build::is_complete(rows)? {
            true => None,
            false => Some(build::all_referenced(rows, || Ok(()))?),
        };
        let mut all = Collected::default();
        for ids in ids.chunks(UNLINK_MAX) {
            all.add(unlink(self, store, ids, live.as_ref())?);
        }
        if all.packed > 0 {
            self.rewrite_packs(store, WHOLLY_DEAD)?;
        }
        Ok(all)
    }

    /// The files of blobs that no row needs, begun with all files.
    pub(super) fn unneeded_files(&self, store: &Store<impl Hint>) -> Result<BlobFiles, StoreError> {
        let mut files = self.all_files()?;
        let rows = &store.0.shared.rows;
        if !build::is_complete(rows)? {
            let referenced = build::all_referenced(rows, || Ok(()))?;
            for id in &referenced {
                files.keep(self, id);
            }
            return Ok(files);
        }
        for table in [REFERENCES, LOOSE] {
            let (mut after, mut last_id) = (None::<Vec<u8>>, None);
            // Without a file no reference need be read.
            while !files.is_empty() {
                let scan = Scan::prefix(&[], PAGE_ROWS);
                let scan = after.iter().fold(scan, |scan, key| scan.after(key));
                let page = store.scan(table, &scan)?;
                for (key, row) in &page {
                    let id = references::blob_of(key);
                    // A blob with a place is in a pack. Only its first reference says so.
                    if id != last_id
                        && row.value.is_empty()
                        && let Some(id) = &id
                    {
                        files.keep(self, id);
                    }
                    last_id = id;
                }
                match page.last() {
                    Some((last, _)) => after = Some(last.clone()),
                    None => break,
                }
            }
        }
        Ok(files)
    }
}

/// Removes the blobs of `ids` that no row, and none of `live`, refers to, durably. When this is
/// acknowledged, every earlier group that failed with an unknown outcome is void, so no row of it
/// can refer to a removed blob after the next start.
fn unlink<H: Hint>(
    blobs: &Blobs,
    store: &Store<H>,
    ids: &[BlobId],
    live: Option<&HashSet<BlobId>>,
) -> Result<Collected, StoreError> {
    let unneeded = ids.iter().filter(|id| live.is_none_or(|live| !live.contains(*id)));
    let ids: Vec<BlobId> = unneeded.copied().collect();
    let (changed, of_change) = (blobs.clone(), ids.clone());
    let result = store.commit_blocking(move |tx| forget(tx, &changed, &of_change));
    let removed = result.as_ref().map_or(&[][..], |unlinked| unlinked.removed.as_slice());
    let small = blobs.undoom(&ids, removed);
    let Unlinked { removed, packed, mut pinned } = result?;
    let mut files = 0;
    for id in &removed {
        match blobs.remove_files(id)? {
            Some(removed) => files += removed,
            None => _ = pinned.insert(*id),
        }
    }
    Ok(Collected { files, small, packed, pinned })
}

fn forget<H: Hint>(
    tx: &mut Tx<'_, H>,
    blobs: &Blobs,
    ids: &[BlobId],
) -> Result<Unlinked, StoreError> {
    // Must be admitted on a full disk, because a removal frees space there.
    tx.mark_internal();
    let position = tx.position().to_be_bytes();
    tx.put(SWEPT, b"last", &position)?;
    let mut unlinked = Unlinked::default();
    for id in ids {
        if references::is_needed(tx, id)? {
            continue;
        }
        if !blobs.doom(id) {
            unlinked.pinned.insert(*id);
            continue;
        }
        unlinked.packed += u64::from(references::forget(tx, id)?.is_some());
        unlinked.removed.push(*id);
    }
    Ok(unlinked)
}
