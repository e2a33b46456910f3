//! Rows and blobs: `commit` makes a change durable, then visible, then hinted; `get` and `scan`
//! read what is durable.
//!
//! A change is a function run by the one committer, in order, on a view that includes everything
//! committed before it; so numbers that must be gapless are simply read and raised inside it.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

pub use freehold_proto::BlobId;

use crate::events::Events;
use crate::fs::{self, MemoryFs};

mod checkpoint;
mod committer;
mod door;
mod keeper;
mod options;
mod rebuild;
mod rows;
mod snapshot;
mod start;
mod stop;
mod tx;
mod verify;
mod waiter;

pub use crate::log::recover::LogError;
pub use options::{
    Claim, EngineSource, OpenEngine, OpenError, Progress, Stage, StoreOptions, boot_id,
};
pub use stop::Stop;
pub use tx::Tx;

use committer::Shared;
use keeper::Keeper;
use start::Started;
use waiter::{Reply, Waiter};

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
pub struct Found {
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

/// How much room there is for changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Room {
    /// Enough.
    #[default]
    Enough,
    /// Only for changes that are small (4 KiB without blobs) or remove at least as much as they
    /// write.
    Low,
    /// Only for such changes if they also delete something, or are a step on the way to that.
    None,
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

/// The store of one node. Cheap to clone; the last clone to go closes it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    started: Result<(Arc<Shared>, Arc<Keeper>), StoreError>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the store, whatever the last run left, and starts its committer. May take long after a
    /// power cut.
    ///
    /// # Errors
    /// As [`OpenError`].
    pub fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let Started { shared, keeper, threads } = start::start(options)?;
        Ok(Self(Arc::new(Inner { started: Ok((shared, keeper)), threads: Mutex::new(threads) })))
    }

    /// A store that forgets when dropped, and behaves like the others in all else.
    pub fn in_memory(events: Events) -> Self {
        Self::open(StoreOptions::in_memory(MemoryFs::new(), events)).unwrap_or_else(|error| {
            let started = Err(StoreError::Unavailable(error.to_string()));
            Self(Arc::new(Inner { started, threads: Mutex::default() }))
        })
    }

    fn started(&self) -> Result<&(Arc<Shared>, Arc<Keeper>), StoreError> {
        self.0.started.as_ref().map_err(Clone::clone)
    }

    /// One row.
    ///
    /// # Errors
    /// When the row is damaged or the store is unavailable.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.started()?.0.rows.get(table, key)
    }

    /// Rows in key order.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn scan(&self, table: Table, scan: &Scan) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.started()?.0.rows.scan(table, scan)
    }

    /// A page of all rows, in order of table name, then key, past the row `after`: for checks and
    /// collections. A damaged row is among them as the error it is.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub fn walk(
        &self,
        after: Option<(&str, &[u8])>,
        limit: usize,
    ) -> Result<Vec<Found>, StoreError> {
        self.started()?.0.rows.walk(after, limit)
    }

    /// The keys of a page of a table's rows, in order, without unsealing a row: that one is damaged
    /// shows when it is read.
    ///
    /// # Errors
    /// As [`Store::scan`].
    pub fn keys(&self, table: Table, scan: &Scan) -> Result<Vec<Vec<u8>>, StoreError> {
        self.started()?.0.rows.keys(table, scan)
    }

    /// One row of a table known only by its name, as [`Store::walk`] gives it.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get_named(&self, table: &str, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.started()?.0.rows.get_named(table, key)
    }

    /// The last position that is durable and visible.
    pub fn position(&self) -> u64 {
        self.started().map_or(0, |(shared, _)| shared.end().position)
    }

    /// Files what is pending and flushes the engine, so that a start has less to read. Blocks.
    ///
    /// # Errors
    /// The disk's, or that the store was stopped.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let (shared, keeper) = self.started()?;
        keeper.checkpoint_now(&shared.end())
    }

    /// Makes a checkpoint and a snapshot of it; what is older than two snapshots is forgotten.
    /// Blocks, perhaps for long.
    ///
    /// # Errors
    /// The disk's.
    pub fn snapshot(&self) -> Result<(), StoreError> {
        self.checkpoint()?;
        self.started()?.1.snapshot()
    }

    /// Lets the next change begin a new log segment, so that the log before it can be removed
    /// whole.
    pub fn begin_segment(&self) {
        if let Ok((shared, _)) = self.started() {
            shared.begin_segment();
        }
    }

    /// The first position of which log or snapshots still hold anything; what was deleted before it
    /// is in neither.
    ///
    /// # Errors
    /// The disk's.
    pub fn oldest(&self) -> Result<u64, StoreError> {
        self.started()?.1.oldest()
    }

    /// Reads the snapshots and the log since the older of them, and holds every row against them;
    /// what is wrong, in words.
    /// `progress` is told how many rows were compared so far, now and then while snapshots and log are read, too. Blocks, perhaps for
    /// long; changes may be committed meanwhile.
    ///
    /// # Errors
    /// When the store can't be read at all, and what `progress` returns.
    pub fn verify(
        &self,
        progress: &dyn Fn(u64) -> Result<(), StoreError>,
    ) -> Result<Vec<String>, StoreError> {
        let (shared, keeper) = self.started()?;
        keeper.undisturbed(|stop| {
            verify::verify(keeper, shared, &|rows| stop.check().and_then(|()| progress(rows)))
        })
    }

    /// Commits what waits and stops cleanly; changes that come later are refused. Blocks.
    pub fn close(&self) {
        self.0.close();
    }

    /// Runs `work` on the committer and makes what it wrote durable, all or nothing; returns once
    /// it is. Dropping the future does not take the change back.
    ///
    /// # Errors
    /// What `work` returned (nothing was written then), or the store's own error.
    pub async fn commit<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(work, reply)?;
        answer.await.unwrap_or_else(|_| Err(stopped().into()))
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
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.send(work, reply)?;
        answer.recv().unwrap_or_else(|_| Err(stopped().into()))
    }

    fn send<T, E, F, R>(&self, work: F, reply: R) -> Result<(), StoreError>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        R: Reply<Result<T, E>>,
    {
        self.started()?.0.queue.push(Box::new(Waiter::new(work, reply)));
        Ok(())
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store has stopped".into())
}

impl Inner {
    fn close(&self) {
        if let Ok((shared, _)) = &self.started {
            shared.queue.close();
        }
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // The last clone may go in a change that the committer itself drops; it can't wait for
        // itself.
        if threads.iter().any(|handle| handle.thread().id() == thread::current().id()) {
            return;
        }
        for handle in threads {
            let _ = handle.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
pub(crate) mod tests;
