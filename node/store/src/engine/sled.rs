//! sled 0.34 as an engine: one tree; a group is one batch.
//!
//! sled's `flush` never calls fsync, so this module syncs the files after each flush. Even then
//! sled does not survive every power cut, so the store is rebuilt from snapshot and log after one.
//! Values are far shorter than the 128 KiB above which sled writes them to separate files.

use std::fs::File;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::thread::park_timeout;
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::guarded::Guarded;
use super::{
    Cell, Engine, EngineError, Pair, Write, bounds, engine_key, full_or_unavailable, split_key,
    sync_folder,
};
use crate::types::Scan;

/// The most rows applied before a flush: sled uses much memory for unflushed rows (3.8 GB for a
/// million).
const UNFLUSHED_ROWS_MAX: usize = 1000;
/// From so many rows on, a batch's pages are read before it is applied.
const COLD_ROWS_MIN: usize = 16;
/// sled reads everything written since it was opened when it is opened again. From so many bytes of
/// rows on, that takes tens of milliseconds.
const SLOW_OPEN_LEN: usize = 2 * 1024 * 1024;
/// A database with longer files is not opened again at the end, because the process could not stop
/// in time; bytes.
const REOPEN_LEN_MAX: u64 = 1024 * 1024 * 1024;
/// How often opening is tried while the threads of a closed database still hold its file lock.
const LOCK_TRIES_MAX: u32 = 500;
/// The pause between two attempts.
const LOCK_TRY_PAUSE: Duration = Duration::from_millis(10);

/// Rows in a sled database.
pub(crate) struct SledEngine {
    database: Guarded<sled::Db>,
    folder: PathBuf,
    unflushed_rows: AtomicUsize,
    /// The bytes of the rows applied since the database was opened.
    applied_len: AtomicUsize,
    /// Locked for each page read and each batch, so that a page never shows part of a batch.
    page: RwLock<()>,
}

impl SledEngine {
    /// Opens the database in `folder`, creating it if necessary; `cache_len` in bytes.
    ///
    /// # Errors
    /// As [`EngineError`].
    pub(crate) fn open(folder: &Path, cache_len: u64) -> Result<Self, EngineError> {
        let path = folder.to_owned();
        let database = Guarded::new(move || open_database(&path, cache_len))?;
        Ok(Self {
            database,
            folder: folder.to_owned(),
            unflushed_rows: AtomicUsize::new(0),
            applied_len: AtomicUsize::new(0),
            page: RwLock::new(()),
        })
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        self.database.close();
        // A closed database's threads may go on for a moment, and they write files by path. The
        // folder may hold another database soon, so wait until they have released the lock.
        let Ok(file) = File::open(self.folder.join("db")) else { return };
        for _ in 0..LOCK_TRIES_MAX {
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return;
            }
            park_timeout(LOCK_TRY_PAUSE);
        }
        tracing::warn!("the threads of a closed database still run");
    }
}

fn open_database(folder: &Path, cache_len: u64) -> Result<sled::Db, EngineError> {
    let config = sled::Config::new().path(folder).cache_capacity(cache_len).flush_every_ms(None);
    for _ in 0..LOCK_TRIES_MAX {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                park_timeout(LOCK_TRY_PAUSE);
            }
            other => return other.map_err(|error| map_error(&error)),
        }
    }
    Err(EngineError::Unavailable("the database is in use by another process".into()))
}

fn map_error(error: &sled::Error) -> EngineError {
    match error {
        sled::Error::Io(error) => full_or_unavailable(error),
        sled::Error::Corruption { .. } => {
            EngineError::Corrupt { table: String::new(), key: Vec::new() }
        }
        other => EngineError::Unavailable(other.to_string()),
    }
}

impl Engine for SledEngine {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let value =
            self.database.with(|db| db.get(engine_key(table, key)).map_err(|e| map_error(&e)))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        let Some(range) = bounds(table, scan) else { return Ok(Vec::new()) };
        let _page = self.page.read().unwrap_or_else(PoisonError::into_inner);
        self.database.with(|db| {
            let rows = db.range::<Vec<u8>, _>(range);
            let pair = |row: sled::Result<(sled::IVec, sled::IVec)>| {
                let (key, value) = row.map_err(|e| map_error(&e))?;
                Ok((split_key(&key)?.1.to_vec(), value.to_vec()))
            };
            if scan.reverse {
                rows.rev().take(scan.limit).map(pair).collect()
            } else {
                rows.take(scan.limit).map(pair).collect()
            }
        })
    }

    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError> {
        let from =
            after.map_or(Bound::Unbounded, |(table, key)| Bound::Excluded(engine_key(table, key)));
        let _page = self.page.read().unwrap_or_else(PoisonError::into_inner);
        self.database.with(|db| {
            let cells = db.range::<Vec<u8>, _>((from, Bound::Unbounded)).take(limit);
            cells
                .map(|row| {
                    let (key, value) = row.map_err(|e| map_error(&e))?;
                    let (table, key) = split_key(&key)?;
                    Ok(Cell { table: table.to_owned(), key: key.to_vec(), value: value.to_vec() })
                })
                .collect()
        })
    }

    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError> {
        let mut batch = sled::Batch::default();
        for write in group {
            let key = engine_key(write.table, write.key);
            match write.value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        if group.len() >= COLD_ROWS_MIN {
            // The batch finds its pages in the cache then, so readers of pages wait for no disk. A
            // row that can't be read is an error of the batch.
            self.database.with(|db| {
                for write in group {
                    let _: sled::Result<Option<sled::IVec>> =
                        db.get(engine_key(write.table, write.key));
                }
                Ok(())
            })?;
        }
        {
            let _page = self.page.write().unwrap_or_else(PoisonError::into_inner);
            self.database.with(|db| db.apply_batch(batch).map_err(|e| map_error(&e)))?;
        }
        let len = |write: &Write<'_>| write.key.len() + write.value.map_or(0, <[u8]>::len);
        self.applied_len.fetch_add(group.iter().map(len).sum(), Ordering::Relaxed);
        let unflushed = self.unflushed_rows.fetch_add(group.len(), Ordering::Relaxed) + group.len();
        if unflushed >= UNFLUSHED_ROWS_MAX {
            // Only to limit sled's memory, so without a sync.
            self.database.with(|db| db.flush().map_err(|e| map_error(&e)))?;
            self.unflushed_rows.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.database.with(|db| {
            db.flush().map_err(|e| map_error(&e))?;
            sync_folder(&self.folder).map_err(|e| full_or_unavailable(&e))
        })?;
        self.unflushed_rows.store(0, Ordering::Relaxed);
        Ok(())
    }

    fn reopen(&self) -> Result<(), EngineError> {
        self.unflushed_rows.store(0, Ordering::Relaxed);
        self.applied_len.store(0, Ordering::Relaxed);
        self.database.reopen()
    }

    fn opens_slowly(&self) -> bool {
        let is_short = |db: &sled::Db| {
            db.size_on_disk().map(|len| len <= REOPEN_LEN_MAX).map_err(|e| map_error(&e))
        };
        self.applied_len.load(Ordering::Relaxed) >= SLOW_OPEN_LEN
            && self.database.with(is_short).unwrap_or(false)
    }

    fn failure(&self) -> Option<EngineError> {
        self.database.failure()
    }

    fn survives_power_cut(&self) -> bool {
        false
    }
}
