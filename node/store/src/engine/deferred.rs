//! An engine that is filled a little later and many rows at once: what was applied is read from
//! memory until a thread of its own has handed it on.
//!
//! An engine asks for a batch of one row nearly what it asks for ten, and whoever waits for a
//! change would wait for that too. A row written over and over reaches it once. The log holds every
//! group already, so what goes down with the process is applied again from there, and a failure met
//! on the way sticks, as an engine's do, until it is reopened.
//!
//! A page is of one moment: what stands over its range is copied, then the engine is read, and if
//! nothing more was begun to be handed on meanwhile, the engine held no row that the copy does not
//! know of. Else it is read again. So no group waits for the engine, but behind a page that had to
//! be read several times.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Cell, Engine, EngineError, KeyRange, Pair, Write, bounds, engine_key, split_key};
use crate::types::Scan;

mod merge;

/// When so many rows wait they are handed on.
const MOVED_ROWS: usize = 256;
/// When so many wait, a group waits for them to be handed on: with those on their way this bounds
/// the memory they take.
const WAITING_ROWS_MAX: usize = 1000;
/// The longest that rows wait for more to join them.
const PAUSE: Duration = Duration::from_millis(20);
/// So often a page is read while groups go on; then they wait for it.
const TRIES_MAX: usize = 3;
/// So many rows are one batch of the engine's own, for it answers no page while it takes one.
const BATCH_ROWS: usize = 250;

/// Rows to be put or deleted, by joined key.
type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An engine with rows in memory over it.
pub struct DeferredEngine {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    engine: Arc<dyn Engine>,
    over: RwLock<Over>,
    turn: Mutex<Turn>,
    changed: Condvar,
}

/// What stands over the engine's rows, newest first.
#[derive(Default)]
struct Over {
    waiting: Batch,
    /// What is being handed on; all of it stands until the engine has all of it, so that no half is
    /// seen.
    moving: Arc<Batch>,
    /// How often rows were begun to be handed on, or forgotten.
    moves: u64,
}

#[derive(Default)]
struct Turn {
    /// How many rows wait.
    waiting: usize,
    begun: u64,
    done: u64,
    /// Somebody waits for the engine to have it all.
    hurry: bool,
    stopping: bool,
    failed: Option<EngineError>,
}

impl DeferredEngine {
    /// Puts rows in memory over `engine`, and starts the thread that hands them on.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(engine: Arc<dyn Engine>) -> Result<Self, EngineError> {
        let (over, turn, changed) = (RwLock::default(), Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { engine, over, turn, changed });
        let mover = shared.clone();
        let thread =
            std::thread::Builder::new().name("store engine".into()).spawn(move || mover.run());
        let thread = thread.map_err(|error| EngineError::Unavailable(error.to_string()))?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for DeferredEngine {
    fn drop(&mut self) {
        self.shared.turn().stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) -> RwLockReadGuard<'_, Over> {
        self.over.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let idle =
                |turn: &mut Turn| !turn.stopping && (turn.waiting == 0 || turn.failed.is_some());
            let turn =
                self.changed.wait_while(self.turn(), idle).unwrap_or_else(PoisonError::into_inner);
            let gathering =
                |turn: &mut Turn| !turn.stopping && !turn.hurry && turn.waiting < MOVED_ROWS;
            let waited = self.changed.wait_timeout_while(turn, PAUSE, gathering);
            let (mut turn, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if turn.stopping {
                return;
            }
            let moving = self.begin();
            (turn.waiting, turn.begun, turn.hurry) = (0, turn.begun + 1, false);
            drop(turn);
            // There is room again for what comes meanwhile.
            self.changed.notify_all();
            let moved = catch_unwind(AssertUnwindSafe(|| self.hand_on(&moving)));
            let mut turn = self.turn();
            turn.done = turn.begun;
            match moved.unwrap_or_else(|_| Err(EngineError::Unavailable("panicked".into()))) {
                Ok(()) => std::mem::take(
                    &mut self.over.write().unwrap_or_else(PoisonError::into_inner).moving,
                ),
                // What the engine may not have goes on standing over it.
                Err(error) => {
                    tracing::error!(%error, "the engine did not take what the log holds");
                    turn.failed = Some(error);
                    Arc::default()
                }
            };
            drop(turn);
            self.changed.notify_all();
        }
    }

    /// What waits is on its way from here on.
    fn begin(&self) -> Arc<Batch> {
        let mut over = self.over.write().unwrap_or_else(PoisonError::into_inner);
        over.moving = Arc::new(std::mem::take(&mut over.waiting));
        over.moves += 1;
        over.moving.clone()
    }

