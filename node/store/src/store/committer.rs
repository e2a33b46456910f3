//! The committer thread: collect the pending changes → evaluate them in order → append one group to
//! the write-ahead log → one sync → apply to the engine → send hints → acknowledge.
//!
//! No change is visible to a reader before it is durable. If several writers are active, the
//! committer waits for them before it collects, so that they share a sync: at most an eighth of the
//! duration of the last sync, and never for a single writer.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::admission::{AdmissionControl, Headroom};
use super::checkpointer::Checkpointer;
use super::committed_rows::CommittedRows;
use super::queue::{Job, Queue};
use super::recovery::{Recovery, rebuilding};
use super::shared::Shared;
use super::tx::{Overlay, Tx};
use super::{FolderLock, StoreError, stopped_log};
use crate::blobs::{Hold, SmallBlob};
use crate::hints::{Hint, Hints};
use crate::wal::group::Change;
use crate::wal::{AppendError, Wal};

mod amount;
mod checkpoints;

use amount::Amount;

/// The most changes in a group.
const GROUP_CHANGES_MAX: usize = 1024;
/// A group that is longer than this gets no further change; bytes.
const GROUP_LEN_MAX: usize = 4 * 1024 * 1024;
/// A checkpoint is made after this time without a change.
const IDLE: Duration = Duration::from_secs(2);
/// The longest wait for active writers.
const LINGER_MAX: Duration = Duration::from_millis(2);

/// The shortest wait before something that failed is repeated.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(10);

pub(super) struct Committer<H> {
    queue: Arc<Queue<H>>,
    shared: Arc<Shared>,
    wal: Wal,
    checkpointer: Arc<Checkpointer>,
    hints: Hints<H>,
    /// The number of active writers: those answered last and those pending at that time.
    active: usize,
    /// Hints of groups that are durable but not visible yet, because the engine failed and could
    /// not be reopened.
    late_hints: Vec<H>,
    admission: AdmissionControl,
    recovery: Recovery,
    /// The log since the last checkpoint was requested.
    since_checkpoint: Amount,
    /// Held until the committer has stopped.
    folder_lock: FolderLock,
}

impl<H: Hint> Committer<H> {
    pub(super) fn new(
        queue: Arc<Queue<H>>,
        shared: Arc<Shared>,
        wal: Wal,
        checkpointer: Arc<Checkpointer>,
        hints: Hints<H>,
        admission: AdmissionControl,
        folder_lock: FolderLock,
    ) -> Self {
        let (active, late_hints, recovery) = (0, Vec::new(), Recovery::default());
        Self {
            queue,
            shared,
            wal,
            checkpointer,
            hints,
            active,
            late_hints,
            admission,
            recovery,
            since_checkpoint: Amount::default(),
            folder_lock,
        }
    }

    pub(super) fn checkpointer(&self) -> Arc<Checkpointer> {
        self.checkpointer.clone()
    }

    pub(super) fn queue(&self) -> Arc<Queue<H>> {
        self.queue.clone()
    }

    /// Commits until the queue is closed and empty, then stops cleanly.
    pub(super) fn run(mut self) {
        let queue = self.queue.clone();
        let mut segment = self.wal.end().generation;
        let mut has_spare = false;
        // The next start need not replay the same again.
        self.checkpointer.offer(self.wal.end());
        while let Some(jobs) = self.next_batch(&queue) {
            self.commit(jobs);
            self.shared.set_log_failure(self.wal.failure());
            if self.wal.end().generation != segment {
                segment = self.wal.end().generation;
                has_spare = false;
                self.segment_begun();
            } else if self.since_checkpoint.is_checkpoint_due()
                && self.checkpointer.offer(self.wal.end())
            {
                self.since_checkpoint = Amount::default();
            }
            if !has_spare && self.wal.needs_spare() {
                has_spare = true;
                self.checkpointer.request_spare();
            }
        }
        self.stop();
        drop(self.folder_lock);
    }

