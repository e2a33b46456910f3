//! Writing a blob in pieces: kept in memory while small, else sealed into a temporary file that
//! gets its name once durable.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::seal::{CHUNK_LEN, ChunkSeal, HEAD_LEN, head};
use super::{AtRest, Blobs, Pinned, SMALL_LEN_MAX, told};
use crate::fs::File;
use crate::seal::SecretKey;
use crate::types::{BlobId, StoreError};

/// Takes a blob in pieces. Dropped before [`BlobWriter::finish`] it leaves nothing behind.
pub struct BlobWriter {
    blobs: Blobs,
    form: AtRest,
    len_max: u64,
    len: u64,
    hasher: blake3::Hasher,
    /// What is not in the file yet: everything while small, then less than a chunk.
    rest: Vec<u8>,
    spill: Option<Spill>,
}

/// The temporary file of a blob that is not small; it is removed when dropped, unless it was put in
/// place.
pub(super) struct Spill {
    blobs: Blobs,
    path: PathBuf,
    file: Box<dyn File>,
    offset: u64,
    /// The key and the number of the next chunk, in the private form.
    sealing: Option<(SecretKey, ChunkSeal, u32)>,
    placed: bool,
}

impl Drop for Spill {
    fn drop(&mut self) {
        if !self.placed {
            // What can't be removed now is removed at the next start.
            let _ = self.blobs.0.fs.remove(&self.path);
        }
    }
}

impl fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobWriter({} bytes so far)", self.len)
    }
}

impl BlobWriter {
    pub(super) fn new(blobs: Blobs, form: AtRest, len_max: u64) -> Self {
        Self {
            blobs,
            form,
            len_max,
            len: 0,
            hasher: blake3::Hasher::new(),
            rest: Vec::new(),
            spill: None,
        }
    }

    /// How many bytes came so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing came so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] beyond the limit, [`StoreError::Full`], or the disk's; the blob
    /// can't be finished then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let len = self.len.saturating_add(bytes.len() as u64);
        if len > self.len_max {
            let as_usize = |len| usize::try_from(len).unwrap_or(usize::MAX);
            return Err(StoreError::TooLarge {
                what: "blob",
                len: as_usize(len),
                len_max: as_usize(self.len_max),
            });
        }
        self.len = len;
        self.hasher.update(bytes);
        if self.spill.is_none() {
            if self.rest.len() + bytes.len() <= SMALL_LEN_MAX {
                self.rest.extend_from_slice(bytes);
                return Ok(());
            }
            self.spill = Some(Spill::new(&self.blobs, self.form)?);
        }
        let Some(spill) = &mut self.spill else { return Ok(()) };
        let mut bytes = bytes;
        // Whole chunks go out once more than one is there, because the last is sealed as the last.
        while self.rest.len() + bytes.len() > CHUNK_LEN {
            if self.rest.len() < CHUNK_LEN {
                let (fill, left) =
                    bytes.split_at_checked(CHUNK_LEN - self.rest.len()).unwrap_or((bytes, &[]));
                self.rest.extend_from_slice(fill);
                bytes = left;
            }
            let chunk: Vec<u8> = self.rest.drain(..CHUNK_LEN).collect();
            spill.append(&chunk, false)?;
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the blob. A large one is durable on return; a small one becomes so with the change that
    /// refers to it.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the disk's.
    pub fn finish(mut self) -> Result<Pinned, StoreError> {
        let id = BlobId(self.hasher.finalize().into());
        let (blobs, form) = (self.blobs.clone(), self.form);
        // From here on a collection leaves this blob alone, whether it was there before or comes
        // now.
        let pinned = blobs.pin_unseen(id, self.len);
        let Some(mut spill) = self.spill.take() else {
            if !blobs.has_small(&id, form) && !blobs.stored(&id, form)? {
                blobs.keep_small(id, Arc::from(std::mem::take(&mut self.rest)), form);
            }
            return Ok(pinned);
        };
        if blobs.stored(&id, form)? {
            return Ok(pinned);
        }
        spill.append(&self.rest, true)?;
        spill.finish(&id, form, self.len, true)?;
        Ok(pinned)
    }
}

impl Spill {
    pub(super) fn new(blobs: &Blobs, form: AtRest) -> Result<Self, StoreError> {
        let (path, file) = blobs.temporary()?;
        let sealing = (form == AtRest::Sealed).then(|| {
            let key: SecretKey = Zeroizing::new(blobs.0.random.array());
            let seal = ChunkSeal::new(&key);
            (key, seal, 0)
        });
        let offset = if sealing.is_some() { HEAD_LEN as u64 } else { 0 };
        Ok(Self { blobs: blobs.clone(), path, file, offset, sealing, placed: false })
    }

    /// Writes the next chunk: a full one unless it is the last.
    pub(super) fn append(&mut self, chunk: &[u8], last: bool) -> Result<(), StoreError> {
        let sealed;
        let bytes = match &mut self.sealing {
            Some((_, seal, number)) => {
                sealed = seal.seal(*number, last, chunk)?;
                *number = number.checked_add(1).ok_or(StoreError::Full)?;
                &sealed
            }
            None => chunk,
        };
        self.file.write_all_at(bytes, self.offset).map_err(|e| told(&e))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Completes the file and gives it its name; `durable` or left to a later sync of everything.
    pub(super) fn finish(
        &mut self,
        id: &BlobId,
        form: AtRest,
        len: u64,
        durable: bool,
    ) -> Result<(), StoreError> {
        let blobs = self.blobs.clone();
        if let Some((key, _, _)) = &self.sealing {
            let head = head(&blobs.0.key_seal, &blobs.0.random, id, key, len)?;
            self.file.write_all_at(&head, 0).map_err(|e| told(&e))?;
        }
        if durable {
            self.file.sync_data().map_err(|e| told(&e))?;
        }
        let name = blobs.name(id, form);
        blobs.place(&self.path, &name)?;
        self.placed = true;
        if durable {
            blobs.sync_name(&name)?;
        }
        blobs.set_verified(*id, form == AtRest::Plain);
        Ok(())
    }
}
