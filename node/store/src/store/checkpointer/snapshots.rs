//! Snapshots: when one is due, making it, and removing what it replaces.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, TryLockError};

use super::super::snapshot::{self, SnapshotMaker};
use super::super::{Stop, StoreError};
use super::Checkpointer;
use crate::wal::{self, segment};

/// After a failed snapshot the next attempt is made when this many more segments have been begun.
const RETRY_AFTER_SEGMENTS: u64 = 4;

/// A segment of the log is merged into a snapshot in so many parts, so that only one of them is in
/// memory.
const BATCHES: usize = 4;

impl Checkpointer {
    pub(super) fn run_snapshots(&self) {
        loop {
            let mut state = self.lock();
            while !state.stopped && !state.snapshot_check_due {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopped {
                return;
            }
            state.snapshot_check_due = false;
            drop(state);
            if catch_unwind(AssertUnwindSafe(|| self.snapshot_if_due())).is_err() {
                tracing::error!("a snapshot panicked; the log is kept until one succeeds");
            }
        }
    }

    /// Makes a snapshot of the last checkpoint, and removes older snapshots and log segments.
    pub(in crate::store) fn snapshot(&self) -> Result<(), StoreError> {
        let _snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        self.snapshot_now()
    }

    /// Makes a snapshot if the log since the last one is long enough. Logs only the first of
    /// several failures.
    pub(in crate::store) fn snapshot_if_due(&self) {
        let _snapshots = match self.snapshots.try_lock() {
            Ok(snapshots) => snapshots,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // A compaction holds the lock, and may wait for the committer, which makes the
            // snapshots of a store without threads for them.
            Err(TryLockError::WouldBlock) if !self.is_background() => return,
            Err(TryLockError::WouldBlock) => {
                self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        let (failed, generation) = {
            let state = self.lock();
            (state.snapshot_failed, state.last.mark.generation)
        };
        if failed.is_some_and(|failed| generation < failed + RETRY_AFTER_SEGMENTS) {
            return;
        }
        let result =
            self.is_snapshot_due().and_then(|due| if due { self.snapshot_now() } else { Ok(()) });
        match result {
            Ok(()) => self.lock().snapshot_failed = None,
            Err(_) if self.stopping.is_raised() => {}
            Err(error) => {
                if self.lock().snapshot_failed.replace(generation).is_none() {
                    tracing::warn!(%error, "a snapshot failed; the log is kept until one succeeds");
                }
            }
        }
    }

    fn is_snapshot_due(&self) -> Result<bool, StoreError> {
        let newest = snapshot::list(&*self.parts.reader.fs, &self.parts.data)?.pop();
        let newest_len = match newest {
            None => 0,
            Some(position) => {
                let file =
                    self.parts.reader.fs.open(&snapshot::path(&self.parts.data, position))?;
                file.len()?
            }
        };
        let names = segment::list(&*self.parts.reader.fs, &self.parts.reader.folder)?;
        let segments =
            names.iter().filter(|name| newest.is_none_or(|position| name.first > position)).count()
                as u64;
        Ok(segments.saturating_mul(self.parts.segment_len)
            > self.parts.snapshot_after.max(newest_len / 2))
    }

    fn snapshot_now(&self) -> Result<(), StoreError> {
        self.stopping.check()?;
        let last = self.lock().last.clone();
        let (reader, data, random, stop) =
            (&self.parts.reader, &self.parts.data, &self.parts.random, &self.stopping);
        let maker = SnapshotMaker {
            reader,
            data,
            random,
            wal: last.wal,
            stop,
            space: self.parts.space.as_ref(),
            batch_len: usize::try_from(self.parts.segment_len).unwrap_or(usize::MAX) / BATCHES,
        };
        if let Some(snapshots) = maker.make(&last.mark)?
            && let Some(older) = snapshots.remove_others(&*reader.fs, data)?
        {
            wal::remove_segments_before(&*reader.fs, &reader.folder, older)?;
        }
        Ok(())
    }

    /// The oldest position in a snapshot or a segment of the log.
    pub(in crate::store) fn oldest_position(&self) -> Result<u64, StoreError> {
        let _snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = snapshot::list(&*self.parts.reader.fs, &self.parts.data)?.first().copied();
        let segment = segment::list(&*self.parts.reader.fs, &self.parts.reader.folder)?
            .first()
            .map(|name| name.first);
        Ok(snapshot.into_iter().chain(segment).min().unwrap_or_default())
    }

    /// Runs `work` while no snapshot is made and no segment is removed. `work` must end when the
    /// flag is raised, which a stop of the store does.
    pub(in crate::store) fn with_snapshots_locked<T>(&self, work: impl FnOnce(&Stop) -> T) -> T {
        let _snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        work(&self.stopping)
    }
}