    fn next_batch(&mut self, queue: &Queue<H>) -> Option<VecDeque<Box<dyn Job<H>>>> {
        if self.active > 1 {
            self.linger(queue);
        }
        let mut state = queue.lock();
        while state.is_empty() {
            if state.closing {
                return None;
            }
            state.asleep = true;
            let pause = [self.recovery.retry_in(), self.wal.retry_in()];
            let pause = pause.into_iter().flatten().fold(IDLE, Duration::min).max(RETRY_PAUSE_MIN);
            let (woken, timeout) =
                queue.wake.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.asleep = false;
            let is_due = std::mem::take(&mut state.recovery_due) || timeout.timed_out();
            if is_due && state.is_empty() {
                drop(state);
                self.idle();
                state = queue.lock();
            }
        }
        let jobs = state.take(GROUP_CHANGES_MAX);
        queue.count.store(state.jobs.len(), Ordering::Release);
        Some(jobs)
    }

    /// Repeats what failed, if that is due, and requests a checkpoint.
    fn idle(&mut self) {
        self.wal.resume();
        self.shared.set_log_failure(self.wal.failure());
        let rows = &self.shared.rows;
        if rows.is_behind() || rows.is_temporary() {
            // Until this succeeds, reads fail or are served from memory.
            let _ = self.catch_up();
        }
        let rows = &self.shared.rows;
        if !rows.is_behind() && !rows.is_temporary() {
            self.checkpointer.idle(self.wal.end());
        }
    }

    /// Waits for the active writers. The wait is far shorter than the time to wake a sleeping
    /// thread, so it only yields.
    fn linger(&self, queue: &Queue<H>) {
        let until = Instant::now() + (self.wal.last_sync() / 8).min(LINGER_MAX);
        while queue.count.load(Ordering::Acquire) < self.active && Instant::now() < until {
            std::thread::yield_now();
        }
    }

    fn commit(&mut self, mut jobs: VecDeque<Box<dyn Job<H>>>) {
        if self.shared.rows.is_behind() {
            let refuse = |error: &StoreError| {
                std::mem::take(&mut jobs)
                    .into_iter()
                    .for_each(|job| job.finish(Err(error.clone())));
            };
            if self.catch_up_or(refuse).is_err() || jobs.is_empty() {
                return;
            }
        }
        let first = self.wal.end().position + 1;
        let mut group = Group::new(self.admission.headroom());
        let recovered = OnceCell::new();
        // At most one attempt: after a failure all changes of the group fail.
        let recover = || {
            *recovered.get_or_init(|| {
                self.checkpointer.catch_up(&self.shared.rows, self.wal.end()).is_ok()
            })
        };
        let committed = CommittedRows::new(&self.shared.rows, &recover);
        while let Some(job) = jobs.pop_front() {
            group.evaluate(job, first, committed, &self.shared);
            if group.len > GROUP_LEN_MAX {
                break;
            }
        }
        self.requeue(jobs);
        let outcome = self.make_durable(&group.changes);
        self.since_checkpoint.add(group.len, &group.changes);
        drop(group.holds);
        self.active = group.jobs.len() + self.queue.count.load(Ordering::Acquire);
        // Hints are sent before the replies, so that a caller that acts on a reply finds caches
        // invalidated.
        if outcome.is_ok() {
            group.hints.into_iter().for_each(|hint| self.hints.send(hint));
        } else if self.wal.end().position >= first {
            self.late_hints.append(&mut group.hints);
        }
        for (job, failed) in group.jobs {
            job.finish(failed.map_or_else(|| outcome.clone(), Err));
        }
    }

