//! A check of the reverse index and of the packs. Changes may be committed at the same time: a
//! suspicious row is read again before it is reported, and sums are compared only if none was.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::{BlobId, Row, Store, StoreError};
use super::{
    LOOSE, PACKS, REFERENCES, blob_of, build, first_references, is_index, pack_of, reference_key,
    referring_row,
};
use crate::blobs::{Blobs, PackRow, Place};
use crate::hints::Hint;
use crate::store::Scan;

/// The number of rows read at a time.
const PAGE_ROWS: usize = 500;

/// Called with the number of rows read; an error ends the check.
type Progress<'a> = &'a dyn Fn(u64) -> Result<(), StoreError>;

/// The sums of the live entries of each pack.
type LiveSums = BTreeMap<u32, u64>;

impl Blobs {
    /// Checks that the reverse index matches the rows, that the sums of packs are right, and that
    /// every pack is intact. Returns a sentence for each problem. `progress` is called with the
    /// number of rows read. Blocks, possibly for long.
    ///
    /// # Errors
    /// If the store or a pack cannot be read, and those of `progress`.
    pub fn check_index<H: Hint>(
        &self,
        store: &Store<H>,
        progress: Progress<'_>,
    ) -> Result<Vec<String>, StoreError> {
        if !build::is_complete(&store.0.shared.rows)? {
            // All rows are read instead of the index until it is.
            return Ok(Vec::new());
        }
        let mut problems = Vec::new();
        let position = store.settled_position();
        let live = self.check_rows(store, progress, &mut problems)?;
        let packs = store.scan(PACKS, &Scan::prefix(&[], usize::MAX))?;
        let is_unchanged = store.settled_position() == position;
        for (number, row) in packs.iter().filter_map(|(key, row)| pack_of(key, row)) {
            let sum = live.get(&number).copied().unwrap_or(0);
            if is_unchanged && sum != u64::from(row.live) {
                problems.push(format!(
                    "pack {number}: {} bytes are counted as live, but rows need {sum}",
                    row.live
                ));
            }
            self.check_pack(store, number, &row, &mut problems)?;
            progress(0)?;
        }
        Ok(problems)
    }

    /// The files that no row needs: of blobs, packs, and files that are neither.
    ///
    /// # Errors
    /// The store's, or the disk's.
    pub fn orphan_paths<H: Hint>(&self, store: &Store<H>) -> Result<Vec<PathBuf>, StoreError> {
        let collection = self.collection();
        let mut paths = collection.orphan_paths(self.unneeded_files(store)?);
        paths.extend(self.orphan_packs(store)?.into_iter().map(|number| self.pack_path(number)));
        paths.extend(self.foreign_pack_files()?);
        paths.sort();
        Ok(paths)
    }

    fn check_rows<H: Hint>(
        &self,
        store: &Store<H>,
        progress: Progress<'_>,
        problems: &mut Vec<String>,
    ) -> Result<LiveSums, StoreError> {
        let (mut live, mut read) = (LiveSums::new(), 0);
        let mut after: Option<(String, Vec<u8>)> = None;
        loop {
            progress(read)?;
            let page = store.walk(
                after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice())),
                PAGE_ROWS,
            )?;
            let Some(last) = page.last() else { return Ok(live) };
            after = Some((last.table.clone(), last.key.clone()));
            read += page.len() as u64;
            for walked in page {
                // A damaged row is reported by the check of rows.
                let Ok(row) = walked.row else { continue };
                if !is_index(&walked.table) {
                    check_referring(store, &walked.table, &walked.key, &row, problems)?;
                    continue;
                }
                if walked.table == REFERENCES.name() {
                    check_reference(store, &walked.key, &row, problems)?;
                } else if walked.table == LOOSE.name() {
                    check_loose(store, &walked.key, problems)?;
                }
                if walked.table != PACKS.name()
                    && let Some(place) = Place::decode(&row.value)
                {
                    *live.entry(place.pack).or_default() += u64::from(place.len);
                }
            }
        }
    }

    fn check_pack<H: Hint>(
        &self,
        store: &Store<H>,
        number: u32,
        row: &PackRow,
        problems: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        if row.end == 0 {
            return Ok(());
        }
        // A removed pack may keep its row, for its number.
        let is_removed = || {
            let row = store.get(PACKS, &number.to_be_bytes())?;
            let row = row.and_then(|row| PackRow::decode(&row.value));
            Ok::<_, StoreError>(row.is_none_or(|row| row.end == 0))
        };
        match self.pack_len(number)? {
            None if !is_removed()? => problems.push(format!("pack {number} is missing")),
            None => {}
            Some(_) => match self.each_entry(number, row.end, |_| Ok(())) {
                Ok(false) if !is_removed()? => {
                    problems.push(self.damaged_pack(number).to_string());
                }
                Err(error @ StoreError::Unavailable(_)) if !is_removed()? => {
                    problems.push(error.to_string());
                }
                Err(StoreError::Unavailable(_)) | Ok(_) => {}
                Err(error) => return Err(error),
            },
        }
        Ok(())
    }
}

/// Each blob of a row has its reference.
fn check_referring<H: Hint>(
    store: &Store<H>,
    table: &str,
    key: &[u8],
    row: &Row,
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    for id in &row.blobs {
        let has_reference = || {
            Ok::<_, StoreError>(store.get(REFERENCES, &reference_key(id, table, key))?.is_some())
        };
        if has_reference()? {
            continue;
        }
        if refers(store, table, key, id)? && !has_reference()? {
            problems.push(format!("a row of table {table} is missing in the index of blobs"));
        }
    }
    Ok(())
}

/// The row of a reference exists and refers to the blob, and only the first one has a place.
fn check_reference<H: Hint>(
    store: &Store<H>,
    key: &[u8],
    row: &Row,
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    let parsed = blob_of(key).zip(referring_row(key));
    let Some((id, (table, referring))) = parsed else {
        problems.push("the index of blobs has a malformed key".to_owned());
        return Ok(());
    };
    let is_current = || Ok::<_, StoreError>(store.get(REFERENCES, key)?.as_ref() == Some(row));
    if !refers(store, table, referring, &id)? && is_current()? {
        problems.push(format!("the index of blobs names a row of table {table} without the blob"));
    }
    if !row.value.is_empty() {
        let first = store.keys(REFERENCES, &first_references(&id, 1))?.pop();
        if first.is_some_and(|first| first != key) && is_current()? {
            problems.push(format!("a reference of table {table} has a place and is not the first"));
        }
    }
    Ok(())
}

/// A loose blob has no reference.
fn check_loose<H: Hint>(
    store: &Store<H>,
    key: &[u8],
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    let Some(id) = blob_of(key) else { return Ok(()) };
    let is_referenced = !store.keys(REFERENCES, &first_references(&id, 1))?.is_empty();
    if is_referenced && store.get(LOOSE, key)?.is_some() {
        problems.push("a blob without a reference has one".to_owned());
    }
    Ok(())
}

fn refers<H: Hint>(
    store: &Store<H>,
    table: &str,
    key: &[u8],
    id: &BlobId,
) -> Result<bool, StoreError> {
    match store.get_named(table, key) {
        Ok(row) => Ok(row.is_some_and(|row| row.blobs.contains(id))),
        // The references of a damaged row are unknown.
        Err(StoreError::Corrupt { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}
