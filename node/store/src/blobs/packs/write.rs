//! Appending to packs.
//!
//! The first write of a process continues the newest pack after the last entry that a row places,
//! and cuts off what follows: no row refers to it. After an error a pack is never written again,
//! because the page cache shows bytes the disk lacks; the next write begins a new pack.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::file::MAGIC;
use super::{PACK_LEN_MAX, Place, entry};
use crate::blobs::{Blobs, map_error};
use crate::fs::File;
use crate::types::{BlobId, StoreError};

/// So many bytes are collected for one write.
const WRITE_LEN: usize = 1024 * 1024;

/// The pack that is written.
#[derive(Default)]
pub(super) struct OpenPacks {
    open: Option<OpenPack>,
    /// This process has begun or continued a pack.
    begun: bool,
}

struct OpenPack {
    number: u32,
    file: Box<dyn File>,
    /// The end of the written bytes.
    end: u32,
    /// Bytes that follow `end` and are not written yet.
    unwritten: Vec<u8>,
    /// Its name may not be durable.
    is_new: bool,
}

impl OpenPack {
    fn next_offset(&self) -> u32 {
        self.end.saturating_add(u32::try_from(self.unwritten.len()).unwrap_or(u32::MAX))
    }

    fn write(&mut self) -> std::io::Result<()> {
        self.file.write_all_at(&self.unwritten, self.end.into())?;
        self.end = self.next_offset();
        self.unwritten.clear();
        Ok(())
    }
}

impl Blobs {
    fn open_packs(&self) -> MutexGuard<'_, OpenPacks> {
        self.0.packs.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends blobs to packs, durably, and returns their places. Rows may refer to them only now.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the disk's: nothing may refer to the written entries.
    pub(crate) fn write_to_packs(
        &self,
        blobs: &[(BlobId, Arc<[u8]>)],
    ) -> Result<Vec<(BlobId, Place)>, StoreError> {
        let mut packs = self.open_packs();
        let written = self.append(&mut packs, blobs);
        if written.is_err() {
            packs.open = None;
        }
        written
    }

    fn append(
        &self,
        packs: &mut OpenPacks,
        blobs: &[(BlobId, Arc<[u8]>)],
    ) -> Result<Vec<(BlobId, Place)>, StoreError> {
        let mut places = Vec::with_capacity(blobs.len());
        for (id, content) in blobs {
            let bytes = entry::encode(&self.0.pack_seal, &self.0.random, id, content)?;
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            if packs
                .open
                .as_ref()
                .is_some_and(|open| open.next_offset().saturating_add(len) > PACK_LEN_MAX)
            {
                self.sync_open(packs)?;
                packs.open = None;
            }
            let open = match &mut packs.open {
                Some(open) => open,
                None => {
                    let begun = self.begin(!packs.begun, len)?;
                    packs.begun = true;
                    packs.open.insert(begun)
                }
            };
            places.push((*id, Place { pack: open.number, offset: open.next_offset(), len }));
            open.unwritten.extend_from_slice(&bytes);
            if open.unwritten.len() >= WRITE_LEN {
                open.write().map_err(|e| map_error(&e))?;
            }
        }
        self.sync_open(packs)?;
        Ok(places)
    }

    fn sync_open(&self, packs: &mut OpenPacks) -> Result<(), StoreError> {
        let Some(open) = &mut packs.open else { return Ok(()) };
        open.write().and_then(|()| open.file.sync_data()).map_err(|e| map_error(&e))?;
        if open.is_new {
            self.0.fs.sync_folder(&self.packs_folder()).map_err(|e| map_error(&e))?;
            open.is_new = false;
        }
        Ok(())
    }

    /// Continues the newest pack, or begins a new one.
    fn begin(&self, may_continue: bool, len: u32) -> Result<OpenPack, StoreError> {
        let newest_row = self.place_rows().map_or(Ok(None), |rows| rows.newest_pack())?;
        let newest_file = self.pack_numbers()?.last().copied();
        if let Some((number, row)) = newest_row.filter(|_| may_continue)
            && newest_file == Some(number)
            && row.end.saturating_add(len) <= PACK_LEN_MAX
        {
            let file = self.0.fs.edit(&self.pack_path(number)).map_err(|e| map_error(&e))?;
            // A shorter file is damaged and is not written.
            if file.len().map_err(|e| map_error(&e))? >= row.end.into() {
                file.set_len(row.end.into()).map_err(|e| map_error(&e))?;
                let (end, unwritten) = (row.end, Vec::new());
                return Ok(OpenPack { number, file, end, unwritten, is_new: false });
            }
        }
        let newest = newest_row.map(|(number, _)| number).max(newest_file);
        let number = newest.map_or(Some(0), |newest| newest.checked_add(1));
        let number = number.ok_or(StoreError::Full)?;
        let file = self.0.fs.create(&self.pack_path(number)).map_err(|e| map_error(&e))?;
        Ok(OpenPack { number, file, end: 0, unwritten: MAGIC.to_vec(), is_new: true })
    }

    /// The number of the pack that is being written.
    pub(crate) fn open_pack(&self) -> Option<u32> {
        self.open_packs().open.as_ref().map(|open| open.number)
    }

    /// Makes sure that a pack is not written any more.
    pub(crate) fn close_pack(&self, number: u32) {
        let mut packs = self.open_packs();
        if packs.open.as_ref().is_none_or(|open| open.number == number) {
            (packs.open, packs.begun) = (None, true);
        }
    }
}
