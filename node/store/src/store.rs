//! Rows and blobs: `commit` makes a change durable, then visible, then hinted; `get` and `scan`
//! read what is durable.
//!
//! A change is a function run by the one committer, in order, on a view that includes everything
//! committed before it; so numbers that must be gapless are simply read and raised inside it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use crate::hints::Hint;

mod checkpoint;
mod collect;
mod committer;
mod door;
mod keeper;
mod options;
mod rebuild;
mod rows;
mod snapshot;
mod start;
mod stop;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod traces;
mod tx;
mod verify;
mod waiter;

pub use crate::types::{
    BlobId, KEY_LEN_MAX, ROWS_MAX, Row, Scan, StoreError, Table, VALUE_LEN_MAX, WRITTEN_LEN_MAX,
    WalkedRow,
};
pub use crate::wal::recover::WalError;
#[cfg(any(test, feature = "testing"))]
pub use options::OpenEngine;
pub use options::{EngineSource, FolderLock, OpenError, Progress, Stage, StoreOptions, boot_id};
pub use stop::Stop;
pub use tx::Tx;

use committer::{Queue, Shared};
use keeper::Keeper;
use start::Started;
use waiter::{Reply, Waiter};

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

/// The store of one node. Cheap to clone; the last clone to go closes it.
#[derive(Clone)]
pub struct Store<H: Hint>(Arc<Inner<H>>);

struct Inner<H: Hint> {
    queue: Arc<Queue<H>>,
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<H: Hint> fmt::Debug for Store<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl<H: Hint> Store<H> {
    /// Opens the store, whatever the last run left, and starts its committer. May take long after a
    /// power cut.
    ///
    /// # Errors
    /// As [`OpenError`].
    pub fn open(options: StoreOptions<H>) -> Result<Self, OpenError> {
        let Started { queue, shared, keeper, threads } = start::start(options)?;
        Ok(Self(Arc::new(Inner { queue, shared, keeper, threads: Mutex::new(threads) })))
    }

    /// One row.
    ///
    /// # Errors
    /// When the row is damaged or the store is unavailable.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.0.shared.rows.get(table, key)
    }

    /// Rows in key order.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn scan(&self, table: Table, scan: &Scan) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.0.shared.rows.scan(table, scan)
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
    ) -> Result<Vec<WalkedRow>, StoreError> {
        self.0.shared.rows.walk(after, limit)
    }

    /// The keys of a page of a table's rows, in order, without unsealing a row: that one is damaged
    /// shows when it is read.
    ///
    /// # Errors
    /// As [`Store::scan`].
    pub fn keys(&self, table: Table, scan: &Scan) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0.shared.rows.keys(table, scan)
    }

    /// One row of a table known only by its name, as [`Store::walk`] gives it.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get_named(&self, table: &str, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.0.shared.rows.get_named(table, key)
    }

    /// The last position that is durable and visible.
    pub fn position(&self) -> u64 {
        self.0.shared.end().position
    }

    /// Files what is pending and flushes the engine, so that a start has less to read. Blocks.
    ///
    /// # Errors
    /// The disk's, or that the store was stopped.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let (shared, keeper) = (&self.0.shared, &self.0.keeper);
        keeper.checkpoint_now(&shared.end())
    }

    /// Makes a checkpoint and a snapshot of it; what is older than two snapshots is forgotten.
    /// Blocks, perhaps for long.
    ///
    /// # Errors
    /// The disk's.
    pub fn snapshot(&self) -> Result<(), StoreError> {
        self.checkpoint()?;
        self.0.keeper.snapshot()
    }

    /// Lets the next change begin a new log segment, so that the log before it can be removed
    /// whole.
    pub fn begin_segment(&self) {
        self.0.shared.begin_segment();
    }

    /// The first position of which log or snapshots still hold anything; what was deleted before it
    /// is in neither.
    ///
    /// # Errors
    /// The disk's.
    pub fn oldest(&self) -> Result<u64, StoreError> {
        self.0.keeper.oldest()
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
        let (shared, keeper) = (&self.0.shared, &self.0.keeper);
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
        F: FnOnce(&mut Tx<'_, H>) -> Result<T, E> + Send + 'static,
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
        F: FnOnce(&mut Tx<'_, H>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.send(work, reply)?;
        answer.recv().unwrap_or_else(|_| Err(stopped().into()))
    }

    fn send<T, E, F, R>(&self, work: F, reply: R) -> Result<(), StoreError>
    where
        F: FnOnce(&mut Tx<'_, H>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        R: Reply<Result<T, E>>,
    {
        self.0.queue.push(Box::new(Waiter::new(work, reply)));
        Ok(())
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store has stopped".into())
}

impl<H: Hint> Inner<H> {
    fn close(&self) {
        self.queue.close();
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

impl<H: Hint> Drop for Inner<H> {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
pub(crate) mod tests;
