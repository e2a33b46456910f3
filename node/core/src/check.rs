//! Reads every row and every blob, and says what is damaged, missing or left over. It changes
//! nothing.
//!
//! A node may run meanwhile: what is suspicious is looked at a second time before it is reported.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::blobs::Blobs;
use crate::store::{BlobId, Store, StoreError};

mod whole;

pub use whole::{Findings, check_node};

const PAGE_ROWS: usize = 500;

/// Where a row is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: Vec<u8>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows read.
    pub rows: u64,
    /// Blobs read, of those that rows refer to.
    pub blobs: u64,
    /// Their length together, in bytes.
    pub blob_bytes: u64,
    /// Rows whose seal failed.
    pub damaged_rows: Vec<RowKey>,
    /// Blobs whose seal or hash failed, or that can't be read, with the first row that refers to
    /// each.
    pub damaged_blobs: Vec<(BlobId, RowKey)>,
    /// Rows that refer to a blob that isn't there.
    pub dangling: Vec<(BlobId, RowKey)>,
    /// Files to which no row refers; the next collection removes those that are ours. Not looked
    /// for when a row is damaged.
    pub orphans: Vec<PathBuf>,
}

impl Report {
    /// Whether nothing is damaged or missing; orphans cost nothing but room.
    pub fn is_sound(&self) -> bool {
        self.damaged_rows.is_empty() && self.damaged_blobs.is_empty() && self.dangling.is_empty()
    }
}

/// What is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The rows; how many there are is not known.
    Rows,
    /// The blobs.
    Blobs,
    /// The rows once more, against snapshot and log.
    Log,
    /// The mailbox and the queue.
    Mail,
    /// In which form photos lie.
    Photos,
    /// Signed entries and the journal.
    Feed,
}

/// Told how far a check is: the step, how many are done, and of how many (zero where unknown). An
/// error ends the check, and is to be given from then on.
pub type Progress<'a> = dyn Fn(Step, u64, u64) -> Result<(), StoreError> + 'a;

/// Reads every row and every blob. Blocks for long.
///
/// # Errors
/// When the store can't be read at all, and what `progress` returns.
pub fn check(store: &Store, blobs: &Blobs, progress: &Progress<'_>) -> Result<Report, StoreError> {
    let mut report = Report::default();
    // Begun before the rows are read: what comes meanwhile is then not taken for an orphan.
    let collection = blobs.collection();
    let referred = rows(store, &mut report, progress)?;
    let total = referred.len() as u64;
    for (done, (id, place)) in referred.iter().enumerate() {
        progress(Step::Blobs, done as u64, total)?;
        one_blob(store, blobs, *id, place, &mut report)?;
    }
    progress(Step::Blobs, total, total)?;
    report.damaged_blobs.sort();
    report.dangling.sort();
    if report.damaged_rows.is_empty() {
        let live: HashSet<BlobId> = referred.into_keys().collect();
        report.orphans = collection.orphan_paths(&live)?;
        report.orphans.sort();
    }
    Ok(report)
}

/// Reads the rows; gives each blob they refer to, with the first row that does.
fn rows(
    store: &Store,
    report: &mut Report,
    progress: &Progress<'_>,
) -> Result<HashMap<BlobId, RowKey>, StoreError> {
    let mut referred = HashMap::new();
    let mut after: Option<RowKey> = None;
    loop {
        progress(Step::Rows, report.rows, 0)?;
        let page = store.walk(
            after.as_ref().map(|place| (place.table.as_str(), place.key.as_slice())),
            PAGE_ROWS,
        )?;
        let Some(last) = page.last() else { return Ok(referred) };
        after = Some(RowKey { table: last.table.clone(), key: last.key.clone() });
        for found in page {
            report.rows += 1;
            let place = RowKey { table: found.table, key: found.key };
            match found.row {
                Ok(row) => row.blobs.into_iter().for_each(|id| {
                    referred.entry(id).or_insert_with(|| place.clone());
                }),
                Err(StoreError::Corrupt { .. }) => report.damaged_rows.push(place),
                Err(error) => return Err(error),
            }
        }
    }
}

fn one_blob(
    store: &Store,
    blobs: &Blobs,
    id: BlobId,
    place: &RowKey,
    report: &mut Report,
) -> Result<(), StoreError> {
    let verified = blobs.open(&id).and_then(|reader| reader.verify().map(|()| reader.len()));
    match verified {
        Ok(len) => {
            report.blobs += 1;
            report.blob_bytes += len;
        }
        Err(StoreError::NoBlob) => {
            // Perhaps the row is gone since, and the blob with it.
            if refers(store, place, &id)? && !blobs.contains(&id)? {
                report.dangling.push((id, place.clone()));
            }
        }
        Err(_) => report.damaged_blobs.push((id, place.clone())),
    }
    Ok(())
}

fn refers(store: &Store, place: &RowKey, id: &BlobId) -> Result<bool, StoreError> {
    match store.get_named(&place.table, &place.key) {
        Ok(row) => Ok(row.is_some_and(|row| row.blobs.contains(id))),
        Err(StoreError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
