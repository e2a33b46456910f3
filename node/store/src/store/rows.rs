//! The engine behind its gate: rows are sealed on the way in, unsealed on the way out, and nobody
//! reads while it is behind the log.

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::{BlobId, Row, Scan, Stop, StoreError, Table, WalkedRow};
use crate::blobs::{AtRest, Blobs, Hold, SmallBlob};
use crate::engine::{Engine, EngineError, Write};
use crate::seal::RowSeal;
use crate::wal::group::{Change, RowWrite};

/// The rows, and the blobs they refer to.
pub(super) struct Rows {
    engine: Arc<dyn Engine>,
    seal: RowSeal,
    /// Open while the engine holds all that is acknowledged.
    gate: RwLock<Result<(), StoreError>>,
    /// A read has failed: the engine's errors stick until it is reopened.
    failed: AtomicBool,
    /// A row is damaged: the start after the next checkpoint or stop makes all of them anew.
    damaged: AtomicBool,
    blobs: Option<Blobs>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows")
    }
}

impl Rows {
    pub(super) fn new(engine: Arc<dyn Engine>, seal: RowSeal, blobs: Option<Blobs>) -> Self {
        Self {
            engine,
            seal,
            gate: RwLock::new(Ok(())),
            failed: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
            blobs,
        }
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
    pub(super) fn behind(
        &self,
        catch_up: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.failed.store(false, Ordering::Relaxed);
        *gate = catch_up();
        gate.clone()
    }

    /// Whether the engine must be reopened and brought up to the log, after a failure.
    pub(super) fn is_behind(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
            || self.gate.read().unwrap_or_else(PoisonError::into_inner).is_err()
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.get_named(table.name(), key)
    }

    pub(super) fn get_named(&self, table: &str, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let _open = self.enter()?;
        let found = self.engine.get(table, key).map_err(|error| self.note(error))?;
        found.map(|bytes| self.unsealed(table, key, &bytes)).transpose()
    }

    pub(super) fn walk(
        &self,
        after: Option<(&str, &[u8])>,
        limit: usize,
    ) -> Result<Vec<WalkedRow>, StoreError> {
        let _open = self.enter()?;
        let cells = self.engine.walk(after, limit).map_err(|error| self.note(error))?.into_iter();
        Ok(cells
            .map(|cell| WalkedRow {
                row: self.unsealed(&cell.table, &cell.key, &cell.value),
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
        let _open = self.enter()?;
        let found = self.engine.scan(table.name(), scan).map_err(|error| self.note(error))?;
        let open = |(key, bytes): (Vec<u8>, Vec<u8>)| {
            self.unsealed(table.name(), &key, &bytes).map(|row| (key, row))
        };
        found.into_iter().map(open).collect()
    }

    pub(super) fn keys(&self, table: Table, scan: &Scan) -> Result<Vec<Vec<u8>>, StoreError> {
        let _open = self.enter()?;
        let found = self.engine.scan(table.name(), scan).map_err(|error| self.note(error))?;
        Ok(found.into_iter().map(|(key, _)| key).collect())
    }

    /// Remembers that the engine has failed, so that the committer reopens it.
    pub(super) fn note(&self, error: EngineError) -> StoreError {
        if let EngineError::Corrupt { table, .. } = &error {
            // A damaged page stays damaged however often the engine is reopened.
            self.damage(table);
        } else {
            tracing::error!(%error, "the engine failed; it is reopened");
            self.failed.store(true, Ordering::Relaxed);
        }
        error.into()
    }

    fn unsealed(&self, table: &str, key: &[u8], bytes: &[u8]) -> Result<Row, StoreError> {
        self.seal.open(table, key, bytes).inspect_err(|_| self.damage(table))
    }

    fn damage(&self, table: &str) {
        if !self.damaged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                table,
                "a row is damaged; stopped and started, the store makes all rows anew from snapshot and log"
            );
        }
    }

    /// Whether a damaged row was met. What it says is in snapshot and log.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    #[cfg(any(test, feature = "testing"))]
    #[allow(clippy::unwrap_used, reason = "a row that cannot be unsealed fails its test")]
    pub(super) fn unseal(&self, table: &str, key: &[u8], sealed: &[u8]) -> Row {
        self.seal.open(table, key, sealed).unwrap()
    }

    /// The rows of one change as the engine is to hold them.
    pub(super) fn seal(&self, written: &super::tx::Overlay) -> Result<Vec<RowWrite>, StoreError> {
        let sealed = written.iter().map(|((table, key), row)| {
            let value =
                row.as_ref().map(|row| self.seal.seal(table.name(), key, row)).transpose()?;
            Ok(RowWrite { table: table.name().into(), key: key.clone(), value })
        });
        sealed.collect()
    }

    /// Applies a durable group; its small blobs are found from here on, until they are filed.
    pub(super) fn apply(&self, changes: &[Change]) -> Result<(), EngineError> {
        self.keep(changes);
        self.apply_rows(changes)
    }

    /// Applies a group's rows only.
    pub(super) fn apply_rows(&self, changes: &[Change]) -> Result<(), EngineError> {
        let rows = changes.iter().flat_map(|change| &change.rows);
        let writes: Vec<_> = rows
            .map(|row| Write { table: &row.table, key: &row.key, value: row.value.as_deref() })
            .collect();
        if writes.is_empty() {
            return Ok(());
        }
        // An engine may panic on what the disk does to it; the group is in the log, so this is a
        // failure like any other.
        let applied = catch_unwind(AssertUnwindSafe(|| self.engine.apply(&writes)));
        applied.unwrap_or_else(|_| Err(EngineError::Unavailable("panicked".into())))
    }

    fn keep(&self, changes: &[Change]) {
        let Some(blobs) = &self.blobs else { return };
        for blob in changes.iter().flat_map(|change| &change.blobs) {
            blobs.logged(blob.clone());
        }
    }

    /// Keeps a blob from collection until the change that refers to it is applied, and gives it if
    /// no group holds it yet: the change carries it along.
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

    /// Files the small blobs of all groups applied so far, durably.
    pub(super) fn file(&self) -> Result<(), StoreError> {
        self.blobs.as_ref().map_or(Ok(()), |blobs| blobs.flush_logged().map(drop))
    }

    /// Whether more than `len` bytes of small blobs wait to be filed.
    pub(super) fn unfiled_over(&self, len: usize) -> bool {
        self.blobs.as_ref().is_some_and(|blobs| blobs.unfiled_len() > len)
    }

    /// After a replay: forgets the small blobs of rows that are gone; those that had to be filed
    /// meanwhile (`filed_early`) are removed.
    pub(super) fn forget_unreferred(
        &self,
        filed_early: bool,
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let Some(blobs) =
            self.blobs.as_ref().filter(|blobs| filed_early || blobs.unfiled_len() > 0)
        else {
            return Ok(());
        };
        let collection = blobs.collection();
        let mut referred = HashSet::new();
        let mut after: Option<(String, Vec<u8>)> = None;
        loop {
            stop.check()?;
            let page = self.engine.walk(
                after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice())),
                WALK_ROWS,
            )?;
            for cell in &page {
                match self.seal.open(&cell.table, &cell.key, &cell.value) {
                    Ok(row) => referred.extend(row.blobs),
                    // Nobody knows what a damaged row refers to, and it may be made again from the
                    // log.
                    Err(_) => return Ok(()),
                }
            }
            let full = page.len() == WALK_ROWS;
            after = page.into_iter().last().map(|cell| (cell.table, cell.key));
            if !full {
                break;
            }
        }
        if filed_early {
            collection.sweep(&referred)?;
        } else {
            blobs.retain_unfiled(|id| referred.contains(id));
        }
        Ok(())
    }

    /// After a replay that filed early: of blobs that lie in both forms only the one that the log
    /// asked for last stays.
    pub(super) fn keep_last<'a>(
        &self,
        turned: impl Iterator<Item = (&'a BlobId, AtRest)>,
    ) -> Result<(), StoreError> {
        let Some(blobs) = &self.blobs else { return Ok(()) };
        for (id, last) in turned {
            blobs.collection().keep_only(id, last)?;
        }
        Ok(())
    }
}

/// So many rows are looked at in one go.
const WALK_ROWS: usize = 1000;
