//! The files of packs: names, reading one entry, reading all entries, removing.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::entry::{self, HEAD_LEN};
use super::{FOLDER, PACK_LEN_MAX, Place};
use crate::blobs::{Blobs, damaged, map_error};
use crate::fs::{DirEntry, File};
use crate::types::{BlobId, StoreError};

pub(super) const MAGIC: [u8; 8] = *b"FHpack\0\x01";

/// An entry that was read from a pack.
#[derive(Debug)]
pub(crate) struct PackEntry {
    /// Its blob.
    pub(crate) id: BlobId,
    /// Its place.
    pub(crate) place: Place,
    /// The blob's content.
    pub(crate) content: Vec<u8>,
}

/// The number of a pack; `None` for another file, and for a folder.
fn pack_number(entry: &DirEntry) -> Option<u32> {
    let number = entry.name.strip_suffix(".pack")?.parse().ok()?;
    (!entry.folder && entry.name == pack_name(number)).then_some(number)
}

fn pack_name(number: u32) -> String {
    format!("{number:08}.pack")
}

impl Blobs {
    pub(super) fn packs_folder(&self) -> PathBuf {
        self.0.data.join(FOLDER)
    }

    /// The file of a pack.
    pub(crate) fn pack_path(&self, number: u32) -> PathBuf {
        self.packs_folder().join(pack_name(number))
    }

    /// The numbers of the packs in the folder, in order.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn pack_numbers(&self) -> Result<Vec<u32>, StoreError> {
        let entries = self.pack_entries()?;
        let mut numbers: Vec<u32> = entries.iter().filter_map(pack_number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The paths in the folder of packs that are no packs.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn foreign_pack_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.packs_folder();
        let entries = self.pack_entries()?.into_iter();
        let foreign = entries.filter(|entry| pack_number(entry).is_none());
        Ok(foreign.map(|entry| folder.join(entry.name)).collect())
    }

    fn pack_entries(&self) -> Result<Vec<DirEntry>, StoreError> {
        let folder = self.packs_folder();
        if !self.0.fs.exists(&folder).map_err(|e| map_error(&e))? {
            return Ok(Vec::new());
        }
        self.0.fs.list(&folder).map_err(|e| map_error(&e))
    }

    /// The content of the blob `id` at `place`.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`] if the pack does not exist, [`StoreError::Corrupt`] if the entry is
    /// damaged or another blob's, or the disk's.
    pub(crate) fn read_place(&self, id: &BlobId, place: Place) -> Result<Vec<u8>, StoreError> {
        let file = self.pack_file(place.pack)?;
        let len = usize::try_from(place.len).unwrap_or(usize::MAX);
        if len > entry::LEN_MAX {
            return Err(damaged(id));
        }
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, place.offset.into())
            .map_err(|e| Self::map_read_error(id, &e))?;
        match entry::decode(&self.0.pack_seal, bytes) {
            Some((found, content)) if found == *id => Ok(content),
            _ => Err(damaged(id)),
        }
    }

    /// The file of a pack, for reading. It stays open until another pack is read.
    fn pack_file(&self, number: u32) -> Result<Arc<dyn File>, StoreError> {
        let mut last = self.last_read();
        if let Some((_, file)) = last.as_ref().filter(|(open, _)| *open == number) {
            return Ok(Arc::clone(file));
        }
        let file: Arc<dyn File> = match self.0.fs.open(&self.pack_path(number)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(StoreError::NoBlob),
            other => other.map_err(|e| map_error(&e))?.into(),
        };
        *last = Some((number, Arc::clone(&file)));
        Ok(file)
    }

    fn last_read(&self) -> MutexGuard<'_, Option<(u32, Arc<dyn File>)>> {
        self.0.packs.last_read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The length of a pack's file in bytes; `None` if it does not exist.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn pack_len(&self, number: u32) -> Result<Option<u64>, StoreError> {
        match self.0.fs.open(&self.pack_path(number)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.and_then(|file| file.len()).map(Some).map_err(|e| map_error(&e)),
        }
    }

    /// Calls `each` with every intact entry of a pack up to `end`. A damaged entry is skipped; the
    /// entries after one whose length is damaged are not found. Returns true if none is damaged.
    ///
    /// # Errors
    /// The disk's if the pack cannot be opened, and those of `each`.
    pub(crate) fn each_entry(
        &self,
        number: u32,
        end: u32,
        mut each: impl FnMut(PackEntry) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        let file = self.0.fs.open(&self.pack_path(number)).map_err(|e| map_error(&e))?;
        let mut offset = u32::try_from(MAGIC.len()).unwrap_or(0);
        let mut is_intact = true;
        while offset < end.min(PACK_LEN_MAX) {
            let Some(len) = entry_len(&*file, offset) else { return Ok(false) };
            let place = Place { pack: number, offset, len };
            let bytes = read_entry(&*file, place);
            match bytes.and_then(|bytes| entry::decode(&self.0.pack_seal, bytes)) {
                Some((id, content)) => each(PackEntry { id, place, content })?,
                None => is_intact = false,
            }
            offset = place.end();
        }
        Ok(is_intact)
    }

    /// The error for a pack with a damaged entry.
    pub(crate) fn damaged_pack(&self, number: u32) -> StoreError {
        let path = self.pack_path(number);
        StoreError::Unavailable(format!("the pack {} is damaged", path.display()))
    }

    /// Removes the file of a pack, durably.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn remove_pack(&self, number: u32) -> Result<bool, StoreError> {
        match self.0.fs.remove(&self.pack_path(number)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|e| map_error(&e))?,
        }
        // A removed file takes space as long as it is open.
        self.last_read().take_if(|(open, _)| *open == number);
        self.0.fs.sync_folder(&self.packs_folder()).map_err(|e| map_error(&e))?;
        Ok(true)
    }
}

/// The length of the entry at `offset`; `None` if no entry begins there or it cannot be read.
fn entry_len(file: &dyn File, offset: u32) -> Option<u32> {
    let mut head = [0; HEAD_LEN];
    file.read_exact_at(&mut head, offset.into()).ok()?;
    u32::try_from(entry::len(&head)?).ok()
}

/// The bytes at `place`; `None` if they cannot be read.
fn read_entry(file: &dyn File, place: Place) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(place.len).ok()?];
    file.read_exact_at(&mut bytes, place.offset.into()).ok()?;
    Some(bytes)
}
