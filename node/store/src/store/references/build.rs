//! Completing the reverse index of a data folder of an earlier version, row by row, while changes
//! keep up the references of the rows that they write. `blobs_state` holds how far it is.

use super::super::{BlobId, Store, StoreError, Table, Tx};
use super::{add_row, is_index};
use crate::hints::Hint;
use crate::store::packs::Pause;
use crate::store::sealed_rows::SealedRows;

/// Under `references`: the last row that was read, as table ‖ 0 ‖ key, or empty when the index is
/// complete. Under `files`: the files of earlier versions were moved.
pub(in crate::store) const STATE: Table = Table::new("blobs_state");
/// The key of the progress of the index.
pub(in crate::store) const REFERENCES: &[u8] = b"references";
const FILES: &[u8] = b"files";

/// The number of rows read at a time.
const PAGE_ROWS: usize = 500;

/// True if every reference of every row is in the index.
pub(in crate::store) fn is_complete(rows: &SealedRows) -> Result<bool, StoreError> {
    Ok(rows.get(STATE, REFERENCES)?.is_some_and(|row| row.value.is_empty()))
}

/// True if no file of an earlier version remains.
pub(in crate::store) fn are_files_moved(store: &Store<impl Hint>) -> Result<bool, StoreError> {
    Ok(store.get(STATE, FILES)?.is_some())
}

/// Records that no file of an earlier version remains.
pub(in crate::store) fn set_files_moved(store: &Store<impl Hint>) -> Result<(), StoreError> {
    if are_files_moved(store)? {
        return Ok(());
    }
    store.commit_blocking(|tx| tx.put(STATE, FILES, b""))
}

/// Completes the index, from where the last call ended. False if `pause` ended it.
pub(in crate::store) fn complete<H: Hint>(
    store: &Store<H>,
    pause: &Pause<'_>,
) -> Result<bool, StoreError> {
    let mut after = match store.get(STATE, REFERENCES)? {
        Some(row) if row.value.is_empty() => return Ok(true),
        Some(row) => split(&row.value),
        None => None,
    };
    loop {
        let page = store
            .walk(after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice())), PAGE_ROWS)?;
        let is_last = page.len() < PAGE_ROWS;
        after = page.last().map(|row| (row.table.clone(), row.key.clone()));
        let last = after.as_ref().filter(|_| !is_last);
        let cursor = last.map_or_else(Vec::new, |(table, key)| join(table, key));
        let mut referring = Vec::new();
        for walked in page.into_iter().filter(|walked| !is_index(&walked.table)) {
            // The references of a damaged row are unknown: the index cannot be completed.
            if !walked.row?.blobs.is_empty() {
                referring.push((walked.table, walked.key));
            }
        }
        // A page without references is passed without a change.
        if is_last || !referring.is_empty() {
            store.commit_blocking(move |tx: &mut Tx<'_, H>| {
                for (table, key) in &referring {
                    // The row may have been changed since it was read.
                    if let Some(row) = tx.get_named(table, key)? {
                        add_row(tx, table, key, &row)?;
                    }
                }
                tx.put(STATE, REFERENCES, &cursor)
            })?;
        }
        if is_last {
            return Ok(true);
        }
        if !pause() {
            return Ok(false);
        }
    }
}

/// Every blob that a row refers to: for as long as the index is not complete.
///
/// # Errors
/// As [`Store::walk`]; also if a row is damaged, because its references are unknown.
pub(in crate::store) fn all_referenced(
    rows: &SealedRows,
    mut check: impl FnMut() -> Result<(), StoreError>,
) -> Result<std::collections::HashSet<BlobId>, StoreError> {
    let mut blobs = std::collections::HashSet::new();
    let mut after: Option<(String, Vec<u8>)> = None;
    loop {
        check()?;
        let page = rows
            .walk(after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice())), PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(blobs) };
        after = Some((last.table.clone(), last.key.clone()));
        for row in page {
            blobs.extend(row.row?.blobs);
        }
    }
}

fn join(table: &str, key: &[u8]) -> Vec<u8> {
    [table.as_bytes(), &[0], key].concat()
}

fn split(cursor: &[u8]) -> Option<(String, Vec<u8>)> {
    let zero = cursor.iter().position(|byte| *byte == 0)?;
    let (table, key) = cursor.split_at_checked(zero)?;
    Some((String::from_utf8(table.to_vec()).ok()?, key.get(1..)?.to_vec()))
}
