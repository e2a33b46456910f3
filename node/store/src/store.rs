//! The store of rows: `commit` makes a change durable, then visible, then sends its hints; `get`
//! and `scan` read durable rows.
//!
//! A change is a function that the single committer thread runs. Changes run in order, each on a
//! view with all earlier changes, so a change can assign gapless numbers by reading and
//! incrementing a row.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use crate::hints::Hint;

mod admission;
mod checkpoint;
mod checkpointer;
mod collect;
mod committed_rows;
mod committer;
mod compaction;
mod engine_folder;
mod health;
mod options;
mod packs;
mod pending;
mod queue;
mod read_only;
mod rebuild;
mod recovery;
mod references;
mod replay;
mod sealed_rows;
mod shared;
mod snapshot;
mod start;
mod stop;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod traces;
mod tx;
mod unreferenced;
mod verify;

pub use crate::types::{
    BlobId, KEY_LEN_MAX, ROWS_MAX, Row, Scan, StoreError, Table, VALUE_LEN_MAX, WRITTEN_LEN_MAX,
    WalkedRow,
};
pub use crate::wal::recover::WalError;
pub use compaction::EngineFiles;
pub use health::Health;
#[cfg(any(test, feature = "testing"))]
pub use options::OpenEngine;
pub use options::{EngineSource, FolderLock, OpenError, Progress, Stage, StoreOptions, boot_id};
pub use packs::{Pause, Rewritten};
pub use stop::Stop;
pub use tx::Tx;

use checkpointer::Checkpointer;
use pending::{PendingChange, Reply};
use queue::Queue;
use shared::Shared;
use start::Started;

/// A store of rows. Cheap to clone; closed when the last clone is dropped.
#[derive(Clone)]
pub struct Store<H: Hint>(Arc<Inner<H>>);

struct Inner<H: Hint> {
    queue: Arc<Queue<H>>,
    shared: Arc<Shared>,
    checkpointer: Arc<Checkpointer>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The lock of a read-only store, which has no thread to hold it.
    _folder_lock: Option<FolderLock>,
}

impl<H: Hint> fmt::Debug for Store<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl<H: Hint> Store<H> {
    /// Opens the store in any state that the last run left, and starts its threads. May take
    /// long after a power cut.
    ///
    /// # Errors
    /// As [`OpenError`].
    pub fn open(options: StoreOptions<H>) -> Result<Self, OpenError> {
        let Started { queue, shared, checkpointer, threads, folder_lock } = start::start(options)?;
        Ok(Self(Arc::new(Inner {
            queue,
            shared,
            checkpointer,
            threads: Mutex::new(threads),
            _folder_lock: folder_lock,
        })))
    }

    /// One row.
    ///
    /// # Errors
    /// If the row is damaged or the store is unavailable.
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

