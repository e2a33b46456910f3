//! Background work beside the committer: spare segments, checkpoints and snapshots.
//!
//! A checkpoint writes the small blobs to packs and their places by changes, flushes the engine,
//! then replaces the checkpoint file. One is made after each start, when a segment is full, earlier
//! after many rows or bytes (committer/amount.rs), and when nothing changes. If two segments are
//! full and no checkpoint has finished, the committer waits for one, and commits only places
//! meanwhile. Snapshots (checkpointer/snapshots.rs) have a thread of their own, so that the
//! committer never waits for them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::checkpoint::{Checkpoint, Condition};
use super::options::EngineSource;
use super::packs::PlaceChange;
use super::shared::Shared;
use super::{FolderLock, Stop, StoreError, stopped};
use crate::space::FreeSpace;
use crate::wal::recover::Reader;
use crate::wal::{Mark, SpareSlot, WalId};
use freehold_proto::random::Random;

mod packing;
mod snapshots;
mod spare;
mod work;

pub(super) use packing::Packing;
pub(super) use work::Work;

/// Makes spare segments, checkpoints and snapshots.
pub(super) struct Checkpointer {
    pub(super) parts: Parts,
    state: Mutex<State>,
    changed: Condvar,
    /// Locked while blobs are written to packs and until their places are durable, so that no
    /// entry waits for its place while a pack is rewritten. The committer commits those places, so
    /// it never waits for this lock without serving urgent changes.
    packing: Mutex<()>,
    /// Commits places on the committer's thread, for other threads.
    commit_places: OnceLock<Box<packing::CommitPlaces>>,
    /// Sends work to the committer's thread.
    send_work: OnceLock<Box<work::SendWork>>,
    /// Locked while the engine is flushed and the checkpoint file is written.
    checkpointing: Mutex<()>,
    /// Locked while snapshots, and the log segments they replace, are created, read or removed.
    snapshots: Mutex<()>,
    /// Raised when the store stops; ends a snapshot or a check.
    pub(super) stopping: Stop,
}

