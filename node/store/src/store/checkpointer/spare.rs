//! The spare segment of the log.

use std::sync::PoisonError;

use super::Checkpointer;
use crate::space::FreeSpace;
use crate::wal::segment;

impl Checkpointer {
    /// Called when the open segment is half full: requests a spare one. Before that it would take
    /// space for nothing, for weeks on a node with little to do.
    pub(in crate::store) fn request_spare(&self) {
        let mut state = self.lock();
        state.spare_requested = state.background;
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn fill_spare(&self) {
        // A spare must not take the space that deletes and checkpoints need.
        let has_space =
            |space: &FreeSpace| space.check_space_to_compact(self.parts.segment_len).is_ok();
        if !self.parts.space.as_ref().is_none_or(has_space) {
            return;
        }
        let mut slot = self.parts.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            match segment::create_spare(
                &*self.parts.reader.fs,
                &self.parts.reader.folder,
                self.parts.segment_len,
            ) {
                Ok(spare) => *slot = Some(spare),
                Err(error) => tracing::warn!(%error, "a spare log segment could not be created"),
            }
        }
    }
}
