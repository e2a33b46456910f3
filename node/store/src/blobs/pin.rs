//! Pins: while one is held, the blob is not collected.

use std::fmt;
use std::sync::Arc;

use super::Blobs;
use crate::types::{BlobId, StoreError};

/// A blob that stays at least as long as this is held, referred to by a row or not.
#[derive(Clone)]
pub struct Pinned {
    /// Its content address.
    pub id: BlobId,
    /// Its length in bytes.
    pub len: u64,
    _pin: Arc<Pin>,
}

/// Keeps a blob from collection, as [`Pinned`] does, without knowing anything of it.
#[derive(Clone, Debug)]
pub struct Hold {
    _pinned: Pinned,
}

struct Pin {
    blobs: Blobs,
    id: BlobId,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({} bytes)", self.len)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.blobs.state();
        let Some(count) = state.pins.get_mut(&self.id) else { return };
        *count -= 1;
        if *count == 0 {
            state.pins.remove(&self.id);
            // A small blob to which nothing durable refers is nowhere but here.
            if state.small.get_mut(&self.id).is_some_and(|small| !small.let_go()) {
                state.small.remove(&self.id);
            }
        }
    }
}

impl Blobs {
    /// Pins a blob that is there: for a change that refers to it, until the change is applied.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], or the disk's.
    pub fn pin(&self, id: &BlobId) -> Result<Pinned, StoreError> {
        let pinned = self.pin_unseen(*id, 0);
        // Pinned first, looked for second: nothing can remove it in between.
        let small = self.state().small.get(id).map(|small| small.bytes.len() as u64);
        let len = match small.map_or_else(|| self.file_content_len(id), Ok) {
            // A row may go on referring to a damaged blob: it can still be moved, flagged and
            // deleted.
            Err(StoreError::Corrupt { .. }) => 0,
            other => other?,
        };
        Ok(Pinned { len, ..pinned })
    }

    /// Keeps a blob that is there, in memory or as a file, from collection for as long as the
    /// answer is held; its bytes are not looked at, so that a row may go on referring to a damaged
    /// one, to be moved, flagged and deleted.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], or the disk's.
    pub fn hold(&self, id: &BlobId) -> Result<Hold, StoreError> {
        let pinned = self.pin_unseen(*id, 0);
        // Pinned first, looked for second: nothing can remove it in between.
        if self.contains(id)? { Ok(Hold { _pinned: pinned }) } else { Err(StoreError::NoBlob) }
    }

    /// Pins an id whether or not there is such a blob.
    pub(super) fn pin_unseen(&self, id: BlobId, len: u64) -> Pinned {
        let mut state = self.state();
        *state.pins.entry(id).or_insert(0) += 1;
        for touched in state.touched.values_mut() {
            touched.insert(id, self.names(&id));
        }
        drop(state);
        Pinned { id, len, _pin: Arc::new(Pin { blobs: self.clone(), id }) }
    }
}
