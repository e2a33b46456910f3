//! The types that every layer of the store uses: rows, tables, scans, blob ids, errors.

use std::cmp::Ordering;
use std::io;

pub use freehold_proto::BlobId;

use crate::fs;

/// The longest value of a row, in bytes; longer contents are stored as blobs.
pub const VALUE_LEN_MAX: usize = 4096;
/// The longest key of a row, in bytes.
pub const KEY_LEN_MAX: usize = 256;

/// The most rows one change may write; larger work is split into several changes.
pub const ROWS_MAX: usize = 1000;
/// The most bytes of keys and values that one change may write; small blobs are not counted.
pub const WRITTEN_LEN_MAX: usize = 1024 * 1024;

/// A named set of rows. Declared `const`, private, beside its only writer; its on-disk name never
/// changes.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    name: &'static str,
    refers: bool,
}

impl Table {
    /// Declares a table by its on-disk name. Its rows refer to no blobs.
    pub const fn new(name: &'static str) -> Self {
        Self { name, refers: false }
    }

    /// Declares a table whose rows refer to blobs. The store reads such a row before it is replaced
    /// or deleted, to know which blobs lose a reference.
    pub const fn referring(name: &'static str) -> Self {
        Self { name, refers: true }
    }

    /// The on-disk name.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Whether its rows may refer to blobs.
    pub(crate) const fn refers(self) -> bool {
        self.refers
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Table {}

impl PartialOrd for Table {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Table {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}

/// A row as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The log position of the change that wrote it.
    pub version: u64,
    /// The value.
    pub value: Vec<u8>,
    /// The blobs it refers to; they are kept as long as the row.
    pub blobs: Vec<BlobId>,
}

/// A row of a walk through all tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedRow {
    /// The table's on-disk name.
    pub table: String,
    /// The row's key.
    pub key: Vec<u8>,
    /// The row, or [`StoreError::Corrupt`].
    pub row: Result<Row, StoreError>,
}

/// An error of the store.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// The disk is full, or free space is under the watermark. Reading and deleting go on.
    #[error("the disk is full")]
    Full,
    /// Nothing can be written, for this reason. Reading goes on.
    #[error("changes are refused: {0}")]
    ReadOnly(String),
    /// A row or a blob does not unseal: it is damaged and is not served.
    #[error("{}", damage(table))]
    Corrupt {
        /// The table's name.
        table: String,
        /// The row's key.
        key: Vec<u8>,
    },
    /// The store failed or has stopped; the outcome of this change is unknown.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A row, a change or a blob is over its limit.
    #[error("{what} is {len} bytes, the limit is {len_max}")]
    TooLarge {
        /// The thing that is too large.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        len_max: usize,
    },
    /// The blob does not exist.
    #[error("the blob does not exist")]
    NoBlob,
}

impl StoreError {
    /// True if a change was refused, or its outcome is unknown, for want of space or because of the
    /// disk. Work that reads, and changes something by the way only, goes on then.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly(_) | Self::Unavailable(_))
    }
}

fn damage(table: &str) -> String {
    match table {
        // An engine does not know which rows its damaged files held.
        "" => "the files of the storage engine are damaged".to_owned(),
        table => format!("damaged row in table {table}"),
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        if fs::is_full(&error) {
            Self::Full
        } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
            Self::ReadOnly(error.to_string())
        } else {
            Self::Unavailable(error.to_string())
        }
    }
}

/// A range of rows of a table to read, in key order.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Only keys with this prefix.
    pub prefix: Vec<u8>,
    /// Only keys after this one in the direction of the scan; `None` for all.
    pub after: Option<Vec<u8>>,
    /// True to read from the last key to the first.
    pub reverse: bool,
    /// The most rows to read.
    pub limit: usize,
}

impl Scan {
    /// The rows whose keys begin with `prefix`, in ascending order, at most `limit`.
    pub fn prefix(prefix: &[u8], limit: usize) -> Self {
        Self { prefix: prefix.to_vec(), after: None, reverse: false, limit }
    }

    /// The same rows in descending order.
    pub fn reversed(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// The same rows after `key`, in the direction of the scan.
    pub fn after(mut self, key: &[u8]) -> Self {
        self.after = Some(key.to_vec());
        self
    }
}
