//! Opening a store whose disk cannot be written: all changes are refused, and nothing on the disk
//! is touched.
//!
//! The rows are read from snapshot and log into memory, because sled writes when it opens. The last
//! record of the log is not written again, so it is used only if it is durable: it may be in the
//! page cache only, of a process that ended after its sync failed. Read after another boot it came
//! from the disk; on the same boot a sync of its file must succeed, which fails if the file system
//! gave up its journal.

use std::io;
use std::sync::Arc;

use super::StoreError;
use super::checkpoint::{Checkpoint, Condition};
use super::checkpointer::{Checkpointer, Parts};
use super::options::{EngineSource, FolderLock, OpenError, StoreOptions};
use super::queue::Queue;
use super::rebuild::Rebuild;
use super::replay::{Replay, Replayed};
use super::sealed_rows::SealedRows;
use super::shared::Shared;
use super::start::Started;
use crate::engine::{EngineKind, MemoryEngine};
use crate::hints::Hint;
use crate::seal::{RowSeal, Seal};
use crate::wal::recover::Reader;
use crate::wal::{self, Mark, SpareSlot};

/// Opens the store; every change is refused with `reason`.
pub(super) fn open<H: Hint>(
    options: StoreOptions<H>,
    reason: String,
) -> Result<Started<H>, OpenError> {
    let fs = options.fs.clone();
    let folder_lock = match options.folder_lock.clone() {
        Some(folder_lock) => folder_lock,
        None => FolderLock::acquire_existing(&*fs, &options.data, reason.clone())?,
    };
    let reader = Reader {
        fs: fs.clone(),
        folder: wal::folder(&options.data),
        seal: Seal::derived(&options.key, "freehold 2026 log"),
    };
    // A damaged checkpoint counts as none: it only saves work.
    let previous = Checkpoint::read(&*fs, &options.data).unwrap_or_default();
    if previous.as_ref().is_some_and(|previous| previous.wal != options.log) {
        return Err(OpenError::OtherLog);
    }
    let flushed = previous.as_ref().map_or(0, |previous| previous.mark.position);
    let seal = RowSeal::new(&options.key, options.random.clone());
    let Replayed { rows, end, .. } = replay(&reader, &options, &seal, flushed)?;
    if end.wal.is_none() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no log").into());
    }
    if end.wal.is_some_and(|id| id != options.log) {
        return Err(OpenError::OtherLog);
    }
    let mut mark = end.mark;
    if let Some(group) = &end.unconfirmed {
        let is_from_disk = previous.as_ref().is_some_and(|previous| {
            previous.boot != options.boot || previous.mark.position >= group.last()
        });
        if is_from_disk || reader.sync_newest().is_ok() {
            rows.apply(&group.changes)?;
            mark = Mark { position: group.last(), ..mark };
        } else {
            tracing::warn!("the last change in the log may not be durable and is not shown");
        }
    }
    rows.drop_unreferenced_blobs(&*rows.engine(), &[], &options.stop)?;
    let last = Checkpoint {
        wal: options.log,
        condition: Condition::Running,
        boot: options.boot,
        engine: [0; 16],
        mark: mark.clone(),
    };
    let shared = Arc::new(Shared::read_only(rows, mark, reason.clone()));
    shared.find_places();
    let parts = Parts {
        reader,
        data: options.data,
        engine: options.engine,
        random: options.random,
        shared: shared.clone(),
        spare: SpareSlot::default(),
        segment_len: options.segment_len,
        snapshot_after: options.snapshot_after,
        space: None,
    };
    let checkpointer = Checkpointer::new(parts, last, false);
    let queue = Arc::new(Queue::default());
    queue.refuse_all(StoreError::ReadOnly(reason));
    Ok(Started { queue, shared, checkpointer, threads: Vec::new(), folder_lock: Some(folder_lock) })
}

/// The rows of snapshot and log, in memory.
fn replay<H: Hint>(
    reader: &Reader,
    options: &StoreOptions<H>,
    seal: &RowSeal,
    flushed: u64,
) -> Result<Replayed, OpenError> {
    let report = |stage, done, total| options.report(stage, done, total);
    let memory = EngineSource::Kind(EngineKind::Memory, 0);
    let rebuild = Rebuild {
        reader,
        data: &options.data,
        engine: &memory,
        wal: options.log,
        stop: &options.stop,
        report: &report,
    };
    let engine = Arc::new(MemoryEngine::default());
    let from = rebuild.fill_from_snapshot(&*engine)?;
    let rows = SealedRows::new(engine, seal.clone(), options.blobs.clone());
    Replay::new(rows, flushed, options).run(reader, from.as_ref())
}