/// How long the committer waits for a checkpoint before it looks for urgent changes.
const REQUEST_WAIT: Duration = Duration::from_millis(1);

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
            spare_requested: false,
            stopped: false,
            background,
        };
        Arc::new(Self {
            parts,
            state: Mutex::new(state),
            changed: Condvar::new(),
            packing: Mutex::new(()),
            commit_places: OnceLock::new(),
            send_work: OnceLock::new(),
            checkpointing: Mutex::new(()),
            snapshots: Mutex::new(()),
            stopping: Stop::default(),
        })
    }

    /// True if threads of their own make checkpoints and snapshots.
    pub(super) fn is_background(&self) -> bool {
        self.lock().background
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
                let made = catch_unwind(AssertUnwindSafe(|| self.checkpoint_requested(&mark)))
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

    /// Called after a segment was begun: requests a checkpoint for the segments before it. False if
    /// two checkpoints are unfinished: the committer commits urgent changes
    /// and calls this again.
    pub(super) fn request(&self, mark: &Mark) -> bool {
        let mut state = self.lock();
        if state.running && state.requested.is_some() && !state.stopped {
            let waited = self.changed.wait_timeout(state, REQUEST_WAIT);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            return false;
        }
        state.requested = Some(mark.clone());
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Called after an idle period: requests a checkpoint unless the last one is up to date.
    pub(super) fn idle(&self, mark: &Mark) {
        if let Some(space) = &self.parts.space {
            space.restore_reserve();
        }
        self.offer(mark);
    }

    /// Requests a checkpoint, unless the last one is up to date or another one is being made. False
    /// if it is not requested. Never waits.
    pub(super) fn offer(&self, mark: &Mark) -> bool {
        let mut state = self.lock();
        let damage_is_recorded =
            !self.parts.shared.rows.is_damaged() || state.last.condition == Condition::Rebuilding;
        if !state.background
            || state.running
            || (state.last.mark.position == mark.position && damage_is_recorded)
        {
            return false;
        }
        state.requested = Some(mark.clone());
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Called by the committer before its last checkpoint: no other checkpoint begins from here on.
    pub(super) fn begin_stop(&self) {
        self.lock().stopped = true;
        self.stopping.raise();
        self.changed.notify_all();
    }

    /// Called after the committer stopped at `mark`: makes the last checkpoint, which tells the
    /// next start that the stop was clean, unless `packed` is an error.
    pub(super) fn stop(&self, mark: &Mark, packed: Result<(), StoreError>) {
        // A running snapshot or check ends after its current row.
        let _snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let _checkpointing = self.lock_checkpointing();
        let rows = &self.parts.shared.rows;
        let checkpoint = packed
            .and_then(|()| rows.prepare_next_opening())
            .and_then(|()| self.checkpoint(mark, Condition::Clean));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the last checkpoint failed; the next start replays the log");
        }
    }

    /// Called after the committer panicked: ends the threads without a last checkpoint.
    pub(super) fn abandon(&self) {
        self.lock().stopped = true;
        self.stopping.raise();
        self.changed.notify_all();
    }

    /// Makes a requested checkpoint, on the thread of checkpoints. Logs a failure; true if it was
    /// made.
    fn checkpoint_requested(&self, mark: &Mark) -> bool {
        match self.lock_packing() {
            Ok(packing) => self.make(mark, &packing, &mut |changes| self.commit_elsewhere(changes)),
            // The checkpoint of the clean stop must be the last one.
            Err(_) => false,
        }
    }

    /// Makes a checkpoint up to `mark`, with places committed by `commit`. Logs a failure; true if
    /// it was made.
    pub(super) fn make(
        &self,
        mark: &Mark,
        packing: &Packing<'_>,
        commit: &mut dyn FnMut(Vec<PlaceChange>) -> Result<(), StoreError>,
    ) -> bool {
        let made = self.pack(packing, commit).and_then(|()| self.checkpoint_running(mark));
        let had_failed = {
            let mut state = self.lock();
            if state.stopped {
                return false;
            }
            std::mem::replace(&mut state.checkpoint_failed, made.is_err())
        };
        if let Err(error) = &made
            && !had_failed
        {
            tracing::warn!(%error, "a checkpoint failed; the log is kept until one succeeds");
        }
        made.is_ok()
    }

    fn checkpoint_running(&self, mark: &Mark) -> Result<(), StoreError> {
        let _checkpointing = match self.is_background() {
            true => self.lock_checkpointing(),
            // The committer itself makes it: a compaction that holds the lock waits for the
            // committer.
            false => match self.checkpointing.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    let text = "a compaction is exchanging the engine".to_owned();
                    return Err(StoreError::Unavailable(text));
                }
            },
        };
        if self.lock().stopped {
            // Another process may have opened the folder, and the checkpoint of the clean stop must
            // not be overwritten.
            return Err(stopped());
        }
        self.checkpoint(mark, Condition::Running)
    }

    /// Makes the checkpoint after a rebuild; no other thread runs yet.
    pub(super) fn finish_rebuild(&self, mark: &Mark) -> Result<(), StoreError> {
        self.checkpoint_running(mark)
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
            return Err(temporary());
        }
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

    /// [`Checkpointer::write_checkpoint`], after which this checkpoint counts as the last one, also
    /// after an error.
    pub(super) fn correct_checkpoint(&self, last: Checkpoint) -> Result<(), StoreError> {
        self.lock().last = last.clone();
        self.write_checkpoint(last)
    }

    /// Lets no checkpoint be made while the guard lives.
    pub(super) fn lock_checkpointing(&self) -> MutexGuard<'_, ()> {
        self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Makes a checkpoint of all changes so far, on the calling thread, which is not the
    /// committer's.
    pub(super) fn checkpoint_now(&self) -> Result<(), StoreError> {
        let packing = self.lock_packing()?;
        let mark = self.parts.shared.end();
        self.pack(&packing, &mut |changes| self.commit_elsewhere(changes))?;
        self.checkpoint_running(&mark)
    }
}

/// The error of a checkpoint while the engine on the disk lacks rows.
fn temporary() -> StoreError {
    StoreError::Unavailable("the rows are in memory only".to_owned())
}
