//! Background work beside the committer: spare segments, checkpoints and snapshots.
//!
//! A checkpoint flushes the small blobs and the engine, then replaces the checkpoint file. If two
//! segments are full and no checkpoint has finished, the committer waits for one. Snapshots
//! (checkpointer/snapshots.rs) have a thread of their own, so that the committer never waits for
//! them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::checkpoint::{Checkpoint, Condition};
use super::options::EngineSource;
use super::shared::Shared;
use super::{FolderLock, Stop, StoreError, stopped};
use crate::space::FreeSpace;
use crate::wal::recover::Reader;
use crate::wal::{Mark, SpareSlot, WalId, segment};
use freehold_proto::random::Random;

mod snapshots;

/// Makes spare segments, checkpoints and snapshots.
pub(super) struct Checkpointer {
    pub(super) parts: Parts,
    state: Mutex<State>,
    changed: Condvar,
    /// Locked while a checkpoint is made.
    pub(super) checkpointing: Mutex<()>,
    /// Locked while snapshots, and the log segments they replace, are created, read or removed.
    snapshots: Mutex<()>,
    /// Raised when the store stops; ends a snapshot or a check.
    pub(super) stopping: Stop,
}

struct State {
    last: Checkpoint,
    /// A checkpoint up to this record is requested.
    requested: Option<Mark>,
    /// A checkpoint is being made.
    running: bool,
    /// The last checkpoint failed; only the first of several failures is logged.
    checkpoint_failed: bool,
    /// A checkpoint was made since the last check if a snapshot is due.
    snapshot_check_due: bool,
    /// The generation of the open segment when a snapshot failed.
    snapshot_failed: Option<u64>,
    /// A spare segment is requested.
    spare_requested: bool,
    stopped: bool,
    /// False if the committer does the work, so that each run of a test is the same.
    background: bool,
}

/// The parts of the store that a [`Checkpointer`] reads and writes.
pub(super) struct Parts {
    pub(super) reader: Reader,
    pub(super) data: PathBuf,
    /// Opens the engine, for a rebuild.
    pub(super) engine: EngineSource,
    pub(super) random: Random,
    pub(super) shared: Arc<Shared>,
    pub(super) spare: SpareSlot,
    pub(super) segment_len: u64,
    pub(super) snapshot_after: u64,
    pub(super) space: Option<FreeSpace>,
}

impl Checkpointer {
    /// `last` is the checkpoint that the store was opened with.
    pub(super) fn new(parts: Parts, last: Checkpoint, background: bool) -> Arc<Self> {
        let state = State {
            last,
            requested: None,
            running: false,
            checkpoint_failed: false,
            snapshot_check_due: false,
            snapshot_failed: None,
            spare_requested: background,
            stopped: false,
            background,
        };
        Arc::new(Self {
            parts,
            state: Mutex::new(state),
            changed: Condvar::new(),
            checkpointing: Mutex::new(()),
            snapshots: Mutex::new(()),
            stopping: Stop::default(),
        })
    }

