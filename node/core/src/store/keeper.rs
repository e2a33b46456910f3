//! What goes on beside the committer: spare segments, checkpoints and snapshots.
//!
//! A checkpoint files the pending small blobs, flushes the engine, and only then says so by replacing the checkpoint file. If two
//! segments are full and no checkpoint has finished, the committer waits for one.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::checkpoint::{Checkpoint, Condition};
use super::committer::Shared;
use super::rows::Rows;
use super::{Claim, StoreError, snapshot};
use crate::log::recover::{LogError, Reader};
use crate::log::{self, LogId, Mark, SpareShelf, segment};
use crate::random::Random;

/// The work and what it needs.
pub(super) struct Keeper {
    pub(super) reader: Reader,
    pub(super) data: PathBuf,
    pub(super) random: Random,
    pub(super) shared: Arc<Shared>,
    pub(super) spare: SpareShelf,
    pub(super) segment_len: u64,
    pub(super) snapshot_after: u64,
    state: Mutex<State>,
    changed: Condvar,
    /// Keeps snapshots and checkpoints from running at once.
    busy: Mutex<()>,
}

struct State {
    last: Checkpoint,
    wanted: Option<Mark>,
    running: bool,
    spare_wanted: bool,
    stopping: bool,
    /// Without a thread of its own the work is done by the committer, so that each run of a test is the same.
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
    pub(super) last: Checkpoint,
    pub(super) threaded: bool,
}

impl Keeper {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts { reader, data, random, shared, spare, segment_len, snapshot_after, last, threaded } = parts;
        let state = State { last, wanted: None, running: false, spare_wanted: threaded, stopping: false, threaded };
        let (changed, busy) = (Condvar::new(), Mutex::new(()));
        let state = Mutex::new(state);
        Arc::new(Self { reader, data, random, shared, spare, segment_len, snapshot_after, state, changed, busy })
    }

    /// Starts its thread, unless it is to do without.
    pub(super) fn start(self: &Arc<Self>, claim: Claim) -> io::Result<Option<JoinHandle<()>>> {
        if !self.lock().threaded {
            return Ok(None);
        }
        let keeper = self.clone();
        // The folder stays claimed until the last thread that writes in it has ended.
        let keep = move || {
            keeper.run();
            drop(claim);
        };
        std::thread::Builder::new().name("store keeper".into()).spawn(keep).map(Some)
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
                if catch_unwind(AssertUnwindSafe(|| self.checkpoint_and_snapshot(&mark))).is_err() {
                    tracing::error!("a checkpoint panicked; the log is kept until one succeeds");
                }
                self.lock().running = false;
                self.changed.notify_all();
            }
        }
    }

    /// A segment was begun: the one before it is to be covered by a checkpoint, and the next to be prepared.
    pub(super) fn segment_begun(&self, mark: &Mark) {
        let mut state = self.lock();
        if !state.threaded {
            drop(state);
            self.checkpoint_and_snapshot(mark);
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
        let mut state = self.lock();
        if !state.threaded || state.running || state.last.mark.position == mark.position {
            return;
        }
        state.wanted = Some(mark.clone());
        drop(state);
        self.changed.notify_all();
    }

    /// The committer has stopped at `mark`: the last checkpoint says so, and the next start need not look further.
    pub(super) fn stop(&self, mark: &Mark) {
        self.lock().stopping = true;
        self.changed.notify_all();
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.checkpoint(mark, Condition::Clean) {
            tracing::warn!(%error, "the store could not be stopped cleanly; the next start reads the log");
        }
    }

    /// The committer failed: nothing more is to be kept.
    pub(super) fn abandon(&self) {
        self.lock().stopping = true;
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

    fn checkpoint_and_snapshot(&self, mark: &Mark) {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lock().stopping {
            // The clean stop's own checkpoint is, or will be, the last.
            return;
        }
        if let Err(error) = self.checkpoint(mark, Condition::Running) {
            tracing::warn!(%error, "a checkpoint failed; the log is kept until one succeeds");
            return;
        }
        if let Err(error) = self.snapshot_if_due() {
            tracing::warn!(%error, "a snapshot failed; the log is kept until one succeeds");
        }
    }

    fn checkpoint(&self, mark: &Mark, condition: Condition) -> Result<(), StoreError> {
        let rows = &self.shared.rows;
        let io = |e: io::Error| StoreError::from_io(&e);
        rows.file()?;
        {
            // An engine that is behind, or reopened meanwhile, must not be said to hold what it lost.
            let _open = rows.enter()?;
            rows.engine().flush()?;
        }
        let last = Checkpoint { condition, mark: mark.clone(), ..self.lock().last.clone() };
        last.write(&*self.reader.fs, &self.data).map_err(io)?;
        self.lock().last = last;
        Ok(())
    }

    /// Brings an engine that failed up to `end`, from the last checkpoint; nobody reads meanwhile.
    pub(super) fn catch_up(&self, rows: &Rows, end: &Mark) -> Result<(), StoreError> {
        rows.behind(|| {
            // Read inside the gate: no checkpoint can claim anything while the engine is reopened.
            let from = self.lock().last.mark.clone();
            rows.engine().reopen()?;
            let from = (from != Mark::default()).then_some(from);
            let mut take = |group: crate::log::recover::Group| Ok(rows.apply(&group.changes).map_err(StoreError::from)?);
            self.reader.read_until(from.as_ref(), end.position, &mut take).map_err(|error| match error {
                LogError::Taker(error) => error,
                other => StoreError::Unavailable(other.to_string()),
            })
        })
    }

    /// Makes a snapshot of everything up to the last checkpoint, and removes what only an older one needs.
    pub(super) fn snapshot(&self) -> Result<(), StoreError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        self.snapshot_now()
    }

    fn snapshot_if_due(&self) -> Result<(), StoreError> {
        let io = |e: io::Error| StoreError::from_io(&e);
        let newest = snapshot::list(&*self.reader.fs, &self.data).map_err(io)?.pop();
        let newest_len = match newest {
            None => 0,
            Some(position) => {
                let file = self.reader.fs.open(&snapshot::path(&self.data, position)).map_err(io)?;
                file.len().map_err(io)?
            }
        };
        let names = segment::list(&*self.reader.fs, &self.reader.folder).map_err(io)?;
        let since = names.iter().filter(|name| newest.is_none_or(|position| name.first > position)).count() as u64;
        if since.saturating_mul(self.segment_len) > self.snapshot_after.max(newest_len) { self.snapshot_now() } else { Ok(()) }
    }

    fn snapshot_now(&self) -> Result<(), StoreError> {
        let last = self.lock().last.clone();
        let made = snapshot::make(&self.reader, &self.data, &self.random, last.log, &last.mark)?;
        if made {
            let io = |e: io::Error| StoreError::from_io(&e);
            let kept = snapshot::keep_two(&*self.reader.fs, &self.data).map_err(io)?;
            if let Some(older) = kept {
                log::forget(&*self.reader.fs, &self.reader.folder, older).map_err(io)?;
            }
        }
        Ok(())
    }

    /// Does `work` while no checkpoint or snapshot is made and no part of the log is removed.
    pub(super) fn undisturbed<T>(&self, work: impl FnOnce() -> T) -> T {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// The log's name.
    pub(super) fn log(&self) -> LogId {
        self.lock().last.log
    }

    /// Makes a checkpoint now.
    pub(super) fn checkpoint_now(&self, mark: &Mark) -> Result<(), StoreError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        self.checkpoint(mark, Condition::Running)
    }
}
