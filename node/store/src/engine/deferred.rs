//! An engine with a memtable in front of it: a group is applied to the memtable, and a thread
//! flushes many rows at once to the engine below.
//!
//! A batch of one row costs an engine nearly as much as a batch of ten, and every commit would wait
//! for it. With the memtable a row that is overwritten often reaches the engine once. The log holds
//! every group already, so rows that a crash loses are replayed. An error of a flush is sticky, as
//! an engine's errors are, until the engine is reopened.
//!
//! A page is a consistent view: copy the rows of the memtables in its range, read the engine, and
//! read again if a flush began in between, because the engine may then hold rows that are newer
//! than the copy. After [`READ_TRIES_MAX`] attempts groups wait for the page.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Cell, Engine, EngineError, KeyRange, Pair, Write, bounds, engine_key, split_key};
use crate::types::Scan;

mod merge;

/// The number of rows in the memtable that starts a flush. A row that each change writes, as a
/// folder's, reaches the engine once in a flush.
const FLUSH_ROWS: usize = 512;
/// With so many rows in the memtable a group waits for the next flush. This bounds the memory of
/// both memtables.
const MEMTABLE_ROWS_MAX: usize = 1000;
/// The longest time before a flush of fewer than [`FLUSH_ROWS`] rows.
const FLUSH_DELAY: Duration = Duration::from_millis(40);
/// How often a page is read without blocking groups; the next attempt blocks them.
const READ_TRIES_MAX: usize = 3;
/// The number of rows in one batch for the engine; it serves no page while it applies a batch.
const BATCH_ROWS: usize = 250;

/// Written rows by engine key; `None` for a deleted row.
type Memtable = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An engine with a memtable in front of it.
pub(crate) struct DeferredEngine {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    engine: Arc<dyn Engine>,
    memtables: RwLock<Memtables>,
    flush: Mutex<FlushState>,
    /// Notified after each change of `flush`.
    changed: Condvar,
}

/// The rows that the engine below may not have yet.
#[derive(Default)]
struct Memtables {
    /// The newest rows.
    active: Memtable,
    /// The rows that are being flushed. They stay until the engine has all of them, so that a read
    /// never sees a part of a group.
    flushing: Arc<Memtable>,
    /// The number of flushes begun and of times the rows were dropped.
    flushes: u64,
}

/// The state of the flush thread.
#[derive(Default)]
struct FlushState {
    /// The number of rows in the active memtable.
    active_rows: usize,
    /// The number of flushes begun.
    begun: u64,
    /// The number of flushes finished.
    done: u64,
    /// A call of [`Engine::drain`] waits: flush without delay.
    urgent: bool,
    stopping: bool,
    failed: Option<EngineError>,
}

