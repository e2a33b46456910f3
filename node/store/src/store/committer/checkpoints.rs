//! Checkpoints as the committer requests or makes them, and the places that it commits for them.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::packs::{self, PlaceChange};
use super::super::{StoreError, stopped};
use super::{Amount, Committer};
use crate::hints::Hint;

/// The pause between two looks at the thread that the committer waits for.
const SERVE_PAUSE: Duration = Duration::from_micros(200);

impl<H: Hint> Committer<H> {
    /// Requests a checkpoint for the segments before the open one, or makes it if there are no
    /// threads for it.
    pub(super) fn segment_begun(&mut self) {
        let (checkpointer, mark) = (self.checkpointer.clone(), self.wal.end().clone());
        self.since_checkpoint = Amount::default();
        if checkpointer.is_background() {
            while !checkpointer.request(&mark) {
                self.serve_urgent();
            }
            return;
        }
        // While another thread packs, its checkpoint makes this one unnecessary.
        let Some(packing) = checkpointer.try_lock_packing() else { return };
        if checkpointer.make(&mark, &packing, &mut |changes| self.commit_places(changes)) {
            drop(packing);
            checkpointer.snapshot_if_due();
        }
    }

    /// Makes the last checkpoint, after all changes.
    pub(super) fn stop(&mut self) {
        let checkpointer = self.checkpointer.clone();
        checkpointer.begin_stop();
        let packing = loop {
            match checkpointer.try_lock_packing() {
                Some(packing) => break packing,
                None => self.serve_urgent(),
            }
        };
        let packed = checkpointer.pack(&packing, &mut |changes| self.commit_places(changes));
        self.wal.close();
        checkpointer.stop(self.wal.end(), packed);
        self.queue.end();
    }

    /// Makes the checkpoint after a rebuild, which calls the engine usable.
    pub(in crate::store) fn finish_rebuild(&mut self) -> Result<(), StoreError> {
        let checkpointer = self.checkpointer.clone();
        let Some(packing) = checkpointer.try_lock_packing() else { return Ok(()) };
        checkpointer.pack(&packing, &mut |changes| self.commit_places(changes))?;
        checkpointer.finish_rebuild(self.wal.end())
    }

    /// Commits urgent changes for a moment, while the committer waits for a thread that may need
    /// them.
    fn serve_urgent(&mut self) {
        match self.queue.take_urgent() {
            Some(job) => self.commit(VecDeque::from([job])),
            None => std::thread::park_timeout(SERVE_PAUSE),
        }
    }

    /// Writes the places of packed blobs, on the committer's own thread.
    fn commit_places(&mut self, changes: Vec<PlaceChange>) -> Result<(), StoreError> {
        let Some(blobs) = self.shared.rows.blobs().cloned() else { return Ok(()) };
        for change in changes {
            let (job, result) = packs::place_job(blobs.clone(), change);
            self.commit(VecDeque::from([job]));
            result.recv().unwrap_or_else(|_| Err(stopped()))?;
        }
        Ok(())
    }
}
