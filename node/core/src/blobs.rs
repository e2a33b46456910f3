//! Blobs: content too long for a row, under the address of its own bytes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::store::{BlobId, StoreError};

/// How a blob lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As the bytes themselves: what anyone may fetch.
    Public,
    /// Sealed with a key of its own: what is the owner's alone.
    Private,
}

/// A blob that is stored and stays until this is dropped, referred to by a row or not.
#[derive(Debug)]
pub struct Pinned {
    /// Its address.
    pub id: BlobId,
    /// Its length in bytes.
    pub len: u64,
}

type Files = Arc<RwLock<HashMap<BlobId, Arc<[u8]>>>>;

/// The blobs of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs(Files);

impl Blobs {
    /// Blobs that are forgotten when dropped.
    pub fn in_memory() -> Self {
        Self(Arc::default())
    }

    /// Stores `content`.
    ///
    /// # Errors
    /// When the disk is full or unavailable.
    pub fn put(&self, content: &[u8], form: Form) -> Result<Pinned, StoreError> {
        let mut writer = self.writer(form, content.len() as u64)?;
        writer.write(content)?;
        writer.finish()
    }

    /// Begins a blob of at most `len_max` bytes that arrives in pieces.
    ///
    /// # Errors
    /// As [`Blobs::put`].
    pub fn writer(&self, _form: Form, len_max: u64) -> Result<BlobWriter, StoreError> {
        Ok(BlobWriter { files: self.0.clone(), content: Vec::new(), len_max })
    }

    /// Opens a stored blob.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], or when it is damaged.
    pub fn open(&self, id: &BlobId) -> Result<BlobReader, StoreError> {
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner);
        files.get(id).cloned().map(BlobReader).ok_or(StoreError::NoBlob)
    }
}

/// A blob on its way in; dropped without [`BlobWriter::finish`] it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    files: Files,
    content: Vec<u8>,
    len_max: u64,
}

impl BlobWriter {
    /// Adds `bytes`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] past the limit, or when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let len = self.content.len().saturating_add(bytes.len());
        if len as u64 > self.len_max {
            return Err(StoreError::TooLarge { what: "blob", len, len_max: usize::try_from(self.len_max).unwrap_or(usize::MAX) });
        }
        self.content.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes the blob durable.
    ///
    /// # Errors
    /// As [`Blobs::put`].
    pub fn finish(self) -> Result<Pinned, StoreError> {
        let id = BlobId(*blake3::hash(&self.content).as_bytes());
        let len = self.content.len() as u64;
        self.files.write().unwrap_or_else(PoisonError::into_inner).insert(id, self.content.into());
        Ok(Pinned { id, len })
    }
}

/// An open blob.
#[derive(Debug)]
pub struct BlobReader(Arc<[u8]>);

impl BlobReader {
    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty, reason = "an empty blob is no special case for anyone")]
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Reads from `offset` into `buf`; how many bytes were there, 0 at the end.
    ///
    /// # Errors
    /// When that part is damaged.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StoreError> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let len = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    /// The whole content, if it is at most `len_max` bytes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], or when it is damaged.
    pub fn read_all(&self, len_max: usize) -> Result<Vec<u8>, StoreError> {
        if self.0.len() > len_max {
            return Err(StoreError::TooLarge { what: "blob", len: self.0.len(), len_max });
        }
        Ok(self.0.to_vec())
    }
}
