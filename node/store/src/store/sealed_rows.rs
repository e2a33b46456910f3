//! The rows in the engine: sealed before a write, unsealed after a read, and not readable while the
//! engine is behind the log.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::references::{self, LOOSE, REFERENCES};
use super::unreferenced::EngineRows;
use super::{BlobId, Row, Scan, Stop, StoreError, Table, WalkedRow};
use crate::blobs::{Blobs, Hold, Place, SmallBlob};
use crate::engine::{ClosedEngine, Engine, EngineError, Write};
use crate::seal::RowSeal;
use crate::wal::group::{Change, RowWrite};

/// The rows in the engine, and the blobs they refer to.
pub(super) struct SealedRows {
    seal: RowSeal,
    /// Locked for writing while the engine catches up, and to exchange it.
    gate: RwLock<Gate>,
    /// A read failed: the engine's errors are sticky until it is reopened.
    failed: AtomicBool,
    /// Called when a read finds that the engine failed.
    on_failure: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// A row is damaged: the next checkpoint records that the next start must rebuild the engine.
    damaged: AtomicBool,
    blobs: Option<Blobs>,
}

/// The engine, and whether it may be read.
pub(super) struct Gate {
    engine: Arc<dyn Engine>,
    /// `Ok` while the engine holds all acknowledged changes.
    readable: Result<(), StoreError>,
    /// The engine is in memory, because none on the disk works: no checkpoint may be made.
    is_temporary: bool,
}

impl Gate {
    pub(super) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }
}

impl fmt::Debug for SealedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedRows")
    }
}

impl SealedRows {
    pub(super) fn new(engine: Arc<dyn Engine>, seal: RowSeal, blobs: Option<Blobs>) -> Self {
        Self {
            seal,
            gate: RwLock::new(Gate { engine, readable: Ok(()), is_temporary: false }),
            failed: AtomicBool::new(false),
            on_failure: OnceLock::new(),
            damaged: AtomicBool::new(false),
            blobs,
        }
    }

    /// Has `notify` called when a read finds that the engine failed; set once.
    pub(super) fn on_failure(&self, notify: impl Fn() + Send + Sync + 'static) {
        let _ = self.on_failure.set(Box::new(notify));
    }

    fn gate(&self) -> RwLockReadGuard<'_, Gate> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate_for_writing(&self) -> RwLockWriteGuard<'_, Gate> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine, whether it may be read or not.
    pub(super) fn engine(&self) -> Arc<dyn Engine> {
        self.gate().engine.clone()
    }