    /// A page of all rows, in order of table name, then key, after the row `after`: for checks and
    /// collections. A damaged row is included, as an error.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub fn walk(
        &self,
        after: Option<(&str, &[u8])>,
        limit: usize,
    ) -> Result<Vec<WalkedRow>, StoreError> {
        self.0.shared.rows.walk(after, limit)
    }

    /// The keys of a table's rows, in order. Rows are not unsealed, so damage is not detected.
    ///
    /// # Errors
    /// As [`Store::scan`].
    pub fn keys(&self, table: Table, scan: &Scan) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0.shared.rows.keys(table, scan)
    }

    /// The keys of the rows of `table` that refer to a blob and begin with `prefix`, in order, at
    /// most `limit`.
    ///
    /// # Errors
    /// As [`Store::scan`].
    pub fn referring_keys(
        &self,
        blob: &BlobId,
        table: Table,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let first = references::reference_key(blob, table.name(), prefix);
        let found = self.keys(references::REFERENCES, &Scan::prefix(&first, limit))?;
        let rows = found.iter().filter_map(|key| references::referring_row(key));
        Ok(rows.map(|(_, key)| key.to_vec()).collect())
    }

    /// One row of a table given by name, as in [`WalkedRow::table`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get_named(&self, table: &str, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.0.shared.rows.get_named(table, key)
    }

    /// The position of the last durable and visible change.
    pub fn position(&self) -> u64 {
        self.0.shared.end().position
    }

    /// As [`Store::position`], but waits while a change is being made visible. If two calls return
    /// the same position, all rows read in between belong to it.
    pub fn settled_position(&self) -> u64 {
        self.0.shared.settled_end().position
    }

    /// The store's present abilities. Cheap: reads the free space, and no row.
    pub fn health(&self) -> Health {
        let (shared, space) = (&self.0.shared, self.0.checkpointer.parts.space.as_ref());
        if let Some(reason) = shared.read_only_reason() {
            Health::ReadOnly(reason.to_owned())
        } else if let Some(error) = shared.rows.unreadable() {
            Health::Unreadable(error.to_string())
        } else if let Some(cause) = shared.log_failure() {
            Health::Stopped(stopped_log(&cause).to_string())
        } else if space.is_some_and(|space| space.check().is_err()) {
            Health::Full
        } else if space.is_some_and(|space| space.check_space_for_strangers(0).is_err()) {
            Health::Low
        } else {
            Health::Sound
        }
    }

    /// Makes a checkpoint: writes small blobs to packs and flushes the engine, so that the next
    /// start replays less of the log. Blocks.
    ///
    /// # Errors
    /// The disk's; [`StoreError::Unavailable`] after the store was stopped.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        if let Some(reason) = self.0.shared.read_only_reason() {
            return Err(StoreError::ReadOnly(reason.to_owned()));
        }
        self.0.checkpointer.checkpoint_now()
    }

    /// Makes a checkpoint and a snapshot of it; removes snapshots and log older than the last two
    /// snapshots. Blocks, possibly for long.
    ///
    /// # Errors
    /// The disk's.
    pub fn snapshot(&self) -> Result<(), StoreError> {
        self.checkpoint()?;
        self.0.checkpointer.snapshot()
    }

    /// Makes the next change begin a new log segment, so that all segments before it can be
    /// removed.
    pub fn begin_segment(&self) {
        self.0.shared.begin_segment();
    }

    /// The oldest position in a snapshot or the log. Rows deleted before it are in neither.
    ///
    /// # Errors
    /// The disk's.
    pub fn oldest(&self) -> Result<u64, StoreError> {
        self.0.checkpointer.oldest_position()
    }

    /// Compares every row with the snapshots and the log, and returns a description of each
    /// difference. `progress` is called with the number of rows compared so far, at least once per
    /// page of rows; an error from it ends the comparison. Blocks, possibly for long; changes may
    /// be committed at the same time.
    ///
    /// # Errors
    /// If the store cannot be read, and those of `progress`.
    pub fn verify(
        &self,
        progress: &dyn Fn(u64) -> Result<(), StoreError>,
    ) -> Result<Vec<String>, StoreError> {
        let (shared, checkpointer) = (&self.0.shared, &self.0.checkpointer);
        checkpointer.with_snapshots_locked(|stop| {
            verify::verify(checkpointer, shared, &|rows| stop.check().and_then(|()| progress(rows)))
        })
    }

    /// Commits the pending changes and stops cleanly; later changes are refused. Blocks.
    pub fn close(&self) {
        self.0.close();
    }

    /// Runs `work` on the committer thread and makes its writes durable, atomically. Returns when
    /// they are durable and visible. Dropping the future does not cancel the change.
    ///
    /// # Errors
    /// The error of `work`, whose writes are then discarded, or the store's.
    pub async fn commit<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_, H>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        self.send(work, reply)?;
        result.await.unwrap_or_else(|_| Err(stopped().into()))
    }

    /// [`Store::commit`] for a blocking thread.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Tx<'_, H>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, result) = std::sync::mpsc::sync_channel(1);
        self.send(work, reply)?;
        result.recv().unwrap_or_else(|_| Err(stopped().into()))
    }

    /// [`Store::commit_blocking`] for a change of the store itself, by a thread that has locked
    /// packing.
    fn commit_urgent<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Tx<'_, H>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, result) = std::sync::mpsc::sync_channel(1);
        self.0.queue.push_urgent(Box::new(PendingChange::new(work, reply)));
        result.recv().unwrap_or_else(|_| Err(stopped()))
    }

    fn lock_packing(&self) -> Result<checkpointer::Packing<'_>, StoreError> {
        self.0.checkpointer.lock_packing()
    }

    /// Runs work that must succeed on a full disk.
    fn with_reserve<T>(
        &self,
        work: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.0.checkpointer.with_reserve(work)
    }

    fn send<T, E, F, R>(&self, work: F, reply: R) -> Result<(), StoreError>
    where
        F: FnOnce(&mut Tx<'_, H>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        R: Reply<Result<T, E>>,
    {
        self.0.queue.push(Box::new(PendingChange::new(work, reply)));
        Ok(())
    }
}

/// The error of a change while the log is stopped by `cause`.
fn stopped_log(cause: &str) -> StoreError {
    StoreError::ReadOnly(format!(
        "the write-ahead log can't be written ({cause}); the server tries again by itself"
    ))
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store has stopped".into())
}

impl<H: Hint> Inner<H> {
    fn close(&self) {
        self.queue.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // The last clone may be dropped on one of these threads, in a change that the committer
        // drops; a thread cannot join itself.
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
