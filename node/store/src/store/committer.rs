//! The one thread that commits: collect what waits → evaluate in order → append one group → one
//! sync → apply → acknowledge → hint.
//!
//! Nothing is visible to a reader before it is durable. When several writers are active it waits a
//! little for their return, so that they share a sync: at most an eighth of the last one, and never
//! for a lone writer.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::door::Door;
use super::keeper::Keeper;
use super::rows::Rows;
use super::tx::{Overlay, Tx};
use super::{FolderLock, Room, StoreError};
use crate::blobs::{Hold, SmallBlob};
use crate::hints::{Hint, Hints};
use crate::wal::group::Change;
use crate::wal::{AppendError, Log, Mark};

/// At most so many changes share a group.
const GROUP_CHANGES_MAX: usize = 1024;
/// A group that is so long takes no further change; bytes.
const GROUP_LEN_MAX: usize = 4 * 1024 * 1024;
/// After so long without a change a checkpoint is made.
const IDLE: Duration = Duration::from_secs(2);
/// The longest wait for returning writers, whatever the last sync took.
const LINGER_MAX: Duration = Duration::from_millis(2);

/// A change and whoever waits for it.
pub(super) trait Job<H>: Send {
    /// Does the work; whether what it wrote is to be kept.
    fn run(&mut self, tx: &mut Tx<'_, H>) -> bool;
    /// Tells whoever waits: what the work returned, or why it could not be kept.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Waiting<H> {
    jobs: VecDeque<Box<dyn Job<H>>>,
    closing: bool,
    /// The committer sleeps until so many wait.
    asleep: bool,
}

/// Where changes wait for the committer.
pub(super) struct Queue<H> {
    waiting: Mutex<Waiting<H>>,
    count: AtomicUsize,
    wake: Condvar,
}

impl<H> Default for Queue<H> {
    fn default() -> Self {
        let waiting = Waiting { jobs: VecDeque::new(), closing: false, asleep: false };
        Self { waiting: Mutex::new(waiting), count: AtomicUsize::new(0), wake: Condvar::new() }
    }
}

impl<H> Queue<H> {
    fn lock(&self) -> MutexGuard<'_, Waiting<H>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, job: Box<dyn Job<H>>) {
        let mut waiting = self.lock();
        if waiting.closing {
            drop(waiting);
            job.finish(Err(StoreError::Unavailable("the store is closed".into())));
            return;
        }
        waiting.jobs.push_back(job);
        self.count.store(waiting.jobs.len(), Ordering::Release);
        let wake = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Takes no further change and refuses what waits: the committer is gone.
    pub(super) fn abandon(&self) {
        self.close();
        let jobs = std::mem::take(&mut self.lock().jobs);
        for job in jobs {
            job.finish(Err(StoreError::Unavailable("the store has failed".into())));
        }
    }

    /// Takes no further change; what waits is still committed.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }
}

/// What readers and the committer share.
pub(super) struct Shared {
    pub(super) rows: Rows,
    /// Up to where everything is durable and visible.
    end: Mutex<Mark>,
    /// The next group is to begin a new segment.
    turn: AtomicBool,
}

impl Shared {
    pub(super) fn new(rows: Rows, end: Mark) -> Self {
        Self { rows, end: Mutex::new(end), turn: AtomicBool::new(false) }
    }

    /// Up to where everything is durable and visible.
    pub(super) fn end(&self) -> Mark {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_end(&self, end: &Mark) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone_from(end);
    }

