//! The storage-engine interface: an [`Engine`] holds the rows. No type of sled or redb appears
//! outside this module.
//!
//! An engine receives only groups that the write-ahead log already holds, so it may lose everything
//! since its last flush. Values are opaque bytes here (sealed by the store). A group is applied
//! atomically, over all tables.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use crate::types::{Scan, StoreError};

#[cfg(any(test, feature = "testing"))]
mod adversarial;
mod closed;
#[cfg(test)]
mod conformance;
mod deferred;
mod guarded;
mod memory;
mod redb;
mod sled;

#[cfg(any(test, feature = "testing"))]
pub use adversarial::{AdversarialEngine, Harm};
pub(crate) use closed::ClosedEngine;
pub(crate) use deferred::DeferredEngine;
pub use memory::MemoryEngine;
pub(crate) use redb::RedbEngine;
pub(crate) use sled::SledEngine;

/// The default size of an engine's cache, in bytes.
pub const CACHE_LEN_DEFAULT: u64 = 8 * 1024 * 1024;

/// The engines of this crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// sled 0.34.
    #[default]
    Sled,
    /// redb.
    Redb,
    /// Rows in memory only: for a disk that cannot be written, and the model that the other engines
    /// are tested against.
    Memory,
}

/// An error of an engine.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EngineError {
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// Stored bytes are damaged. Table and key are empty if the engine does not know them.
    #[error("damaged row in table {table:?}")]
    Corrupt {
        /// The table's name, empty if unknown.
        table: String,
        /// The row's key, empty if unknown.
        key: Vec<u8>,
    },
    /// The engine failed; every call fails until it is reopened.
    #[error("the store engine failed: {0}")]
    Unavailable(String),
}

impl From<EngineError> for StoreError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Full => Self::Full,
            EngineError::Corrupt { table, key } => Self::Corrupt { table, key },
            EngineError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

/// A write of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write<'a> {
    /// The table's on-disk name; it holds no zero byte.
    pub table: &'a str,
    /// The row's key.
    pub key: &'a [u8],
    /// The row's bytes, or `None` to delete the row.
    pub value: Option<&'a [u8]>,
}

/// A key and its bytes.
pub type Pair = (Vec<u8>, Vec<u8>);

/// A row with its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The table's on-disk name.
    pub table: String,
    /// The row's key.
    pub key: Vec<u8>,
    /// The row's bytes.
    pub value: Vec<u8>,
}

/// A storage engine. Many threads read while one applies; each read is a consistent view, before or
/// after a group.
pub trait Engine: Send + Sync {
    /// One row's bytes.
    ///
    /// # Errors
    /// As [`EngineError`].
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// A page of a table's rows in key order.
    ///
    /// # Errors
    /// As [`EngineError`].
    fn scan(&self, table: &str, scan: &Scan) -> Result<Vec<Pair>, EngineError>;

    /// A page of all rows in order of table name, then key, after the row `after`: for checks and
    /// comparisons.
    ///
    /// # Errors
    /// As [`EngineError`].
    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError>;

    /// Applies a group atomically and in order: a later write of the same row wins. The group is
    /// visible on return, and durable once [`Engine::flush`] has returned.
    ///
    /// # Errors
    /// As [`EngineError`]; it is then unknown if the group was applied. Applying it again is safe.
    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError>;

    /// Waits until everything applied so far has left the memory in front of the engine, if there
    /// is one.
    ///
    /// # Errors
    /// As [`Engine::apply`], for earlier groups.
    fn drain(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Makes everything applied so far durable.
    ///
    /// # Errors
    /// As [`EngineError`]; nothing since the last flush may be assumed durable.
    fn flush(&self) -> Result<(), EngineError>;

    /// Closes the engine and opens it again after an error, which is sticky until then. Groups that
    /// were not flushed may be lost.
    ///
    /// # Errors
    /// As [`EngineError`].
    fn reopen(&self) -> Result<(), EngineError>;

    /// True if the next opening takes noticeably longer than one after [`Engine::reopen`], because
    /// much was written since the engine was opened.
    fn opens_slowly(&self) -> bool {
        false
    }

    /// The sticky error, if the engine has failed and must be reopened.
    fn failure(&self) -> Option<EngineError> {
        None
    }

    /// True if flushed rows survive a power cut. Otherwise the store is rebuilt from snapshot and
    /// log after one.
    fn survives_power_cut(&self) -> bool;
}

/// Opens the engine in the existing folder `folder`, creating it if necessary; `cache_len` in
/// bytes.
///
/// # Errors
/// As [`EngineError`].
pub(crate) fn open(
    kind: EngineKind,
    folder: &Path,
    cache_len: u64,
) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(match kind {
        EngineKind::Sled => {
            Arc::new(DeferredEngine::new(Arc::new(SledEngine::open(folder, cache_len)?))?)
        }
        EngineKind::Redb => {
            Arc::new(DeferredEngine::new(Arc::new(RedbEngine::open(folder, cache_len)?))?)
        }
        EngineKind::Memory => Arc::new(MemoryEngine::default()),
    })
}

/// The key of a row in an engine with a single tree: the table's name, a zero byte, the row's key.
/// Sorted as (table, key).
fn engine_key(table: &str, key: &[u8]) -> Vec<u8> {
    let mut engine_key = Vec::with_capacity(table.len() + 1 + key.len());
    engine_key.extend_from_slice(table.as_bytes());
    engine_key.push(0);
    engine_key.extend_from_slice(key);
    engine_key
}

/// A range of engine keys.
type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The range of engine keys that a scan covers; `None` if it is empty.
fn bounds(table: &str, scan: &Scan) -> Option<KeyRange> {
    let start = engine_key(table, &scan.prefix);
    let end = prefix_end(&start)?;
    let after = scan.after.as_ref().map(|key| engine_key(table, key));
    match (after, scan.reverse) {
        (Some(after), false) if after >= end => None,
        (Some(after), false) if after >= start => {
            Some((Bound::Excluded(after), Bound::Excluded(end)))
        }
        (Some(after), true) if after <= start => None,
        (Some(after), true) if after < end => {
            Some((Bound::Included(start), Bound::Excluded(after)))
        }
        // No `after`, or one before the first row of the scan: the whole prefix.
        _ => Some((Bound::Included(start), Bound::Excluded(end))),
    }
}

/// The first key after all keys that begin with `prefix`; `None` if there is none, as for a prefix
/// of 0xff bytes only.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Splits an engine key into table and key.
fn split_key(engine_key: &[u8]) -> Result<(&str, &[u8]), EngineError> {
    let damaged = || EngineError::Corrupt { table: String::new(), key: engine_key.to_vec() };
    let zero = engine_key.iter().position(|byte| *byte == 0).ok_or_else(damaged)?;
    let (table, key) = engine_key.split_at(zero);
    let table = std::str::from_utf8(table).map_err(|_| damaged())?;
    Ok((table, key.get(1..).unwrap_or_default()))
}

fn full_or_unavailable(error: &std::io::Error) -> EngineError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => EngineError::Full,
        _ => EngineError::Unavailable(error.to_string()),
    }
}

/// Syncs every file below `folder`, and the folders.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let synced = match path.is_dir() {
            true => sync_folder(&path),
            false => File::open(&path).and_then(|file| file.sync_data()),
        };
        match synced {
            // The engine removed this file in the meantime, or the store the folder of another one.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            synced => synced?,
        }
    }
    File::open(folder)?.sync_all()
}
