//! What goes on beside the committer: spare segments, checkpoints and snapshots.
//!
//! A checkpoint files the pending small blobs, flushes the engine, and only then says so by
//! replacing the checkpoint file. If two segments are full and no checkpoint has finished, the
//! committer waits for one. Snapshots have a thread of their own, so that nobody waits for them; a
//! stop ends them between two rows.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::checkpoint::{Checkpoint, Condition};
use super::committer::Shared;
use super::rows::Rows;
use super::{FolderLock, Stop, StoreError, snapshot, stopped};
use crate::space::FreeSpace;
use crate::wal::recover::{Reader, WalError};
use crate::wal::{self, LogId, Mark, SpareShelf, segment};
use freehold_proto::random::Random;

/// After a snapshot that failed, the next is tried when so many more segments have been begun.
const RETRY_AFTER_SEGMENTS: u64 = 4;

/// The work and what it needs.
pub(super) struct Keeper {
    pub(super) reader: Reader,
    pub(super) data: PathBuf,
    pub(super) random: Random,
    pub(super) shared: Arc<Shared>,
    pub(super) spare: SpareShelf,
    pub(super) segment_len: u64,
    pub(super) snapshot_after: u64,
    space: Option<FreeSpace>,
    state: Mutex<State>,
    changed: Condvar,
    /// Held while a checkpoint is made.
    busy: Mutex<()>,
    /// Held while snapshots, or the log that they replace, are made, read or removed.
    history: Mutex<()>,
    /// Raised by the stop, for whatever takes long.
    pub(super) ending: Stop,
}

struct State {
    last: Checkpoint,
    wanted: Option<Mark>,
    running: bool,
    /// A checkpoint was made since it was last looked whether a snapshot is due.
    snapshot_wanted: bool,
    /// The generation that was open when a snapshot failed.
    snapshot_failed: Option<u64>,
    spare_wanted: bool,
    stopping: bool,
    /// Without a thread of its own the work is done by the committer, so that each run of a test is
    /// the same.
    threaded: bool,
}

/// What the keeper is made of.
pub(super) struct Parts {
    pub(super) reader: Reader,
    pub(super) data: PathBuf,
    pub(super) random: Random,
    pub(super) shared: Arc<Shared>,
    pub(super) spare: SpareShelf,
    pub(super) segment_len: u64,
    pub(super) snapshot_after: u64,
    pub(super) space: Option<FreeSpace>,
    pub(super) last: Checkpoint,
    pub(super) threaded: bool,
}