    /// Makes a group durable, then visible.
    fn make_durable(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.shared.take_rotation() {
            self.wal.rotate();
        }
        let mut appended = self.wal.append(changes);
        if matches!(appended, Err(AppendError::Full)) && self.admission.release_reserve() {
            // A record that the abandoned segment may hold is void once the next segment is begun.
            appended = self.wal.append(changes);
        }
        appended.map_err(|error| match error {
            AppendError::Full => StoreError::Full,
            AppendError::Failed(error) => StoreError::Unavailable(error.to_string()),
            AppendError::Stopped(error) => stopped_log(&error),
        })?;
        let applying = self.shared.applying();
        let Err(error) = self.shared.rows.apply(changes) else {
            self.shared.set_end(self.wal.end());
            return Ok(());
        };
        drop(applying);
        tracing::error!(%error, "applying a durable group failed; the engine is reopened");
        self.catch_up()
    }

    fn catch_up(&mut self) -> Result<(), StoreError> {
        self.catch_up_or(|_| ())
    }

    /// Reopens the engine and replays the log since the checkpoint, or rebuilds it, if an attempt
    /// is due. `refuse` is called with the error of other changes before a rebuild begins, and
    /// after a failure.
    fn catch_up_or(&mut self, mut refuse: impl FnMut(&StoreError)) -> Result<(), StoreError> {
        let space = self.checkpointer.parts.space.as_ref();
        let rows = &self.shared.rows;
        if let Some(error) = self.recovery.refusal(space) {
            let error = rows.unreadable().unwrap_or(error);
            refuse(&error);
            return Err(error);
        }
        let end = self.wal.end();
        let _applying = self.shared.applying();
        let result = if rows.is_temporary() {
            self.checkpointer.rebuild(rows, end)
        } else {
            self.checkpointer.catch_up(rows, end).or_else(|error| {
                tracing::error!(%error, "the engine does not open; its rows are rebuilt");
                let error = rebuilding();
                refuse(&error);
                self.queue.refuse_during(error, || self.checkpointer.rebuild(rows, end))
            })
        };
        self.recovery.record(&result, space);
        if let Err(error) = result {
            tracing::error!(%error, "the engine could not be recovered; this is tried again");
            if !rows.is_temporary() {
                let error = rows.unreadable().unwrap_or(error);
                refuse(&error);
                return Err(error);
            }
        }
        self.shared.set_end(end);
        self.late_hints.drain(..).for_each(|hint| self.hints.send(hint));
        Ok(())
    }

    fn requeue(&self, jobs: VecDeque<Box<dyn Job<H>>>) {
        if !jobs.is_empty() {
            let mut state = self.queue.lock();
            for job in jobs.into_iter().rev() {
                state.jobs.push_front(job);
            }
            self.queue.count.store(state.jobs.len(), Ordering::Release);
        }
    }
}

/// The changes of one append.
struct Group<H> {
    overlay: Overlay,
    blobs: Vec<SmallBlob>,
    /// Keep the blobs that the changes refer to from collection until the changes are applied.
    holds: Vec<Hold>,
    changes: Vec<Change>,
    jobs: Vec<(Box<dyn Job<H>>, Option<StoreError>)>,
    hints: Vec<H>,
    len: usize,
    headroom: Headroom,
}

impl<H: Hint> Group<H> {
    fn new(headroom: Headroom) -> Self {
        Self {
            overlay: Overlay::new(),
            blobs: Vec::new(),
            holds: Vec::new(),
            changes: Vec::new(),
            jobs: Vec::new(),
            hints: Vec::new(),
            len: 0,
            headroom,
        }
    }

    fn evaluate(
        &mut self,
        mut job: Box<dyn Job<H>>,
        first: u64,
        committed: CommittedRows<'_>,
        shared: &Shared,
    ) {
        let position = first + self.changes.len() as u64;
        let mut tx = Tx::new(position, committed, &self.overlay, &self.blobs, self.headroom);
        // The writes of a change that panics are discarded; other changes are not affected.
        let succeeded = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))).unwrap_or(false);
        let written = match (succeeded, tx.finish()) {
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
