//! The engine behind its gate: rows are sealed on the way in, unsealed on the way out, and nobody reads while it is behind the log.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use super::{BlobId, Filing, Row, Scan, SmallBlob, StoreError, Table};
use crate::engine::{Engine, EngineError, Write};
use crate::log::group::{Change, RowWrite};
use crate::seal::RowSeal;

/// The rows, and the small blobs that are in the log and not yet filed.
pub(super) struct Rows {
    engine: Arc<dyn Engine>,
    seal: RowSeal,
    /// Open while the engine holds all that is acknowledged.
    gate: RwLock<Result<(), StoreError>>,
    filing: Option<Arc<dyn Filing>>,
    pending: Mutex<Pending>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows")
    }
}

impl Rows {
    pub(super) fn new(engine: Arc<dyn Engine>, seal: RowSeal, filing: Option<Arc<dyn Filing>>) -> Self {
        Self { engine, seal, gate: RwLock::new(Ok(())), filing, pending: Mutex::default() }
    }

    pub(super) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// Holds the gate open; fails while the engine is behind.
    pub(super) fn enter(&self) -> Result<RwLockReadGuard<'_, Result<(), StoreError>>, StoreError> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        (*gate).clone().map(|()| gate)
    }

    /// Shuts the gate while `catch_up` brings the engine up to the log; stays shut if that fails.
    pub(super) fn behind(&self, catch_up: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        *gate = catch_up();
        gate.clone()
    }

    /// Whether the engine is behind the log, after a failure.
    pub(super) fn is_behind(&self) -> bool {
        self.gate.read().unwrap_or_else(PoisonError::into_inner).is_err()
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let _open = self.enter()?;
        let found = self.engine.get(table.name(), key)?;
        found.map(|bytes| self.seal.open(table.name(), key, &bytes)).transpose()
    }

    pub(super) fn scan(&self, table: Table, scan: &Scan) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let _open = self.enter()?;
        let found = self.engine.scan(table.name(), scan)?;
        let open = |(key, bytes): (Vec<u8>, Vec<u8>)| self.seal.open(table.name(), &key, &bytes).map(|row| (key, row));
        found.into_iter().map(open).collect()
    }

    /// The rows of one change as the engine is to hold them.
    pub(super) fn seal(&self, written: &super::tx::Overlay) -> Result<Vec<RowWrite>, StoreError> {
        let sealed = written.iter().map(|((table, key), row)| {
            let value = row.as_ref().map(|row| self.seal.seal(table.name(), key, row)).transpose()?;
            Ok(RowWrite { table: table.name().into(), key: key.clone(), value })
        });
        sealed.collect()
    }

    /// Applies a durable group; its small blobs are found from here on, until they are filed.
    pub(super) fn apply(&self, first: u64, changes: &[Change]) -> Result<(), EngineError> {
        self.keep(first, changes);
        self.apply_rows(changes)
    }

    /// Applies a group's rows only.
    pub(super) fn apply_rows(&self, changes: &[Change]) -> Result<(), EngineError> {
        let rows = changes.iter().flat_map(|change| &change.rows);
        let writes: Vec<_> = rows.map(|row| Write { table: &row.table, key: &row.key, value: row.value.as_deref() }).collect();
        if writes.is_empty() {
            return Ok(());
        }
        // An engine may panic on what the disk does to it; the group is in the log, so this is a failure like any other.
        let applied = catch_unwind(AssertUnwindSafe(|| self.engine.apply(&writes)));
        applied.unwrap_or_else(|_| Err(EngineError::Unavailable("panicked".into())))
    }

    fn keep(&self, first: u64, changes: &[Change]) {
        if changes.iter().all(|change| change.blobs.is_empty()) {
            return;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for (position, change) in (first..).zip(changes) {
            for blob in &change.blobs {
                pending.insert(blob.id, (position, blob.clone()));
            }
        }
    }

    /// A small blob that is in the log and not yet filed.
    pub(super) fn pending(&self, id: &BlobId) -> Option<SmallBlob> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.get(id).map(|(_, blob)| blob.clone())
    }

    /// Whether a blob is stored, filed or not. Without a place to file them, all are taken to be.
    pub(super) fn holds(&self, id: &BlobId) -> bool {
        let filed = self.filing.as_ref().is_none_or(|filing| filing.holds(id));
        filed || self.pending(id).is_some()
    }

    /// Files the pending blobs up to `position`, durably.
    pub(super) fn file(&self, position: u64) -> std::io::Result<()> {
        let Some(filing) = &self.filing else { return Ok(()) };
        let due: Vec<_> = {
            let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.values().filter(|(at, _)| *at <= position).map(|(_, blob)| blob.clone()).collect()
        };
        if due.is_empty() {
            return Ok(());
        }
        filing.file(&due)?;
        // Found as files from here on; one that came again since is filed again.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (at, _)| *at > position);
        Ok(())
    }

    /// Whether more than `len` bytes of small blobs wait to be filed, and can be.
    pub(super) fn pending_len_over(&self, len: usize) -> bool {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        self.filing.is_some() && pending.values().map(|(_, blob)| blob.bytes.len()).sum::<usize>() > len
    }

    /// Lets the engine go and gives what is pending.
    pub(super) fn into_pending(self) -> Pending {
        self.pending.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_pending(&self, pending: Pending) {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = pending;
    }
}

/// Small blobs not yet filed, with the position that stored them.
pub(super) type Pending = HashMap<BlobId, (u64, SmallBlob)>;
