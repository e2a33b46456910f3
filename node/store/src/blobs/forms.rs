//! From one form to the other: what only the owner saw and anyone may see now, and the way back.
//!
//! 1. The blob is stored in the form that is due as well ([`Blobs::store_as`]).
//! 2. A change takes it along; from then on the log, too, holds it in that form last.
//! 3. What lies in the other form is removed ([`Collection::keep_only`]).
//!
//! Cut off anywhere in between, the blob lies there in both forms and is found in either.

use super::collect::Collection;
use super::{AtRest, Blobs, Pinned, SMALL_LEN_MAX, damaged, told};
use crate::types::{BlobId, StoreError};

const PIECE_LEN: usize = 64 * 1024;

impl AtRest {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Plain => Self::Sealed,
            Self::Sealed => Self::Plain,
        }
    }
}

impl Blobs {
    /// Whether a blob lies here in this form; its bytes are not looked at.
    ///
    /// # Errors
    /// The disk's.
    pub fn is_stored_as(&self, id: &BlobId, form: AtRest) -> Result<bool, StoreError> {
        Ok(self.has_small(id, form)
            || self.0.fs.exists(&self.path(&self.name(id, form))).map_err(|e| told(&e))?)
    }

    /// Stores a blob that is there in this form as well. Blocks. A small one travels with the next
    /// change that attaches it even if it lies there in this form: a log that is read again must
    /// meet the form that was asked for last behind all others.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], [`StoreError::Corrupt`] when it is damaged, [`StoreError::Full`], or
    /// the disk's.
    pub fn store_as(&self, id: &BlobId, form: AtRest) -> Result<Pinned, StoreError> {
        let pinned = self.pin(id)?;
        let reader = self.open(id)?;
        if reader.len() <= SMALL_LEN_MAX as u64 {
            self.0.space.check()?;
            self.travel(*id, reader.read_all(SMALL_LEN_MAX)?.into(), form);
            return Ok(pinned);
        }
        let mut writer = self.writer(form, reader.len())?;
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
    /// Removes, durably, what lies of a blob in the other form than this, if it lies whole in this
    /// one and nobody has pinned it since the beginning. Whether it lies in this form alone now.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep_only(&self, id: &BlobId, form: AtRest) -> Result<bool, StoreError> {
        let blobs = self.blobs();
        let _filing = blobs.filing();
        if !blobs.is_logged_as(id, form) && !blobs.stored(id, form)? {
            return Ok(false);
        }
        let name = blobs.name(id, form.other());
        if self.remove(&name)? {
            blobs.sync_name(&name)?;
        }
        Ok(!blobs.is_stored_as(id, form.other())?)
    }
}
