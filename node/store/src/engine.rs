//! The seam under the store: what holds the rows between the log's checkpoints. No engine's own
//! type crosses it.
//!
//! An engine is told only what the log already holds, so it may lose whatever it was not asked to
//! flush. Values are opaque here (sealed above); a group is applied whole or not at all, over all
//! tables.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use crate::types::{Scan, StoreError};

mod adversarial;
#[cfg(test)]
mod conformance;
mod deferred;
mod guarded;
mod memory;
mod redb;
mod sled;

pub use adversarial::{AdversarialEngine, Harm};
pub use deferred::DeferredEngine;
pub use memory::MemoryEngine;
pub use redb::RedbEngine;
pub use sled::SledEngine;

/// How much memory an engine keeps for its cache, unless the config says otherwise; bytes.
pub const CACHE_LEN_DEFAULT: u64 = 8 * 1024 * 1024;

/// Which engine holds the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// sled 0.34.
    #[default]
    Sled,
    /// redb.
    Redb,
    /// Nothing is kept past the process: the model that the others are tested against.
    Memory,
}

/// Why an engine could not answer or take a group.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EngineError {
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// A row's bytes are not what was written; the key is empty where the engine can't say which
    /// row.
    #[error("damaged row in table {table:?}")]
    Corrupt {
        /// The table's name, empty where it isn't known.
        table: String,
        /// The row's key, empty where it isn't known.
        key: Vec<u8>,
    },
    /// The engine failed; it answers nothing until it is reopened.
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

/// One row to be put (`Some`) or deleted (`None`).
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

/// A row with the table it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The table's on-disk name.
    pub table: String,
    /// The row's key.
    pub key: Vec<u8>,
    /// The row's bytes.
    pub value: Vec<u8>,
}

/// Holds rows. Many threads read while one applies; what one call reads is of one moment, before or
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

    /// A page of all rows in order of table name, then key, past the row `after`: for checks and
    /// comparisons.
    ///
    /// # Errors
    /// As [`EngineError`].
    fn walk(&self, after: Option<(&str, &[u8])>, limit: usize) -> Result<Vec<Cell>, EngineError>;

    /// Applies a group, all of it or nothing, in its order (a later write of the same row wins). It
    /// is visible on return, and kept through a power cut only once [`Engine::flush`] has returned.
    ///
    /// # Errors
    /// As [`EngineError`]; whether the group was applied is then unknown, and applying it again
    /// does no harm.
    fn apply(&self, group: &[Write<'_>]) -> Result<(), EngineError>;

    /// Returns once everything applied so far has reached the engine, where that is done a little
    /// later.
    ///
    /// # Errors
    /// As [`Engine::apply`], for what was applied before.
    fn settle(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Makes everything applied so far durable.
    ///
    /// # Errors
    /// As [`EngineError`]; nothing may be assumed durable then.
    fn flush(&self) -> Result<(), EngineError>;

    /// Closes and opens the engine again after an error, which sticks until then. What was applied
    /// and not flushed may be gone.
    ///
    /// # Errors
    /// As [`EngineError`].
    fn reopen(&self) -> Result<(), EngineError>;

    /// Whether what was flushed can be trusted after a power cut; where not, the store is rebuilt
    /// from snapshot and log.
    fn survives_power_cut(&self) -> bool;
}

/// Opens the engine in `folder` (which exists), creating it where there is none; `cache_len` in
/// bytes.
///
/// # Errors
/// As [`EngineError`].
pub fn open(
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

/// The one key under which an engine with a single tree holds a row: the table's name, a zero byte,
/// the row's key. Its order is that of (table, key).
fn joined(table: &str, key: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(table.len() + 1 + key.len());
    joined.extend_from_slice(table.as_bytes());
    joined.push(0);
    joined.extend_from_slice(key);
    joined
}

/// From and to, among joined keys.
type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The range of joined keys a scan covers; `None` when it covers nothing.
fn bounds(table: &str, scan: &Scan) -> Option<KeyRange> {
    let start = joined(table, &scan.prefix);
    let end = past_prefix(&start)?;
    let after = scan.after.as_ref().map(|key| joined(table, key));
    match (after, scan.reverse) {
        (Some(after), false) if after >= end => None,
        (Some(after), false) if after >= start => {
            Some((Bound::Excluded(after), Bound::Excluded(end)))
        }
        (Some(after), true) if after <= start => None,
        (Some(after), true) if after < end => {
            Some((Bound::Included(start), Bound::Excluded(after)))
        }
        // No mark, or one on the near side of the prefix: all of it.
        _ => Some((Bound::Included(start), Bound::Excluded(end))),
    }
}

/// The first key past all keys that begin with `prefix`; `None` if there is none (no table's name
/// begins so).
fn past_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// A joined key taken apart again.
fn parted(joined: &[u8]) -> Result<(&str, &[u8]), EngineError> {
    let damaged = || EngineError::Corrupt { table: String::new(), key: joined.to_vec() };
    let zero = joined.iter().position(|byte| *byte == 0).ok_or_else(damaged)?;
    let (table, key) = joined.split_at(zero);
    let table = std::str::from_utf8(table).map_err(|_| damaged())?;
    Ok((table, key.get(1..).unwrap_or_default()))
}

fn full_or_unavailable(error: &std::io::Error) -> EngineError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => EngineError::Full,
        _ => EngineError::Unavailable(error.to_string()),
    }
}

/// Syncs every file below `folder` and the folders themselves.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folder(&path)?;
        } else {
            match File::open(&path) {
                Ok(file) => file.sync_data()?,
                // A file that the engine removed meanwhile needs no sync.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    File::open(folder)?.sync_all()
}
