//! Reads every row and every blob, and reports damage, missing blobs and orphan files. It changes
//! nothing.
//!
//! The node may be running: a suspicious finding is checked again before it is reported.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::blobs::Blobs;
use crate::row;
use crate::store::{BlobId, Store, StoreError, WalkedRow};

mod node;

pub use node::{Findings, check_node};

const PAGE_ROWS: usize = 500;

/// A row's table and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: Vec<u8>,
}

/// The result of [`check`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows read.
    pub rows: u64,
    /// Blobs read, of those that rows refer to.
    pub blobs: u64,
    /// The sum of their lengths, in bytes.
    pub blob_bytes: u64,
    /// Rows whose seal failed.
    pub damaged_rows: Vec<RowKey>,
    /// Blobs whose seal or hash failed or that can't be read, each with the first row that refers
    /// to it.
    pub damaged_blobs: Vec<(BlobId, RowKey)>,
    /// Missing blobs, each with the first row that refers to it.
    pub dangling: Vec<(BlobId, RowKey)>,
    /// Files that no row needs; the next collection removes blobs and packs. Not searched
    /// for when a row is damaged, because the blobs of that row are unknown.
    pub orphans: Vec<PathBuf>,
}

impl Report {
    /// Whether nothing is damaged or missing. Orphans only take space.
    pub fn is_sound(&self) -> bool {
        self.damaged_rows.is_empty() && self.damaged_blobs.is_empty() && self.dangling.is_empty()
    }
}

/// The step of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The rows; their total is unknown.
    Rows,
    /// The blobs.
    Blobs,
    /// The rows again, compared with snapshot and log.
    Log,
    /// The index of blobs and the packs.
    Packs,
    /// The mailbox and the queue.
    Mail,
    /// Signed entries and the outbox.
    Feed,
}

/// Called with the progress of a check: the step, how many rows or blobs are done, and their total
/// (0 if unknown). An error stops the check; from then on every call must return it.
pub type Progress<'a> = dyn Fn(Step, u64, u64) -> Result<(), StoreError> + 'a;

/// Reads every row and every blob. Blocks, possibly for long.
///
/// # Errors
/// When the store can't be read at all, and errors of `progress`.
pub fn check(store: &Store, blobs: &Blobs, progress: &Progress<'_>) -> Result<Report, StoreError> {
    let mut report = Report::default();
    progress(Step::Rows, 0, 0)?;
    let mut total = 0;
    walk(store, &mut |found| {
        progress(Step::Rows, report.rows, 0)?;
        report.rows += 1;
        match found.row {
            Ok(row) => total += row.blobs.len() as u64,
            Err(StoreError::Corrupt { .. }) => report
                .damaged_rows
                .push(RowKey { table: found.table.clone(), key: found.key.clone() }),
            Err(error) => return Err(error),
        }
        Ok(())
    })?;
    let (mut checked, mut done) = (HashSet::new(), 0);
    walk(store, &mut |found| {
        let Ok(row) = found.row else { return Ok(()) };
        let key = RowKey { table: found.table, key: found.key };
        for id in row.blobs {
            progress(Step::Blobs, done, total)?;
            done += 1;
            if checked.insert(short(&id)) {
                check_blob(store, blobs, id, &key, &mut report)?;
            }
        }
        Ok(())
    })?;
    progress(Step::Blobs, total, total)?;
    report.damaged_blobs.sort();
    report.dangling.sort();
    if report.damaged_rows.is_empty() {
        report.orphans = blobs.orphan_paths(store)?;
    }
    Ok(report)
}

/// Half of a blob's id: enough to know it again. A node has as many blobs as messages, and all that
/// were checked are remembered.
fn short(id: &BlobId) -> [u8; 16] {
    row::key_part(&id.0, 0)
}

/// Calls `visit` with every row.
fn walk(
    store: &Store,
    visit: &mut dyn FnMut(WalkedRow) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after: Option<RowKey> = None;
    loop {
        let page = store
            .walk(after.as_ref().map(|row| (row.table.as_str(), row.key.as_slice())), PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(RowKey { table: last.table.clone(), key: last.key.clone() });
        page.into_iter().try_for_each(&mut *visit)?;
    }
}

fn check_blob(
    store: &Store,
    blobs: &Blobs,
    id: BlobId,
    row: &RowKey,
    report: &mut Report,
) -> Result<(), StoreError> {
    let verify = || blobs.open(&id).and_then(|reader| reader.verify().map(|()| reader.len()));
    let verified = match verify() {
        // The blob may have been removed or moved while it was read.
        Err(error) if error != StoreError::NoBlob => verify(),
        verified => verified,
    };
    match verified {
        Ok(len) => {
            report.blobs += 1;
            report.blob_bytes += len;
        }
        Err(StoreError::NoBlob) => {
            // The row may have been deleted meanwhile, and the blob with it.
            if refers(store, row, &id)? && !blobs.contains(&id)? {
                report.dangling.push((id, row.clone()));
            }
        }
        Err(_) => report.damaged_blobs.push((id, row.clone())),
    }
    Ok(())
}

fn refers(store: &Store, row: &RowKey, id: &BlobId) -> Result<bool, StoreError> {
    match store.get_named(&row.table, &row.key) {
        Ok(row) => Ok(row.is_some_and(|row| row.blobs.contains(id))),
        Err(StoreError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
