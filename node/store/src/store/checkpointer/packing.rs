//! Writing the small blobs of the log to packs, before a checkpoint.

use std::sync::{MutexGuard, PoisonError, TryLockError};

use super::super::packs::{self, PlaceChange};
use super::super::{StoreError, stopped};
use super::{Checkpointer, temporary};

/// Commits changes that write places, and returns when they are durable.
pub(super) type CommitPlaces = dyn Fn(Vec<PlaceChange>) -> Result<(), StoreError> + Send + Sync;

/// The lock of packing.
pub(in crate::store) type Packing<'a> = MutexGuard<'a, ()>;

impl Checkpointer {
    /// Sets the function that commits places; set once.
    pub(in crate::store) fn on_places(
        &self,
        commit: impl Fn(Vec<PlaceChange>) -> Result<(), StoreError> + Send + Sync + 'static,
    ) {
        let _ = self.commit_places.set(Box::new(commit));
    }

    /// Locks packing. Not for the committer's thread.
    pub(in crate::store) fn lock_packing(&self) -> Result<Packing<'_>, StoreError> {
        let packing = self.packing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lock().stopped { Err(stopped()) } else { Ok(packing) }
    }

    /// Locks packing, unless another thread has locked it.
    pub(in crate::store) fn try_lock_packing(&self) -> Option<Packing<'_>> {
        match self.packing.try_lock() {
            Ok(packing) => Some(packing),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Writes the small blobs of the log to packs, and their places by `commit`.
    pub(in crate::store) fn pack(
        &self,
        _packing: &Packing<'_>,
        commit: &mut dyn FnMut(Vec<PlaceChange>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let rows = &self.parts.shared.rows;
        if rows.is_temporary() {
            return Err(temporary());
        }
        let Some(blobs) = rows.blobs() else { return Ok(()) };
        packs::pack(blobs, |waiting| self.with_reserve(|| blobs.write_to_packs(waiting)), commit)
    }

    pub(super) fn commit_elsewhere(&self, changes: Vec<PlaceChange>) -> Result<(), StoreError> {
        self.commit_places.get().map_or_else(|| Err(stopped()), |commit| commit(changes))
    }
}
