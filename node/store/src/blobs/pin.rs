//! Pins: a pinned blob is not collected.

use std::fmt;
use std::sync::Arc;

use super::Blobs;
use crate::types::{BlobId, StoreError};

/// A pinned blob: it is not collected before the last clone is dropped, even if no row refers to
/// it.
#[derive(Clone)]
pub struct Pinned {
    /// Its content address.
    pub id: BlobId,
    /// Its length in bytes.
    pub len: u64,
    _pin: Arc<Pin>,
}

/// A pin like [`Pinned`], without the length of the blob.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
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
            // A small blob that is not in the log is dropped with its last pin.
            if state.small.get_mut(&self.id).is_some_and(|small| !small.unpin()) {
                state.small.remove(&self.id);
            }
        }
    }
}

impl Blobs {
    /// Pins an existing blob, for a change that refers to it.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], or the disk's.
    pub fn pin(&self, id: &BlobId) -> Result<Pinned, StoreError> {
        let pinned = self.pin_unchecked(*id, 0);
        // Pin before the look-up, so that no collection removes the blob in between.
        let small = {
            let state = self.state();
            if state.doomed.contains(id) {
                return Err(StoreError::NoBlob);
            }
            state.small.get(id).map(|small| small.bytes.len() as u64)
        };
        let len = match small.map_or_else(|| self.open(id).map(|reader| reader.len()), Ok) {
            // A row that refers to a damaged blob can still be moved, flagged and deleted.
            Err(StoreError::Corrupt { .. }) => 0,
            other => other?,
        };
        Ok(Pinned { len, ..pinned })
    }

    /// Keeps an existing blob from collection until the returned value is dropped. Its content is
    /// not verified: a row that refers to a damaged blob can still be moved, flagged and deleted.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], or the disk's.
    pub(crate) fn hold(&self, id: &BlobId) -> Result<Hold, StoreError> {
        let pinned = self.pin_unchecked(*id, 0);
        // Pin before the look-up, so that no collection removes the blob in between.
        let is_doomed = self.state().doomed.contains(id);
        if !is_doomed && self.contains(id)? {
            Ok(Hold { _pinned: pinned })
        } else {
            Err(StoreError::NoBlob)
        }
    }

    /// Pins an id without checking that the blob exists.
    pub(super) fn pin_unchecked(&self, id: BlobId, len: u64) -> Pinned {
        let mut state = self.state();
        *state.pins.entry(id).or_insert(0) += 1;
        for protected in state.protected.values_mut() {
            protected.insert(self.names(&id));
        }
        drop(state);
        Pinned { id, len, _pin: Arc::new(Pin { blobs: self.clone(), id }) }
    }
}