    /// Locks the gate for reading; fails while the engine is behind the log.
    pub(super) fn read_gate(&self) -> Result<RwLockReadGuard<'_, Gate>, StoreError> {
        let gate = self.gate();
        gate.readable.clone().map(|()| gate)
    }

    /// Runs `catch_up`, which brings the engine up to the log. Reads wait until it returns, and
    /// fail if it failed.
    pub(super) fn while_catching_up(
        &self,
        catch_up: impl FnOnce(&dyn Engine) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut gate = self.gate_for_writing();
        self.failed.store(false, Ordering::Relaxed);
        let caught_up = catch_up(gate.engine());
        gate.readable = caught_up.clone().map_err(|error| unreadable(&error));
        caught_up
    }

    /// Closes the engine and opens it again, if that shortens the next start.
    pub(super) fn prepare_next_opening(&self) -> Result<(), StoreError> {
        if self.unreadable().is_some() || !self.engine().opens_slowly() {
            return Ok(());
        }
        self.while_catching_up(|engine| {
            engine.flush()?;
            Ok(engine.reopen()?)
        })
    }

    /// Closes the engine. Reads fail with `reason` until [`SealedRows::exchange_engine`] has set
    /// another one.
    pub(super) fn close_engine(&self, reason: StoreError) {
        let closed: Arc<dyn Engine> = Arc::new(ClosedEngine);
        self.gate_for_writing().readable = Err(reason);
        let old = std::mem::replace(&mut self.gate_for_writing().engine, closed);
        // Closing may take long, so no lock is held.
        drop(old);
    }

    /// Sets an engine that holds all acknowledged changes, and returns the one before; reads are
    /// served again. A temporary one is in memory.
    pub(super) fn exchange_engine(
        &self,
        engine: Arc<dyn Engine>,
        is_temporary: bool,
    ) -> Arc<dyn Engine> {
        let mut gate = self.gate_for_writing();
        let old = std::mem::replace(&mut *gate, Gate { engine, readable: Ok(()), is_temporary });
        self.failed.store(false, Ordering::Relaxed);
        self.damaged.store(false, Ordering::Relaxed);
        old.engine
    }

    /// True while the rows are in memory only.
    pub(super) fn is_temporary(&self) -> bool {
        self.gate().is_temporary
    }

    /// The error of every read while the engine is behind the log.
    pub(super) fn unreadable(&self) -> Option<StoreError> {
        self.gate().readable.clone().err()
    }

    /// True if the engine failed and must be reopened and brought up to the log.
    pub(super) fn is_behind(&self) -> bool {
        let gate = self.gate();
        self.failed.load(Ordering::Relaxed)
            || gate.readable.is_err()
            || gate.engine.failure().is_some()
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.get_named(table.name(), key)
    }

    pub(super) fn get_named(&self, table: &str, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let gate = self.read_gate()?;
        let stored = gate.engine.get(table, key).map_err(|error| self.record_failure(error))?;
        stored.map(|bytes| self.unseal(table, key, bytes)).transpose()
    }

    pub(super) fn walk(
        &self,
        after: Option<(&str, &[u8])>,
        limit: usize,
    ) -> Result<Vec<WalkedRow>, StoreError> {
        let gate = self.read_gate()?;
        let cells =
            gate.engine.walk(after, limit).map_err(|error| self.record_failure(error))?.into_iter();
        Ok(cells
            .map(|cell| WalkedRow {
                row: self.unseal(&cell.table, &cell.key, cell.value),
                table: cell.table,
                key: cell.key,
            })
            .collect())
    }

    pub(super) fn scan(
        &self,
        table: Table,
        scan: &Scan,
    ) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let gate = self.read_gate()?;
        let stored =
            gate.engine.scan(table.name(), scan).map_err(|error| self.record_failure(error))?;
        let unseal = |(key, bytes): (Vec<u8>, Vec<u8>)| {
            self.unseal(table.name(), &key, bytes).map(|row| (key, row))
        };
        stored.into_iter().map(unseal).collect()
    }

    pub(super) fn keys(&self, table: Table, scan: &Scan) -> Result<Vec<Vec<u8>>, StoreError> {
        let gate = self.read_gate()?;
        let stored =
            gate.engine.scan(table.name(), scan).map_err(|error| self.record_failure(error))?;
        Ok(stored.into_iter().map(|(key, _)| key).collect())
    }

    /// Records that the engine failed, so that the committer reopens it.
    pub(super) fn record_failure(&self, error: EngineError) -> StoreError {
        if let EngineError::Corrupt { table, .. } = &error {
            // Reopening does not repair a damaged page.
            self.mark_damaged(table);
        } else {
            if !self.failed.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "the engine failed; it is reopened");
                if let Some(notify) = self.on_failure.get() {
                    notify();
                }
            }
        }
        match error.into() {
            // A read needs no space: the engine is not available, whatever made it fail.
            error @ StoreError::Full => unreadable(&error),
            error => error,
        }
    }

    fn unseal(&self, table: &str, key: &[u8], bytes: Vec<u8>) -> Result<Row, StoreError> {
        self.seal.open(table, key, bytes).inspect_err(|_| self.mark_damaged(table))
    }

    fn mark_damaged(&self, table: &str) {
        if !self.damaged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                table,
                "a row is damaged; restart the server to rebuild all rows from snapshot and log"
            );
        }
    }

    /// True if a damaged row was read. Snapshot and log still hold its content.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    #[cfg(any(test, feature = "testing"))]
    #[allow(clippy::unwrap_used, reason = "a row that cannot be unsealed fails its test")]
    pub(super) fn unseal_or_panic(&self, table: &str, key: &[u8], sealed: &[u8]) -> Row {
        self.seal.open(table, key, sealed.to_vec()).unwrap()
    }

    /// Seals the rows of one change.
    pub(super) fn seal(&self, written: &super::tx::Overlay) -> Result<Vec<RowWrite>, StoreError> {
        let sealed = written.iter().map(|((table, key), row)| {
            let value =
                row.as_ref().map(|row| self.seal.seal(table.name(), key, row)).transpose()?;
            Ok(RowWrite { table: table.name().into(), key: key.clone(), value })
        });
        sealed.collect()
    }

    /// Applies a durable group; its small blobs are readable from now on.
    pub(super) fn apply(&self, changes: &[Change]) -> Result<(), EngineError> {
        self.apply_to(&*self.engine(), changes)
    }

    /// Applies only the rows of a durable group.
    pub(super) fn apply_rows(&self, changes: &[Change]) -> Result<(), EngineError> {
        apply_rows_to(&*self.engine(), changes)
    }

    /// Applies a durable group to `engine`, while the gate is locked.
    pub(super) fn apply_to(
        &self,
        engine: &dyn Engine,
        changes: &[Change],
    ) -> Result<(), EngineError> {
        self.register_blobs(changes);
        apply_rows_to(engine, changes)?;
        self.release_placed_blobs(changes);
        Ok(())
    }

    /// Small blobs whose place a row holds now leave memory.
    fn release_placed_blobs(&self, changes: &[Change]) {
        let Some(blobs) = &self.blobs else { return };
        for row in changes.iter().flat_map(|change| &change.rows) {
            if row.table != REFERENCES.name() && row.table != LOOSE.name() {
                continue;
            }
            let value = row.value.clone();
            let opened = value.and_then(|value| self.seal.open(&row.table, &row.key, value).ok());
            if opened.is_some_and(|row| Place::decode(&row.value).is_some())
                && let Some(id) = references::blob_of(&row.key)
            {
                blobs.placed(&id);
            }
        }
    }

    fn register_blobs(&self, changes: &[Change]) {
        let Some(blobs) = &self.blobs else { return };
        for blob in changes.iter().flat_map(|change| &change.blobs) {
            blobs.logged(blob.clone());
        }
    }

    /// Pins a blob until the change that refers to it is applied, and returns a small blob if it is
    /// not in the log yet: the change must write it to the log.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], or the disk's.
    pub(super) fn hold(
        &self,
        id: &BlobId,
    ) -> Result<(Option<Hold>, Option<SmallBlob>), StoreError> {
        let Some(blobs) = &self.blobs else { return Ok((None, None)) };
        Ok((Some(blobs.hold(id)?), blobs.unlogged(id)))
    }

    /// The blobs that the rows refer to.
    pub(super) fn blobs(&self) -> Option<&Blobs> {
        self.blobs.as_ref()
    }

    /// Writes the small blobs of all applied groups to files, durably, and returns their ids.
    pub(super) fn spill_blobs(&self) -> Result<Vec<BlobId>, StoreError> {
        self.blobs.as_ref().map_or(Ok(Vec::new()), Blobs::spill_logged)
    }

    /// True if more than `len` bytes of small blobs wait for a checkpoint.
    pub(super) fn has_unflushed_over(&self, len: usize) -> bool {
        self.blobs.as_ref().is_some_and(|blobs| blobs.unflushed_len() > len)
    }

    /// After a replay: drops the small blobs that no row refers to, and removes the files of those
    /// that were `spilled` and that no row needs.
    pub(super) fn drop_unreferenced_blobs(
        &self,
        engine: &dyn Engine,
        spilled: &[BlobId],
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let Some(blobs) =
            self.blobs.as_ref().filter(|blobs| !spilled.is_empty() || blobs.unflushed_len() > 0)
        else {
            return Ok(());
        };
        EngineRows { engine, seal: &self.seal }.drop_unreferenced(blobs, spilled, stop)
    }
}

/// Applies the rows of durable changes to an engine.
pub(super) fn apply_rows_to(engine: &dyn Engine, changes: &[Change]) -> Result<(), EngineError> {
    let rows = changes.iter().flat_map(|change| &change.rows);
    let writes: Vec<_> = rows
        .map(|row| Write { table: &row.table, key: &row.key, value: row.value.as_deref() })
        .collect();
    if writes.is_empty() {
        return Ok(());
    }
    // An engine may panic after a disk error. The group is in the log, so a panic is handled
    // like any other failure.
    let result = catch_unwind(AssertUnwindSafe(|| engine.apply(&writes)));
    result.unwrap_or_else(|_| Err(EngineError::Unavailable("the engine panicked".into())))
}

/// The error of reads while the engine is behind the log because of `cause`.
fn unreadable(cause: &StoreError) -> StoreError {
    match cause {
        StoreError::Unavailable(_) => cause.clone(),
        other => StoreError::Unavailable(format!("the storage engine failed: {other}")),
    }
}
