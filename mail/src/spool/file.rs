//! The blocking half of a spool.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_core::blobs::{BlobWriter, Blobs, Pinned};
use freehold_core::store::StoreError;

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