    fn hand_on(&self, rows: &Batch) -> Result<(), EngineError> {
        let mut left = rows.iter();
        loop {
            let mut batch = Vec::with_capacity(BATCH_ROWS);
            for (key, value) in left.by_ref().take(BATCH_ROWS) {
                let (table, key) = split_key(key)?;
                batch.push(Write { table, key, value: value.as_deref() });
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.engine.apply(&batch)?;
        }
    }

    /// Rows of `range` in its order, at most `limit`; `page` reads so many of the engine's, past a
    /// joined key.
    fn read(
        &self,
        range: KeyRange,
        (reverse, limit): (bool, usize),
        page: impl Fn(Option<&[u8]>, usize) -> Result<Vec<Pair>, EngineError>,
    ) -> Result<Vec<Pair>, EngineError> {
        for _ in 0..TRIES_MAX {
            let (waiting, moving, moves) = {
                let over = self.over();
                (
                    merge::nearest(&over.waiting, range.clone(), (reverse, limit)),
                    over.moving.clone(),
                    over.moves,
                )
            };
            let standing = merge::newest(&waiting, &moving, range.clone(), reverse);
            let found = merge::overlaid(standing, (reverse, limit), &page)?;
            if self.over().moves == moves {
                return Ok(found);
            }
        }
        let over = self.over();
        let standing = merge::newest(&over.waiting, &over.moving, range, reverse);
        merge::overlaid(standing, (reverse, limit), page)
    }
}

impl Engine for DeferredEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let joined = engine_key(table, key);
        {
            let over = self.shared.over();
            if let Some(value) = over.waiting.get(&joined).or_else(|| over.moving.get(&joined)) {
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
            let found = self.shared.engine.scan(table, &Scan { after, limit, ..scan.clone() })?;
            Ok(found.into_iter().map(|(key, value)| (engine_key(table, &key), value)).collect())
        };
        let found = self.shared.read(range, (scan.reverse, scan.limit), page)?;
        found.into_iter().map(|(key, value)| Ok((split_key(&key)?.1.to_vec(), value))).collect()
    }

    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        let from =
            after.map_or(Bound::Unbounded, |(table, key)| Bound::Excluded(engine_key(table, key)));
        let page = |past: Option<&[u8]>, limit| {
            let found =
                self.shared.engine.walk(past.map(split_key).transpose()?.or(after), limit)?;
            Ok(found
                .into_iter()
                .map(|cell| (engine_key(&cell.table, &cell.key), cell.value))
                .collect())
        };
        let found = self.shared.read((from, Bound::Unbounded), (false, limit), page)?;
        let cell = |(key, value): Pair| {
            let (table, key) = split_key(&key)?;
            Ok(Cell { table: table.to_owned(), key: key.to_vec(), value })
        };
        found.into_iter().map(cell).collect()
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        let shared = &*self.shared;
        let full = |turn: &mut Turn| turn.waiting >= WAITING_ROWS_MAX && turn.failed.is_none();
        let mut turn =
            shared.changed.wait_while(shared.turn(), full).unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &turn.failed {
            return Err(error.clone());
        }
        let before = turn.waiting;
        let mut over = shared.over.write().unwrap_or_else(PoisonError::into_inner);
        for write in group {
            over.waiting
                .insert(engine_key(write.table, write.key), write.value.map(<[u8]>::to_vec));
        }
        turn.waiting = over.waiting.len();
        let wake = before == 0 || (before < MOVED_ROWS && turn.waiting >= MOVED_ROWS);
        drop(over);
        drop(turn);
        if wake {
            shared.changed.notify_all();
        }
        Ok(())
    }

    fn drain(&self) -> Result<(), EngineError> {
        let shared = &*self.shared;
        let mut turn = shared.turn();
        turn.hurry = turn.waiting > 0;
        let until = turn.begun + u64::from(turn.waiting > 0);
        shared.changed.notify_all();
        let under_way = |turn: &mut Turn| turn.done < until && turn.failed.is_none();
        let turn =
            shared.changed.wait_while(turn, under_way).unwrap_or_else(PoisonError::into_inner);
        turn.failed.clone().map_or(Ok(()), Err)
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.drain()?;
        self.shared.engine.flush()
    }

    fn reopen(&self) -> Result<(), EngineError> {
        let shared = &*self.shared;
        let moving = |turn: &mut Turn| turn.done < turn.begun;
        let mut turn = shared
            .changed
            .wait_while(shared.turn(), moving)
            .unwrap_or_else(PoisonError::into_inner);
        {
            let mut over = shared.over.write().unwrap_or_else(PoisonError::into_inner);
            *over = Over { moves: over.moves + 1, ..Over::default() };
        }
        (turn.waiting, turn.hurry, turn.failed) = (0, false, None);
        shared.engine.reopen()
    }

    fn survives_power_cut(&self) -> bool {
        self.shared.engine.survives_power_cut()
    }
}

#[cfg(test)]
mod tests;
