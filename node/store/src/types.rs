//! The types that every layer of the store names: rows, tables, scans, blob ids, errors.

use std::io;

pub use freehold_proto::BlobId;

use crate::fs;

/// The longest value of a row, in bytes; what is longer belongs in a blob.
pub const VALUE_LEN_MAX: usize = 4096;
/// The longest key of a row, in bytes.
pub const KEY_LEN_MAX: usize = 256;

/// The most rows one change may write; larger work is done in steps.
pub const ROWS_MAX: usize = 1000;
/// The most bytes of keys and values one change may write, small blobs not counted.
pub const WRITTEN_LEN_MAX: usize = 1024 * 1024;

/// A named set of rows. Declared `const`, private, beside its only writer; its on-disk name never
/// changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(&'static str);

impl Table {
    /// Declares a table by its on-disk name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The on-disk name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// A row as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The log position at which it was written.
    pub version: u64,
    /// Its value.
    pub value: Vec<u8>,
    /// The blobs it refers to, which live as long as it does.
    pub blobs: Vec<BlobId>,
}

/// A row met on a walk through all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedRow {
    /// Its table's on-disk name.
    pub table: String,
    /// Its key.
    pub key: Vec<u8>,
    /// The row, or [`StoreError::Corrupt`].
    pub row: Result<Row, StoreError>,
}

/// Why the store could not answer or take a change.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// The disk is full or under the watermark; reading and deleting go on.
    #[error("the disk is full")]
    Full,
    /// A stored thing failed its seal: it is damaged and is not served.
    #[error("damaged row in table {table}")]
    Corrupt {
        /// The table's name.
        table: String,
        /// The row's key.
        key: Vec<u8>,
    },
    /// The store has stopped taking changes (a disk error); the outcome of this one is unknown.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The row or the change is over its limit.
    #[error("{what} is {len} bytes, the limit is {len_max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        len_max: usize,
    },
    /// No such blob.
    #[error("no such blob")]
    NoBlob,
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        if fs::is_full(&error) { Self::Full } else { Self::Unavailable(error.to_string()) }
    }
}

/// Which rows of a table to read, in key order.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// Only keys after this one (before it when reversed); `None` starts at the end the scan comes
    /// from.
    pub after: Option<Vec<u8>>,
    /// From the last key down.
    pub reverse: bool,
    /// At most this many rows.
    pub limit: usize,
}

impl Scan {
    /// The rows whose keys begin with `prefix`, from the first up, at most `limit`.
    pub fn prefix(prefix: &[u8], limit: usize) -> Self {
        Self { prefix: prefix.to_vec(), after: None, reverse: false, limit }
    }

    /// The same rows from the last down.
    pub fn reversed(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// The same rows, past `key`.
    pub fn after(mut self, key: &[u8]) -> Self {
        self.after = Some(key.to_vec());
        self
    }
}
