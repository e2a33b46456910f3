//! The encoding at rest of a blob, and the change from one encoding to the other.
//!
//! 1. The blob is stored in the new encoding as well ([`Blobs::store_as`]).
//! 2. A change attaches it, so that the log too holds the new encoding last.
//! 3. The copy in the old encoding is removed ([`Collection::keep_only`]).
//!
//! After an interruption at any point the blob is stored in at least one encoding and can be read.

use super::collect::Collection;
use super::{Blobs, Pinned, SMALL_LEN_MAX, damaged, map_error};
use crate::types::{BlobId, StoreError};

/// The buffer for copying a large blob, in bytes.
const PIECE_LEN: usize = 64 * 1024;

/// The encoding at rest of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtRest {
    /// The bytes themselves, for blobs that anybody may read.
    Plain,
    /// Sealed under the store key.
    Sealed,
}

impl AtRest {
    /// The number of this encoding in the log.
    pub const fn number(self) -> u8 {
        match self {
            Self::Plain => 1,
            Self::Sealed => 2,
        }
    }

    /// The encoding with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Plain),
            2 => Some(Self::Sealed),
            _ => None,
        }
    }

    /// The other encoding.
    pub const fn other(self) -> Self {
        match self {
            Self::Plain => Self::Sealed,
            Self::Sealed => Self::Plain,
        }
    }
}

impl Blobs {
    /// True if the blob is stored in this encoding; its content is not verified.
    ///
    /// # Errors
    /// The disk's.
    pub fn is_stored_as(&self, id: &BlobId, at_rest: AtRest) -> Result<bool, StoreError> {
        Ok(self.has_small(id, at_rest)
            || self.0.fs.exists(&self.path(&self.name(id, at_rest))).map_err(|e| map_error(&e))?)
    }

    /// Stores an existing blob in this encoding as well. Blocks. A small blob is written to the log
    /// with the next change that attaches it, even if it is stored in this encoding already: a
    /// replay of the log must meet the last requested encoding last.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], [`StoreError::Corrupt`] if it is damaged, [`StoreError::Full`], or
    /// the disk's.
    pub fn store_as(&self, id: &BlobId, at_rest: AtRest) -> Result<Pinned, StoreError> {
        let pinned = self.pin(id)?;
        let reader = self.open(id)?;
        if reader.len() <= SMALL_LEN_MAX as u64 {
            self.0.space.check()?;
            self.insert_unlogged(*id, reader.read_all(SMALL_LEN_MAX)?.into(), at_rest);
            return Ok(pinned);
        }
        let mut writer = self.writer(at_rest, reader.len())?;
        let mut piece = vec![0; PIECE_LEN];
        loop {
            let read = reader.read_at(writer.len(), &mut piece)?;
            if read == 0 {
                break;
            }
            writer.write(piece.get(..read).unwrap_or_default())?;
        }
        let stored = writer.finish()?;
        if stored.id == *id { Ok(stored) } else { Err(damaged(id)) }
    }
}

impl Collection {
    /// Removes the copy of a blob in the other encoding, durably, if the copy in this encoding is
    /// intact and the blob was not pinned since the collection began. Returns true if the blob is
    /// now stored in this encoding only.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep_only(&self, id: &BlobId, at_rest: AtRest) -> Result<bool, StoreError> {
        let blobs = self.blobs();
        let _files = blobs.lock_files();
        if !blobs.is_logged_as(id, at_rest) && !blobs.is_stored_durably(id, at_rest)? {
            return Ok(false);
        }
        let name = blobs.name(id, at_rest.other());
        if self.remove(&name)? {
            blobs.sync_name(&name)?;
        }
        Ok(!blobs.is_stored_as(id, at_rest.other())?)
    }
}
