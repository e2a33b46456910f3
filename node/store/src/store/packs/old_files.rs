//! Moving the files of earlier versions: small blobs into packs, plain files of larger blobs into
//! sealed ones. A file is removed after a row names the blob's place, or after the sealed file is
//! durable. An interrupted move continues with the files that remain.

use std::sync::Arc;

use super::super::references::{self, REFERENCES, build};
use super::Source;
use crate::blobs::{Blobs, OldFile, SMALL_LEN_MAX};
use crate::hints::Hint;
use crate::store::{BlobId, Scan, Store, StoreError};

/// The number of references read at a time.
const PAGE_ROWS: usize = 500;
/// So many bytes of blobs are moved at a time.
const MOVE_LEN: usize = 4 * 1024 * 1024;

/// Called between two steps of a long work; false ends it, and the next call continues.
pub type Pause<'a> = dyn Fn() -> bool + 'a;

impl Blobs {
    /// Completes the reverse index of a data folder of an earlier version, and moves its files.
    /// Returns the number of files moved. Blocks, possibly for long.
    ///
    /// # Errors
    /// The store's or the disk's; the next call continues.
    pub fn turn_over(
        &self,
        store: &Store<impl Hint>,
        pause: &Pause<'_>,
    ) -> Result<u64, StoreError> {
        if !build::complete(store, pause)?
            || (build::are_files_moved(store)? && !self.has_spilled())
        {
            return Ok(0);
        }
        let (mut moved, mut after, mut last_id) = (0, None::<Vec<u8>>, None);
        let (mut small, mut len) = (Vec::new(), 0);
        loop {
            let scan = Scan::prefix(&[], PAGE_ROWS);
            let scan = after.iter().fold(scan, |scan, key| scan.after(key));
            let page = store.scan(REFERENCES, &scan)?;
            let is_last = page.len() < PAGE_ROWS;
            after = page.last().map(|(key, _)| key.clone());
            for (key, row) in page {
                let Some(id) = references::blob_of(&key) else { continue };
                // Only the first reference of a blob says whether a pack holds it.
                if last_id.replace(id) == Some(id) {
                    continue;
                }
                if !row.value.is_empty() {
                    // An interrupted move may have left its files.
                    self.remove_old_files(&id, false)?;
                    continue;
                }
                match self.old_file(&id) {
                    Ok(Some(OldFile::Small)) => {
                        let Some(bytes) = self.read_old(&id)? else { continue };
                        len += bytes.len();
                        small.push((id, Source::File, bytes));
                    }
                    Ok(Some(OldFile::Plain)) => moved += u64::from(self.seal_plain(&id)?),
                    // A check reports a damaged blob; it stays as it is.
                    Ok(None) | Err(StoreError::Corrupt { .. }) => {}
                    Err(error) => return Err(error),
                }
                if len >= MOVE_LEN || small.len() >= PAGE_ROWS {
                    len = 0;
                    moved += self.move_files(store, std::mem::take(&mut small))?;
                    if !pause() {
                        return Ok(moved);
                    }
                }
            }
            if is_last {
                break;
            }
        }
        moved += self.move_files(store, small)?;
        self.remove_empty_folders()?;
        self.forget_spilled();
        build::set_files_moved(store)?;
        Ok(moved)
    }

    fn read_old(&self, id: &BlobId) -> Result<Option<Arc<[u8]>>, StoreError> {
        let read = self.open(id).and_then(|reader| {
            reader.verify()?;
            reader.read_all(SMALL_LEN_MAX)
        });
        match read {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(StoreError::Corrupt { .. } | StoreError::NoBlob) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn move_files(
        &self,
        store: &Store<impl Hint>,
        small: Vec<(BlobId, Source, Arc<[u8]>)>,
    ) -> Result<u64, StoreError> {
        if small.is_empty() {
            return Ok(0);
        }
        let _packing = store.lock_packing()?;
        let moved = self.move_to_packs(store, small)?;
        for id in &moved {
            self.remove_old_files(id, false)?;
        }
        Ok(moved.len() as u64)
    }
}
