//! The queue of changes that wait for the committer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{StoreError, Tx};

/// A change with its reply channel.
pub(super) trait Job<H>: Send {
    /// Runs the change; true if its writes are to be committed.
    fn run(&mut self, tx: &mut Tx<'_, H>) -> bool;
    /// Replies with the result of the change, or with the error of committing it.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

pub(super) struct QueueState<H> {
    pub(super) jobs: VecDeque<Box<dyn Job<H>>>,
    /// Changes of the store itself, which go before all others: the committer serves them even
    /// while it waits for a checkpoint, because a checkpoint needs them.
    urgent: VecDeque<Box<dyn Job<H>>>,
    pub(super) closing: bool,
    /// The committer has ended: no change is committed any more.
    ended: bool,
    /// The error of each change while the rows are rebuilt.
    refusal: Option<StoreError>,
    /// The engine failed: the committer is to recover it although no change waits.
    pub(super) recovery_due: bool,
    /// The committer waits on the condition variable.
    pub(super) asleep: bool,
}

/// The queue of pending changes.
pub(super) struct Queue<H> {
    state: Mutex<QueueState<H>>,
    /// The number of pending changes.
    pub(super) count: AtomicUsize,
    pub(super) wake: Condvar,
}

impl<H> Default for Queue<H> {
    fn default() -> Self {
        let state = QueueState {
            jobs: VecDeque::new(),
            urgent: VecDeque::new(),
            closing: false,
            ended: false,
            refusal: None,
            recovery_due: false,
            asleep: false,
        };
        Self { state: Mutex::new(state), count: AtomicUsize::new(0), wake: Condvar::new() }
    }
}

impl<H> QueueState<H> {
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.urgent.is_empty()
    }

    /// The next changes, at most `limit` that are not urgent.
    pub(super) fn take(&mut self, limit: usize) -> VecDeque<Box<dyn Job<H>>> {
        let mut jobs = std::mem::take(&mut self.urgent);
        let rest = self.jobs.split_off(self.jobs.len().min(limit));
        jobs.append(&mut std::mem::replace(&mut self.jobs, rest));
        jobs
    }
}

impl<H> Queue<H> {
    pub(super) fn lock(&self) -> MutexGuard<'_, QueueState<H>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, job: Box<dyn Job<H>>) {
        let mut state = self.lock();
        let closed = state.closing.then(|| StoreError::Unavailable("the store is closed".into()));
        if let Some(error) = closed.or_else(|| state.refusal.clone()) {
            drop(state);
            job.finish(Err(error));
            return;
        }
        state.jobs.push_back(job);
        self.count.store(state.jobs.len(), Ordering::Release);
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Adds a change of the store itself, which is committed even after [`Queue::close`].
    pub(super) fn push_urgent(&self, job: Box<dyn Job<H>>) {
        let mut state = self.lock();
        let ended = state.ended.then(|| StoreError::Unavailable("the store is closed".into()));
        if let Some(error) = ended.or_else(|| state.refusal.clone()) {
            drop(state);
            job.finish(Err(error));
            return;
        }
        state.urgent.push_back(job);
        state.asleep = false;
        drop(state);
        self.wake.notify_one();
    }

    /// The next urgent change.
    pub(super) fn take_urgent(&self) -> Option<Box<dyn Job<H>>> {
        self.lock().urgent.pop_front()
    }

    /// Refuses all further changes, after the committer has ended.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        (state.closing, state.ended) = (true, true);
        drop(state);
        self.refuse_pending(&StoreError::Unavailable("the store is closed".into()));
    }

    /// Refuses further and pending changes, after the committer panicked.
    pub(super) fn abandon(&self) {
        self.end();
        self.refuse_pending(&StoreError::Unavailable("the store has failed".into()));
    }

    /// Wakes the committer to recover the engine.
    pub(super) fn request_recovery(&self) {
        self.lock().recovery_due = true;
        self.wake.notify_one();
    }

    /// Refuses all changes with this error.
    pub(super) fn refuse_all(&self, error: StoreError) {
        self.lock().refusal = Some(error);
    }

    /// Refuses pending changes, and those that come while `work` runs.
    pub(super) fn refuse_during<T>(&self, error: StoreError, work: impl FnOnce() -> T) -> T {
        self.lock().refusal = Some(error.clone());
        self.refuse_pending(&error);
        let result = work();
        self.lock().refusal = None;
        result
    }

    fn refuse_pending(&self, error: &StoreError) {
        let jobs = {
            let mut state = self.lock();
            state.take(usize::MAX)
        };
        self.count.store(0, Ordering::Release);
        for job in jobs {
            job.finish(Err(error.clone()));
        }
    }

    /// Refuses further changes; pending ones are still committed.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }
}