    pub(super) fn begin_segment(&self) {
        self.turn.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Committer<H> {
    queue: Arc<Queue<H>>,
    shared: Arc<Shared>,
    log: Log,
    keeper: Arc<Keeper>,
    hints: Hints<H>,
    /// How many writers seem to be active: those just answered and those waiting then.
    active: usize,
    /// Hints of a group that is durable and not yet visible: the engine failed and could not be
    /// reopened at once.
    late: Vec<H>,
    door: Door,
    /// The data folder is this store's until the committer is done.
    claim: FolderLock,
}

impl<H: Hint> Committer<H> {
    pub(super) fn new(
        queue: Arc<Queue<H>>,
        shared: Arc<Shared>,
        log: Log,
        keeper: Arc<Keeper>,
        hints: Hints<H>,
        door: Door,
        claim: FolderLock,
    ) -> Self {
        Self { queue, shared, log, keeper, hints, active: 0, late: Vec::new(), door, claim }
    }

    pub(super) fn keeper(&self) -> Arc<Keeper> {
        self.keeper.clone()
    }

    pub(super) fn queue(&self) -> Arc<Queue<H>> {
        self.queue.clone()
    }

    /// Commits until the queue is closed and empty, then stops cleanly.
    pub(super) fn run(mut self) {
        let queue = self.queue.clone();
        let mut segment = self.log.end().generation;
        while let Some(jobs) = self.collect(&queue) {
            self.commit(jobs);
            if self.log.end().generation != segment {
                segment = self.log.end().generation;
                self.keeper.segment_begun(self.log.end());
            }
        }
        self.log.close();
        self.keeper.stop(self.log.end());
        drop(self.claim);
    }

    fn collect(&mut self, queue: &Queue<H>) -> Option<VecDeque<Box<dyn Job<H>>>> {
        if self.active > 1 {
            self.linger(queue);
        }
        let mut waiting = queue.lock();
        while waiting.jobs.is_empty() {
            if waiting.closing {
                return None;
            }
            waiting.asleep = true;
            let (woken, timeout) =
                queue.wake.wait_timeout(waiting, IDLE).unwrap_or_else(PoisonError::into_inner);
            waiting = woken;
            waiting.asleep = false;
            if timeout.timed_out() && waiting.jobs.is_empty() {
                drop(waiting);
                if self.shared.rows.is_behind() {
                    // Until this succeeds nobody reads; it is tried again each time.
                    let _ = self.catch_up();
                }
                self.keeper.idle(self.log.end());
                waiting = queue.lock();
            }
        }
        let taken = waiting.jobs.len().min(GROUP_CHANGES_MAX);
        let rest = waiting.jobs.split_off(taken);
        let jobs = std::mem::replace(&mut waiting.jobs, rest);
        queue.count.store(waiting.jobs.len(), Ordering::Release);
        Some(jobs)
    }

    /// Waits for the active writers to come back. The wait is far shorter than a sleeping thread
    /// takes to wake, so it only yields.
    fn linger(&self, queue: &Queue<H>) {
        let until = Instant::now() + (self.log.last_sync() / 8).min(LINGER_MAX);
        while queue.count.load(Ordering::Acquire) < self.active && Instant::now() < until {
            std::thread::yield_now();
        }
    }

    fn commit(&mut self, mut jobs: VecDeque<Box<dyn Job<H>>>) {
        if self.shared.rows.is_behind()
            && let Err(error) = self.catch_up()
        {
            jobs.into_iter().for_each(|job| job.finish(Err(error.clone())));
            return;
        }
        let first = self.log.end().position + 1;
        let mut group = Group::new(self.door.room());
        while let Some(job) = jobs.pop_front() {
            group.evaluate(job, first, &self.shared);
            if group.len > GROUP_LEN_MAX {
                break;
            }
        }
        self.put_back(jobs);
        let outcome = self.keep(&group.changes);
        drop(group.holds);
        self.active = group.jobs.len() + self.queue.count.load(Ordering::Acquire);
        // Hinted before the writer is answered: whoever acts on the answer finds the caches told.
        if outcome.is_ok() {
            group.hints.into_iter().for_each(|hint| self.hints.send(hint));
        } else if self.log.end().position >= first {
            self.late.append(&mut group.hints);
        }
        for (job, failed) in group.jobs {
            job.finish(failed.map_or_else(|| outcome.clone(), Err));
        }
    }

    /// Makes a group durable, then visible.
    fn keep(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.shared.turn.swap(false, Ordering::Relaxed) {
            self.log.fill_segment();
        }
        let mut appended = self.log.append(changes);
        if matches!(appended, Err(AppendError::Full)) && self.door.give_up_reserve() {
            // Whatever of it may lie in the abandoned segment is void before this one is in the
            // next.
            appended = self.log.append(changes);
        }
        appended.map_err(|error| match error {
            AppendError::Full => StoreError::Full,
            AppendError::Failed(error) => StoreError::Unavailable(error.to_string()),
            AppendError::Stopped => StoreError::Unavailable(
                "the disk failed; changes are not taken until the next start".into(),
            ),
        })?;
        if let Err(error) = self.shared.rows.apply(changes) {
            tracing::error!(%error, "applying a durable group failed; the engine is reopened");
            self.catch_up()?;
        }
        self.shared.set_end(self.log.end());
        Ok(())
    }

    /// Reopens the engine and applies again what the log holds since the checkpoint; nobody reads
    /// meanwhile.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        let caught_up = self.keeper.catch_up(&self.shared.rows, self.log.end());
        if caught_up.is_ok() {
            self.shared.set_end(self.log.end());
            self.late.drain(..).for_each(|hint| self.hints.send(hint));
        }
        caught_up
    }

    fn put_back(&self, jobs: VecDeque<Box<dyn Job<H>>>) {
        if !jobs.is_empty() {
            let mut waiting = self.queue.lock();
            for job in jobs.into_iter().rev() {
                waiting.jobs.push_front(job);
            }
            self.queue.count.store(waiting.jobs.len(), Ordering::Release);
        }
    }
}

/// The changes evaluated for one append.
struct Group<H> {
    overlay: Overlay,
    blobs: Vec<SmallBlob>,
    /// What the changes refer to is kept from collection until they are applied.
    holds: Vec<Hold>,
    changes: Vec<Change>,
    jobs: Vec<(Box<dyn Job<H>>, Option<StoreError>)>,
    hints: Vec<H>,
    len: usize,
    room: Room,
}

impl<H: Hint> Group<H> {
    fn new(room: Room) -> Self {
        Self {
            overlay: Overlay::new(),
            blobs: Vec::new(),
            holds: Vec::new(),
            changes: Vec::new(),
            jobs: Vec::new(),
            hints: Vec::new(),
            len: 0,
            room,
        }
    }

    fn evaluate(&mut self, mut job: Box<dyn Job<H>>, first: u64, shared: &Shared) {
        let position = first + self.changes.len() as u64;
        let mut tx = Tx::new(position, &shared.rows, &self.overlay, &self.blobs, self.room);
        // A change that panics has written nothing and harms no other; whoever waits for it is
        // told.
        let kept = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))).unwrap_or(false);
        let written = match (kept, tx.finish()) {
            (false, _) => return self.jobs.push((job, None)),
            (true, Err(error)) => return self.jobs.push((job, Some(error))),
            (true, Ok(written)) => written,
        };
        if !written.rows.is_empty() || !written.blobs.is_empty() {
            let rows = match shared.rows.seal(&written.rows) {
                Ok(rows) => rows,
                Err(error) => return self.jobs.push((job, Some(error))),
            };
            self.len += rows
                .iter()
                .map(|row| row.key.len() + row.value.as_ref().map_or(0, Vec::len))
                .sum::<usize>();
            self.len += written.blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>();
            self.blobs.extend(written.blobs.iter().cloned());
            self.changes.push(Change { rows, blobs: written.blobs });
            self.overlay.extend(written.rows);
        }
        self.holds.extend(written.holds);
        self.hints.extend(written.hints);
        self.jobs.push((job, None));
    }
}
