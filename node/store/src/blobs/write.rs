//! Writing a blob in pieces: a small one stays in memory, a larger one is sealed into a temporary
//! file that is renamed after it is durable.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::file::Form;
use super::seal::{CHUNK_LEN, ChunkSeal, HEAD_LEN, head};
use super::{BlobReader, Blobs, Pinned, SMALL_LEN_MAX, map_error};
use crate::fs::File;
use crate::seal::SecretKey;
use crate::types::{BlobId, StoreError};

/// Writes a blob in pieces. If dropped before [`BlobWriter::finish`], it removes its file.
pub struct BlobWriter {
    blobs: Blobs,
    len_max: u64,
    len: u64,
    hasher: blake3::Hasher,
    /// The bytes that are not in the file yet: all of a small blob, else at most one chunk.
    rest: Vec<u8>,
    spill: Option<SpillFile>,
}

/// The temporary file of a blob; removed when dropped, unless it was renamed to its final name.
pub(super) struct SpillFile {
    blobs: Blobs,
    path: PathBuf,
    file: Box<dyn File>,
    offset: u64,
    key: SecretKey,
    seal: ChunkSeal,
    /// The number of the next chunk.
    number: u32,
    renamed: bool,
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if !self.renamed {
            // If the removal fails, the next start removes the file.
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
    pub(super) fn new(blobs: Blobs, len_max: u64) -> Self {
        Self {
            blobs,
            len_max,
            len: 0,
            hasher: blake3::Hasher::new(),
            rest: Vec::new(),
            spill: None,
        }
    }

    /// The number of bytes written so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if no byte was written so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] beyond the limit, [`StoreError::Full`], or the disk's; the blob
    /// cannot be finished then.
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
            self.spill = Some(SpillFile::new(&self.blobs)?);
        }
        let Some(spill) = &mut self.spill else { return Ok(()) };
        let mut bytes = bytes;
        // A full chunk is written only if more bytes follow, because the last chunk is sealed with
        // a flag.
        while self.rest.len() + bytes.len() > CHUNK_LEN {
            if self.rest.len() < CHUNK_LEN {
                let (fill, rest) =
                    bytes.split_at_checked(CHUNK_LEN - self.rest.len()).unwrap_or((bytes, &[]));
                self.rest.extend_from_slice(fill);
                bytes = rest;
            }
            let chunk: Vec<u8> = self.rest.drain(..CHUNK_LEN).collect();
            spill.append(&chunk, false)?;
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the blob. A large blob is durable on return; a small one becomes durable with the
    /// change that refers to it.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the disk's.
    pub fn finish(mut self) -> Result<Pinned, StoreError> {
        let id = BlobId(self.hasher.finalize().into());
        let blobs = self.blobs.clone();
        // From here on no collection removes the blob, new or already stored.
        let pinned = blobs.pin_unchecked(id, self.len);
        let Some(mut spill) = self.spill.take() else {
            if !blobs.has_small(&id) && !blobs.is_stored_durably(&id)? {
                blobs.insert_small(id, Arc::from(std::mem::take(&mut self.rest)));
            }
            return Ok(pinned);
        };
        if blobs.is_stored_durably(&id)? {
            return Ok(pinned);
        }
        spill.append(&self.rest, true)?;
        spill.finish(&id, self.len, true)?;
        Ok(pinned)
    }
}

impl SpillFile {
    pub(super) fn new(blobs: &Blobs) -> Result<Self, StoreError> {
        let (path, file) = blobs.create_temporary()?;
        let key: SecretKey = Zeroizing::new(blobs.0.random.array());
        let seal = ChunkSeal::new(&key);
        let (blobs, offset) = (blobs.clone(), HEAD_LEN as u64);
        Ok(Self { blobs, path, file, offset, key, seal, number: 0, renamed: false })
    }

    /// Writes the next chunk, which must be full unless it is the last.
    pub(super) fn append(&mut self, chunk: &[u8], last: bool) -> Result<(), StoreError> {
        let sealed = self.seal.seal(self.number, last, chunk)?;
        self.number = self.number.checked_add(1).ok_or(StoreError::Full)?;
        self.file.write_all_at(&sealed, self.offset).map_err(|e| map_error(&e))?;
        self.offset += sealed.len() as u64;
        Ok(())
    }

    /// Completes the file and renames it to its final name. If `durable` is false, a later
    /// [`Volume::sync`](crate::fs::Volume::sync) must make it durable.
    pub(super) fn finish(
        &mut self,
        id: &BlobId,
        len: u64,
        durable: bool,
    ) -> Result<(), StoreError> {
        let blobs = self.blobs.clone();
        let head = head(&blobs.0.key_seal, &blobs.0.random, id, &self.key, len)?;
        self.file.write_all_at(&head, 0).map_err(|e| map_error(&e))?;
        if durable {
            self.file.sync_data().map_err(|e| map_error(&e))?;
        }
        let name = blobs.name(id, Form::Sealed);
        if durable {
            blobs.rename_durably(&self.path, &name)?;
        } else {
            blobs.rename_into_place(&self.path, &name)?;
        }
        self.renamed = true;
        Ok(())
    }
}

impl Blobs {
    /// Stores the content of `reader`, of a large blob, once more.
    pub(crate) fn copy(&self, reader: &BlobReader) -> Result<Pinned, StoreError> {
        let mut writer = self.writer(reader.len())?;
        let mut piece = vec![0; CHUNK_LEN];
        loop {
            let read = reader.read_at(writer.len(), &mut piece)?;
            if read == 0 {
                return writer.finish();
            }
            writer.write(piece.get(..read).unwrap_or_default())?;
        }
    }
}
