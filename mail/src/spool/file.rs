//! The blocking half of a spool.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_core::blobs::{BlobWriter, Blobs, Pinned};
use freehold_core::store::StoreError;

/// The bytes copied at a time.
const COPY_LEN: usize = 64 * 1024;

/// A blob of `prefix` and then `text`.
///
/// # Errors
/// As of writing and of reading a blob.
pub(super) fn copy_behind(
    blobs: &Blobs,
    prefix: &[u8],
    text: &Pinned,
) -> Result<Pinned, StoreError> {
    let reader = blobs.open(&text.id)?;
    let mut copy = SpoolFile::create(blobs, text.len.saturating_add(prefix.len() as u64))?;
    copy.write(prefix)?;
    let (mut buffer, mut at) = (vec![0; COPY_LEN], 0);
    loop {
        let read = reader.read_at(at, &mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        copy.write(bytes)?;
        at = at.saturating_add(read as u64);
    }
    copy.finish()
}

/// A blob that is being written.
#[derive(Debug)]
pub(crate) struct SpoolFile(Box<BlobWriter>);

impl SpoolFile {
    /// Begins a sealed blob of at most `len_max` bytes.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub(crate) fn create(blobs: &Blobs, len_max: u64) -> Result<Self, StoreError> {
        Ok(Self(Box::new(blobs.writer(len_max)?)))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.write(bytes)
    }

    pub(super) fn finish(self) -> Result<Pinned, StoreError> {
        self.0.finish()
    }
}