impl DeferredEngine {
    /// Puts a memtable in front of `engine`, and starts the flush thread.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Result<Self, EngineError> {
        let (memtables, flush, changed) = (RwLock::default(), Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { engine, memtables, flush, changed });
        let flusher = shared.clone();
        let thread =
            std::thread::Builder::new().name("store engine".into()).spawn(move || flusher.run());
        let thread = thread.map_err(|error| EngineError::Unavailable(error.to_string()))?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for DeferredEngine {
    fn drop(&mut self) {
        self.shared.flush_state().stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn flush_state(&self) -> MutexGuard<'_, FlushState> {
        self.flush.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memtables(&self) -> RwLockReadGuard<'_, Memtables> {
        self.memtables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let idle = |state: &mut FlushState| {
                !state.stopping && (state.active_rows == 0 || state.failed.is_some())
            };
            let state = self
                .changed
                .wait_while(self.flush_state(), idle)
                .unwrap_or_else(PoisonError::into_inner);
            let filling = |state: &mut FlushState| {
                !state.stopping && !state.urgent && state.active_rows < FLUSH_ROWS
            };
            let filled = self.changed.wait_timeout_while(state, FLUSH_DELAY, filling);
            let (mut state, _) = filled.unwrap_or_else(PoisonError::into_inner);
            if state.stopping {
                return;
            }
            let flushing = self.begin_flush();
            (state.active_rows, state.begun, state.urgent) = (0, state.begun + 1, false);
            drop(state);
            // Groups that wait for the memtable can go on.
            self.changed.notify_all();
            let result = catch_unwind(AssertUnwindSafe(|| self.write_to_engine(&flushing)));
            let panicked = || EngineError::Unavailable("the engine panicked".into());
            let mut state = self.flush_state();
            state.done = state.begun;
            match result.unwrap_or_else(|_| Err(panicked())) {
                Ok(()) => std::mem::take(
                    &mut self.memtables.write().unwrap_or_else(PoisonError::into_inner).flushing,
                ),
                // The engine may not have these rows, so they stay readable in the memtable.
                Err(error) => {
                    tracing::error!(%error, "flushing rows to the engine failed");
                    state.failed = Some(error);
                    Arc::default()
                }
            };
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Turns the active memtable into the flushing one.
    fn begin_flush(&self) -> Arc<Memtable> {
        let mut memtables = self.memtables.write().unwrap_or_else(PoisonError::into_inner);
        memtables.flushing = Arc::new(std::mem::take(&mut memtables.active));
        memtables.flushes += 1;
        memtables.flushing.clone()
    }

    fn write_to_engine(&self, rows: &Memtable) -> Result<(), EngineError> {
        let mut remaining = rows.iter();
        loop {
            let mut batch = Vec::with_capacity(BATCH_ROWS);
            for (key, value) in remaining.by_ref().take(BATCH_ROWS) {
                let (table, key) = split_key(key)?;
                batch.push(Write { table, key, value: value.as_deref() });
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.engine.apply(&batch)?;
        }
    }

    /// At most `limit` rows of `range`, in order. `page` reads rows of the engine: after the given
    /// engine key, at most the given number.
    fn read(
        &self,
        range: KeyRange,
        (reverse, limit): (bool, usize),
        page: impl Fn(Option<&[u8]>, usize) -> Result<Vec<Pair>, EngineError>,
    ) -> Result<Vec<Pair>, EngineError> {
        for _ in 0..READ_TRIES_MAX {
            let (active, flushing, flushes) = {
                let memtables = self.memtables();
                (
                    merge::copy_for_page(&memtables.active, range.clone(), (reverse, limit)),
                    memtables.flushing.clone(),
                    memtables.flushes,
                )
            };
            let written = merge::merged(&active, &flushing, range.clone(), reverse);
            let rows = merge::merged_page(written, (reverse, limit), &page)?;
            if self.memtables().flushes == flushes {
                return Ok(rows);
            }
        }
        let memtables = self.memtables();
        let written = merge::merged(&memtables.active, &memtables.flushing, range, reverse);
        merge::merged_page(written, (reverse, limit), page)
    }
}

impl Engine for DeferredEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let engine_key = engine_key(table, key);
        {
            let memtables = self.shared.memtables();
            if let Some(value) =
                memtables.active.get(&engine_key).or_else(|| memtables.flushing.get(&engine_key))
            {
                return Ok(value.clone());
            }
        }
        self.shared.engine.get(table, key)
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        let Some(range) = bounds(table, scan) else { return Ok(Vec::new()) };
        let page = |after: Option<&[u8]>, limit| {
            let after = after
                .map(split_key)
                .transpose()?
                .map(|(_, key)| key.to_vec())
                .or_else(|| scan.after.clone());
            let rows = self.shared.engine.scan(table, &Scan { after, limit, ..scan.clone() })?;
            Ok(rows.into_iter().map(|(key, value)| (engine_key(table, &key), value)).collect())
        };
        let rows = self.shared.read(range, (scan.reverse, scan.limit), page)?;
        rows.into_iter().map(|(key, value)| Ok((split_key(&key)?.1.to_vec(), value))).collect()
    }

    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        let from =
            after.map_or(Bound::Unbounded, |(table, key)| Bound::Excluded(engine_key(table, key)));
        let page = |after_key: Option<&[u8]>, limit| {
            let cells =
                self.shared.engine.walk(after_key.map(split_key).transpose()?.or(after), limit)?;
            Ok(cells
                .into_iter()
                .map(|cell| (engine_key(&cell.table, &cell.key), cell.value))
                .collect())
        };
        let rows = self.shared.read((from, Bound::Unbounded), (false, limit), page)?;
        let cell = |(key, value): Pair| {
            let (table, key) = split_key(&key)?;
            Ok(Cell { table: table.to_owned(), key: key.to_vec(), value })
        };
        rows.into_iter().map(cell).collect()
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        let shared = &*self.shared;
        let full = |state: &mut FlushState| {
            state.active_rows >= MEMTABLE_ROWS_MAX && state.failed.is_none()
        };
        let mut state = shared
            .changed
            .wait_while(shared.flush_state(), full)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let before = state.active_rows;
        let mut memtables = shared.memtables.write().unwrap_or_else(PoisonError::into_inner);
        for write in group {
            memtables
                .active
                .insert(engine_key(write.table, write.key), write.value.map(<[u8]>::to_vec));
        }
        state.active_rows = memtables.active.len();
        let wake = before == 0 || (before < FLUSH_ROWS && state.active_rows >= FLUSH_ROWS);
        drop(memtables);
        drop(state);
        if wake {
            shared.changed.notify_all();
        }
        Ok(())
    }

    fn drain(&self) -> Result<(), EngineError> {
        let shared = &*self.shared;
        let mut state = shared.flush_state();
        state.urgent = state.active_rows > 0;
        let last_flush = state.begun + u64::from(state.active_rows > 0);
        shared.changed.notify_all();
        let unfinished = |state: &mut FlushState| state.done < last_flush && state.failed.is_none();
        let state =
            shared.changed.wait_while(state, unfinished).unwrap_or_else(PoisonError::into_inner);
        state.failed.clone().map_or(Ok(()), Err)
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.drain()?;
        self.shared.engine.flush()
    }

    fn reopen(&self) -> Result<(), EngineError> {
        let shared = &*self.shared;
        let flushing = |state: &mut FlushState| state.done < state.begun;
        let mut state = shared
            .changed
            .wait_while(shared.flush_state(), flushing)
            .unwrap_or_else(PoisonError::into_inner);
        {
            let mut memtables = shared.memtables.write().unwrap_or_else(PoisonError::into_inner);
            *memtables = Memtables { flushes: memtables.flushes + 1, ..Memtables::default() };
        }
        (state.active_rows, state.urgent, state.failed) = (0, false, None);
        shared.engine.reopen()
    }

    fn failure(&self) -> Option<EngineError> {
        self.shared.flush_state().failed.clone().or_else(|| self.shared.engine.failure())
    }

    fn opens_slowly(&self) -> bool {
        self.shared.engine.opens_slowly()
    }

    fn survives_power_cut(&self) -> bool {
        self.shared.engine.survives_power_cut()
    }
}

#[cfg(test)]
mod tests;