impl Keeper {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            reader,
            data,
            random,
            shared,
            spare,
            segment_len,
            snapshot_after,
            space,
            last,
            threaded,
        } = parts;
        let state = Mutex::new(State {
            last,
            wanted: None,
            running: false,
            snapshot_wanted: false,
            snapshot_failed: None,
            spare_wanted: threaded,
            stopping: false,
            threaded,
        });
        let (changed, busy, history, ending) =
            (Condvar::new(), Mutex::new(()), Mutex::new(()), Stop::default());
        Arc::new(Self {
            reader,
            data,
            random,
            shared,
            spare,
            segment_len,
            snapshot_after,
            space,
            state,
            changed,
            busy,
            history,
            ending,
        })
    }

    /// Starts its threads, unless it is to do without.
    pub(super) fn start(self: &Arc<Self>, claim: &FolderLock) -> io::Result<Vec<JoinHandle<()>>> {
        if !self.lock().threaded {
            return Ok(Vec::new());
        }
        let spawn = |name: &str, work: fn(&Self)| {
            // The folder stays claimed until the last thread that writes in it has ended.
            let (keeper, claim) = (self.clone(), claim.clone());
            let keep = move || {
                work(&keeper);
                drop(claim);
            };
            std::thread::Builder::new().name(name.into()).spawn(keep)
        };
        Ok(vec![spawn("store keeper", Self::run)?, spawn("store snapshots", Self::run_snapshots)?])
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let mut state = self.lock();
            while !state.stopping && !state.spare_wanted && state.wanted.is_none() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopping {
                return;
            }
            let (spare, mark) = (std::mem::take(&mut state.spare_wanted), state.wanted.take());
            state.running = mark.is_some();
            drop(state);
            if spare {
                self.fill_spare();
            }
            if let Some(mark) = mark {
                // A panic here must not leave the committer waiting for ever.
                let made = catch_unwind(AssertUnwindSafe(|| self.checkpoint_said(&mark)))
                    .unwrap_or_else(|_| {
                        tracing::error!(
                            "a checkpoint panicked; the log is kept until one succeeds"
                        );
                        false
                    });
                let mut state = self.lock();
                state.running = false;
                state.snapshot_wanted |= made;
                drop(state);
                self.changed.notify_all();
            }
        }
    }

    fn run_snapshots(&self) {
        loop {
            let mut state = self.lock();
            while !state.stopping && !state.snapshot_wanted {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopping {
                return;
            }
            state.snapshot_wanted = false;
            drop(state);
            if catch_unwind(AssertUnwindSafe(|| self.snapshot_if_due())).is_err() {
                tracing::error!("a snapshot panicked; the log is kept until one succeeds");
            }
        }
    }

    /// A segment was begun: the one before it is to be covered by a checkpoint, and the next to be
    /// prepared.
    pub(super) fn segment_begun(&self, mark: &Mark) {
        let mut state = self.lock();
        if !state.threaded {
            drop(state);
            if self.checkpoint_said(mark) {
                self.snapshot_if_due();
            }
            return;
        }
        state.spare_wanted = true;
        while state.running && state.wanted.is_some() && !state.stopping {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.wanted = Some(mark.clone());
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing has been committed for a while.
    pub(super) fn idle(&self, mark: &Mark) {
        if let Some(space) = &self.space {
            space.restore_reserve();
        }
        let mut state = self.lock();
        let is_said =
            !self.shared.rows.is_damaged() || state.last.condition == Condition::Rebuilding;
        if !state.threaded
            || state.running
            || (state.last.mark.position == mark.position && is_said)
        {
            return;
        }
        state.wanted = Some(mark.clone());
        drop(state);
        self.changed.notify_all();
    }

    /// The committer has stopped at `mark`: the last checkpoint says so, and the next start need
    /// not look further.
    pub(super) fn stop(&self, mark: &Mark) {
        self.lock().stopping = true;
        self.ending.raise();
        self.changed.notify_all();
        // Whoever is at the snapshots ends between two rows.
        let _history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.checkpoint(mark, Condition::Clean) {
            tracing::warn!(%error, "the store could not be stopped cleanly; the next start reads the log");
        }
    }

    /// The committer failed: nothing more is to be kept.
    pub(super) fn abandon(&self) {
        self.lock().stopping = true;
        self.ending.raise();
        self.changed.notify_all();
    }

    fn fill_spare(&self) {
        let mut shelf = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.is_none() {
            match segment::prepare(&*self.reader.fs, &self.reader.folder, self.segment_len) {
                Ok(spare) => *shelf = Some(spare),
                Err(error) => tracing::warn!(%error, "no log segment could be prepared ahead"),
            }
        }
    }

    /// Makes a checkpoint, and says if it fails.
    fn checkpoint_said(&self, mark: &Mark) -> bool {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lock().stopping {
            // The clean stop's own checkpoint is, or will be, the last.
            return false;
        }
        let made = self.checkpoint(mark, Condition::Running);
        if let Err(error) = &made {
            tracing::warn!(%error, "a checkpoint failed; the log is kept until one succeeds");
        }
        made.is_ok()
    }

    fn checkpoint(&self, mark: &Mark, condition: Condition) -> Result<(), StoreError> {
        self.pressing(|| self.checkpoint_once(mark, condition))?;
        if let Some(space) = &self.space {
            space.restore_reserve();
        }
        Ok(())
    }

    fn checkpoint_once(&self, mark: &Mark, condition: Condition) -> Result<(), StoreError> {
        let rows = &self.shared.rows;
        rows.file()?;
        {
            // An engine that is behind, or reopened meanwhile, must not be said to hold what it
            // lost.
            let _open = rows.enter()?;
            rows.engine().flush().map_err(|error| rows.note(error))?;
        }
        let condition = if rows.is_damaged() { Condition::Rebuilding } else { condition };
        let last = Checkpoint { condition, mark: mark.clone(), ..self.lock().last.clone() };
        last.write(&*self.reader.fs, &self.data)?;
        self.lock().last = last;
        Ok(())
    }

    /// Does what must go on even on a full disk; the reserve makes room for it.
    fn pressing(&self, mut work: impl FnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
        match &self.space {
            Some(space) => space.pressing(|error| *error == StoreError::Full, work),
            None => work(),
        }
    }

    /// Brings an engine that failed up to `end`, from the last checkpoint; nobody reads meanwhile.
    pub(super) fn catch_up(&self, rows: &Rows, end: &Mark) -> Result<(), StoreError> {
        rows.behind(|| {
            // Read inside the gate: no checkpoint can claim anything while the engine is reopened.
            let from = self.lock().last.mark.clone();
            let from = (from != Mark::default()).then_some(from);
            let mut take = |group: crate::wal::recover::Group| Ok(rows.apply(&group.changes).map_err(StoreError::from)?);
            self.pressing(|| {
                rows.engine().reopen()?;
                self.reader.read_until(from.as_ref(), end.position, &mut take).map_err(|error| match error {
                    WalError::Taker(error) => error,
                    other => StoreError::Unavailable(other.to_string()),
                })?;
                // It may take later what it is given, and must not be called whole before.
                Ok(rows.engine().drain()?)
            })?;
            if let Err(error) = rows.forget_unreferred(false, &self.ending) {
                tracing::warn!(%error, "blobs of rows that are gone could not be looked for; the next collection does");
            }
            Ok(())
        })
    }

    /// Makes a snapshot of everything up to the last checkpoint, and removes what only an older one
    /// needs.
    pub(super) fn snapshot(&self) -> Result<(), StoreError> {
        let _history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        self.snapshot_now()
    }

    /// Makes a snapshot if the log since the last has grown long; says once if that fails, and
    /// tries again some segments later.
    fn snapshot_if_due(&self) {
        let _history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let (failed, open) = {
            let state = self.lock();
            (state.snapshot_failed, state.last.mark.generation)
        };
        if failed.is_some_and(|failed| open < failed + RETRY_AFTER_SEGMENTS) {
            return;
        }
        let made =
            self.is_snapshot_due().and_then(|due| if due { self.snapshot_now() } else { Ok(()) });
        match made {
            Ok(()) => self.lock().snapshot_failed = None,
            Err(_) if self.ending.is_raised() => {}
            Err(error) => {
                if self.lock().snapshot_failed.replace(open).is_none() {
                    tracing::warn!(%error, "a snapshot failed; the log is kept until one succeeds");
                }
            }
        }
    }

    fn is_snapshot_due(&self) -> Result<bool, StoreError> {
        let newest = snapshot::list(&*self.reader.fs, &self.data)?.pop();
        let newest_len = match newest {
            None => 0,
            Some(position) => {
                let file = self.reader.fs.open(&snapshot::path(&self.data, position))?;
                file.len()?
            }
        };
        let names = segment::list(&*self.reader.fs, &self.reader.folder)?;
        let since =
            names.iter().filter(|name| newest.is_none_or(|position| name.first > position)).count()
                as u64;
        Ok(since.saturating_mul(self.segment_len) > self.snapshot_after.max(newest_len))
    }

    fn snapshot_now(&self) -> Result<(), StoreError> {
        self.ending.check()?;
        let last = self.lock().last.clone();
        let (reader, data, random, stop) = (&self.reader, &self.data, &self.random, &self.ending);
        let maker = snapshot::Maker {
            reader,
            data,
            random,
            log: last.log,
            stop,
            space: self.space.as_ref(),
        };
        if let Some(made) = maker.make(&last.mark)?
            && let Some(older) = made.keep(&*reader.fs, data)?
        {
            wal::forget(&*reader.fs, &reader.folder, older)?;
        }
        Ok(())
    }

    /// The first position that a snapshot or a segment of the log still tells of.
    pub(super) fn oldest(&self) -> Result<u64, StoreError> {
        let _history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = snapshot::list(&*self.reader.fs, &self.data)?.first().copied();
        let segment =
            segment::list(&*self.reader.fs, &self.reader.folder)?.first().map(|name| name.first);
        Ok(snapshot.into_iter().chain(segment).min().unwrap_or_default())
    }

    /// Does `work`, which ends when the store is stopped, while no snapshot is made and no part of
    /// the log is removed.
    pub(super) fn undisturbed<T>(&self, work: impl FnOnce(&Stop) -> T) -> T {
        let _history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        work(&self.ending)
    }

    /// The log's name.
    pub(super) fn log(&self) -> LogId {
        self.lock().last.log
    }

    /// Makes a checkpoint now.
    pub(super) fn checkpoint_now(&self, mark: &Mark) -> Result<(), StoreError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lock().stopping {
            // The folder may be another's by now, and what the clean stop said must stand.
            return Err(stopped());
        }
        self.checkpoint(mark, Condition::Running)
    }
}
