//! Rows and blobs: `commit` makes a change durable, then visible, then hinted; `get` and `scan` read what is durable.
//!
//! A change is a function run by the one committer, in order, on a view that includes everything committed before it;
//! so numbers that must be gapless are simply read and raised inside it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::blobs::Pinned;
use crate::events::{Event, Events};

/// The longest value of a row, in bytes; what is longer belongs in a blob.
pub const VALUE_LEN_MAX: usize = 4096;
/// The longest key of a row, in bytes.
pub const KEY_LEN_MAX: usize = 256;

/// A named set of rows. Declared `const`, private, beside its only writer; its on-disk name never changes.
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

/// The content address of a blob: BLAKE3 of its wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 32]);

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

/// Which rows of a table to read, in key order.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    /// Only keys after this one (before it when reversed); `None` starts at the end the scan comes from.
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

type Rows = BTreeMap<(Table, Vec<u8>), Row>;

/// The store of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    rows: Arc<RwLock<(u64, Rows)>>,
    events: Events,
}

impl Store {
    /// A store that forgets when dropped.
    pub fn in_memory(events: Events) -> Self {
        Self { rows: Arc::default(), events }
    }

    /// One row.
    ///
    /// # Errors
    /// When the row is damaged or the store is unavailable.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        Ok(rows.1.get(&(table, key.to_vec())).cloned())
    }

    /// Rows in key order.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn scan(&self, table: Table, scan: &Scan) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        Ok(scan_rows(&rows.1, table, scan))
    }

    /// Runs `work` on the committer and makes what it wrote durable, all or nothing; returns once it is.
    ///
    /// # Errors
    /// What `work` returned (nothing was written then), or the store's own error.
    pub async fn commit<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.commit_blocking(work)
    }

    /// [`Store::commit`] for a thread that may block.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut guard = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let (position, rows) = &mut *guard;
        let mut tx = Tx { position: *position + 1, rows: rows.clone(), events: Vec::new(), durable: std::marker::PhantomData };
        let done = work(&mut tx)?;
        *rows = tx.rows;
        *position += 1;
        let events = tx.events;
        drop(guard);
        for event in events {
            self.events.send(event);
        }
        Ok(done)
    }
}

fn scan_rows(rows: &Rows, table: Table, scan: &Scan) -> Vec<(Vec<u8>, Row)> {
    let wanted = rows.iter().filter(|((t, key), _)| *t == table && key.starts_with(&scan.prefix)).map(|((_, k), r)| (k, r));
    let take = |found: &mut dyn Iterator<Item = (&Vec<u8>, &Row)>| -> Vec<(Vec<u8>, Row)> {
        found.take(scan.limit).map(|(k, r)| (k.clone(), r.clone())).collect()
    };
    match (&scan.after, scan.reverse) {
        (None, false) => take(&mut wanted.into_iter()),
        (None, true) => take(&mut wanted.collect::<Vec<_>>().into_iter().rev()),
        (Some(after), false) => take(&mut wanted.filter(|(k, _)| *k > after)),
        (Some(after), true) => take(&mut wanted.filter(|(k, _)| *k < after).collect::<Vec<_>>().into_iter().rev()),
    }
}

/// A change in the making: sees everything committed before it and its own writes.
pub struct Tx<'a> {
    position: u64,
    rows: Rows,
    events: Vec<Event>,
    durable: std::marker::PhantomData<&'a ()>,
}

impl Tx<'_> {
    /// The log position this change will have; every row it writes gets it as version.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// One row, this change's own writes included.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows.get(&(table, key.to_vec())).cloned())
    }

    /// Rows in key order, this change's own writes included.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn scan(&self, table: Table, scan: &Scan) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        Ok(scan_rows(&self.rows, table, scan))
    }

    /// Writes a row that refers to no blob.
    ///
    /// # Errors
    /// When key, value or the whole change is over its limit.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.put_referring(table, key, value, &[])
    }

    /// Writes a row that keeps `blobs` alive. Each must be stored already (pinned, or referred to by another row).
    ///
    /// # Errors
    /// As [`Tx::put`], and [`StoreError::NoBlob`].
    pub fn put_referring(&mut self, table: Table, key: &[u8], value: &[u8], blobs: &[BlobId]) -> Result<(), StoreError> {
        if value.len() > VALUE_LEN_MAX {
            return Err(StoreError::TooLarge { what: "row", len: value.len(), len_max: VALUE_LEN_MAX });
        }
        if key.len() > KEY_LEN_MAX {
            return Err(StoreError::TooLarge { what: "key", len: key.len(), len_max: KEY_LEN_MAX });
        }
        let row = Row { version: self.position, value: value.to_vec(), blobs: blobs.to_vec() };
        self.rows.insert((table, key.to_vec()), row);
        Ok(())
    }

    /// Lets a small blob travel with this change, so that both become durable at once; a large one already is.
    pub fn attach(&mut self, _pinned: &Pinned) {}

    /// Removes a row; a row that is not there is no error.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.rows.remove(&(table, key.to_vec()));
    }

    /// Sends `event` once this change is durable and visible.
    pub fn after(&mut self, event: Event) {
        self.events.push(event);
    }
}