    /// Starts the threads, if the work is done in the background.
    pub(super) fn start(
        self: &Arc<Self>,
        folder_lock: &FolderLock,
    ) -> io::Result<Vec<JoinHandle<()>>> {
        if !self.lock().background {
            return Ok(Vec::new());
        }
        let spawn = |name: &str, work: fn(&Self)| {
            // The folder stays locked until the last thread that writes in it has ended.
            let (checkpointer, folder_lock) = (self.clone(), folder_lock.clone());
            let run = move || {
                work(&checkpointer);
                drop(folder_lock);
            };
            std::thread::Builder::new().name(name.into()).spawn(run)
        };
        Ok(vec![spawn("checkpointer", Self::run)?, spawn("store snapshots", Self::run_snapshots)?])
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let mut state = self.lock();
            while !state.stopped && !state.spare_requested && state.requested.is_none() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopped {
                return;
            }
            let (needs_spare, mark) =
                (std::mem::take(&mut state.spare_requested), state.requested.take());
            state.running = mark.is_some();
            drop(state);
            if needs_spare {
                self.fill_spare();
            }
            if let Some(mark) = mark {
                // After a panic the committer must not wait for ever.
                let made = catch_unwind(AssertUnwindSafe(|| self.try_checkpoint(&mark)))
                    .unwrap_or_else(|_| {
                        tracing::error!(
                            "a checkpoint panicked; the log is kept until one succeeds"
                        );
                        false
                    });
                let mut state = self.lock();
                state.running = false;
                state.snapshot_check_due |= made;
                drop(state);
                self.changed.notify_all();
            }
        }
    }

    /// Called after a segment was begun: requests a checkpoint for the segments before it, and a
    /// spare segment.
    pub(super) fn segment_begun(&self, mark: &Mark) {
        let mut state = self.lock();
        if !state.background {
            drop(state);
            if self.try_checkpoint(mark) {
                self.snapshot_if_due();
            }
            return;
        }
        state.spare_requested = true;
        while state.running && state.requested.is_some() && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.requested = Some(mark.clone());
        drop(state);
        self.changed.notify_all();
    }

    /// Called after an idle period: requests a checkpoint unless the last one is up to date.
    pub(super) fn idle(&self, mark: &Mark) {
        if let Some(space) = &self.parts.space {
            space.restore_reserve();
        }
        let mut state = self.lock();
        let damage_is_recorded =
            !self.parts.shared.rows.is_damaged() || state.last.condition == Condition::Rebuilding;
        if !state.background
            || state.running
            || (state.last.mark.position == mark.position && damage_is_recorded)
        {
            return;
        }
        state.requested = Some(mark.clone());
        drop(state);
        self.changed.notify_all();
    }

    /// Called after the committer stopped at `mark`: makes the last checkpoint, which tells the
    /// next start that the stop was clean.
    pub(super) fn stop(&self, mark: &Mark) {
        self.lock().stopped = true;
        self.stopping.raise();
        self.changed.notify_all();
        // A running snapshot or check ends after its current row.
        let _snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let _checkpointing = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.checkpoint(mark, Condition::Clean) {
            tracing::warn!(%error, "the last checkpoint failed; the next start replays the log");
        }
    }

    /// Called after the committer panicked: ends the threads without a last checkpoint.
    pub(super) fn abandon(&self) {
        self.lock().stopped = true;
        self.stopping.raise();
        self.changed.notify_all();
    }

    fn fill_spare(&self) {
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

    /// Makes a checkpoint, unless the store has stopped. Logs a failure; true if it was made.
    fn try_checkpoint(&self, mark: &Mark) -> bool {
        let _checkpointing = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lock().stopped {
            // The checkpoint of the clean stop must be the last one.
            return false;
        }
        let made = self.checkpoint(mark, Condition::Running);
        let had_failed = std::mem::replace(&mut self.lock().checkpoint_failed, made.is_err());
        if let Err(error) = &made
            && !had_failed
        {
            tracing::warn!(%error, "a checkpoint failed; the log is kept until one succeeds");
        }
        made.is_ok()
    }

    fn checkpoint(&self, mark: &Mark, condition: Condition) -> Result<(), StoreError> {
        self.with_reserve(|| self.checkpoint_once(mark, condition))?;
        if let Some(space) = &self.parts.space {
            space.restore_reserve();
        }
        Ok(())
    }

    fn checkpoint_once(&self, mark: &Mark, condition: Condition) -> Result<(), StoreError> {
        let rows = &self.parts.shared.rows;
        if rows.is_temporary() {
            // The engine on the disk lacks rows.
            return Err(StoreError::Unavailable("the rows are in memory only".to_owned()));
        }
        rows.flush_blobs()?;
        {
            // An engine that is behind the log or is being reopened may have lost rows, so no
            // checkpoint is made then.
            let gate = rows.read_gate()?;
            gate.engine().flush().map_err(|error| rows.record_failure(error))?;
        }
        let condition = if rows.is_damaged() { Condition::Rebuilding } else { condition };
        self.write_checkpoint(Checkpoint {
            condition,
            mark: mark.clone(),
            ..self.last_checkpoint()
        })
    }

    /// Replaces the checkpoint file. The caller holds the lock of `checkpointing`.
    pub(super) fn write_checkpoint(&self, checkpoint: Checkpoint) -> Result<(), StoreError> {
        checkpoint.write(&*self.parts.reader.fs, &self.parts.data)?;
        self.lock().last = checkpoint;
        Ok(())
    }

    pub(super) fn last_checkpoint(&self) -> Checkpoint {
        self.lock().last.clone()
    }

    /// The record up to which the last checkpoint holds the log.
    pub(super) fn last_mark(&self) -> Mark {
        self.lock().last.mark.clone()
    }

    /// Runs work that must succeed on a full disk, if necessary with the space of the reserve.
    pub(super) fn with_reserve<T>(
        &self,
        mut work: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &self.parts.space {
            Some(space) => space.with_reserve(|error| *error == StoreError::Full, work),
            None => work(),
        }
    }

    /// The id of the write-ahead log.
    pub(super) fn wal_id(&self) -> WalId {
        self.lock().last.wal
    }

    /// Makes a checkpoint up to `mark` on the calling thread.
    pub(super) fn checkpoint_now(&self, mark: &Mark) -> Result<(), StoreError> {
        let _checkpointing = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lock().stopped {
            // Another process may have opened the folder, and the checkpoint of the clean stop must
            // not be overwritten.
            return Err(stopped());
        }
        self.checkpoint(mark, Condition::Running)
    }
}
