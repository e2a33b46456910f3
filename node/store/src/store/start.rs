//! The start of a store.
//!
//! 1. Lock the folder and read the checkpoint.
//! 2. Choose the engine. After a clean stop it holds the whole log. After a crash on the same boot
//!    the log since the checkpoint is replayed. After a power cut an engine that does not survive
//!    one is rebuilt (rebuild.rs).
//! 3. Write the checkpoint as running, and replay the log.
//! 4. Write the last record of the log again, into a new segment: a process that ended may have
//!    failed to sync it, so it may exist in the page cache only.
//! 5. Start the threads.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use super::admission::AdmissionControl;
use super::checkpoint::{Checkpoint, Condition};
use super::checkpointer::{Checkpointer, Parts};
use super::committer::Committer;
use super::engine_folder::{Slot, engine_name, remove_unused_slots, slot_folder, slot_of};
use super::options::{FolderLock, OpenError, StoreOptions};
use super::packs::PlaceQueue;
use super::pending::PendingChange;
use super::queue::Queue;
use super::read_only;
use super::rebuild;
use super::replay::{Replay, Replayed};
use super::sealed_rows::SealedRows;
use super::shared::Shared;
use super::tx::Tx;
use crate::engine::{Engine, EngineError};
use crate::fs;
use crate::hints::Hint;
use crate::seal::{RowSeal, Seal};
use crate::wal::recover::Reader;
use crate::wal::{self, Mark, SegmentLens, Wal};

/// A running store.
pub(super) struct Started<H> {
    pub(super) queue: Arc<Queue<H>>,
    pub(super) shared: Arc<Shared>,
    pub(super) checkpointer: Arc<Checkpointer>,
    pub(super) threads: Vec<std::thread::JoinHandle<()>>,
    /// The lock of a read-only store; otherwise the threads hold it.
    pub(super) folder_lock: Option<FolderLock>,
}

/// Starts a store; any error after [`StoreOptions::stop`] was raised is [`OpenError::Stopped`]. If
/// the disk is full, the reserve is released and the start repeated, as after a crash.
pub(super) fn start<H: Hint>(options: StoreOptions<H>) -> Result<Started<H>, OpenError> {
    if let Some(reason) = options.read_only.clone() {
        return read_only::open(options, reason);
    }
    let (stop, space) = (options.stop.clone(), options.space.clone());
    let opened = match open(options.clone()) {
        Err(error) if error.is_full() && space.is_some_and(|space| space.release_reserve()) => {
            open(options)
        }
        opened => opened,
    };
    opened.map_err(|error| if stop.is_raised() { OpenError::Stopped } else { error })
}

fn open<H: Hint>(options: StoreOptions<H>) -> Result<Started<H>, OpenError> {
    let fs = options.fs.clone();
    let folder_lock =
        options.folder_lock.clone().map_or_else(|| FolderLock::acquire(&*fs, &options.data), Ok)?;
    fs::create_folder_durably(&*fs, &wal::folder(&options.data))?;
    let reader = Reader {
        fs: fs.clone(),
        folder: wal::folder(&options.data),
        seal: Seal::derived(&options.key, "freehold 2026 log"),
    };
    // A damaged checkpoint costs a rebuild and no data.
    let previous = Checkpoint::read(&*fs, &options.data).or_else(|error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => {
            tracing::error!(
                "the checkpoint file is damaged; the rows are rebuilt from snapshot and log"
            );
            Ok(None)
        }
        _ => Err(error),
    })?;
    if previous.as_ref().is_some_and(|previous| previous.wal != options.log) {
        return Err(OpenError::OtherLog);
    }
    let usable = usable_engine(&options, previous.as_ref())?;
    let rebuilding = usable.is_none();
    let (engine, slot) = usable.unzip();
    let slot = slot.unwrap_or_default();
    let mut running = Checkpoint {
        wal: options.log,
        condition: if rebuilding { Condition::Rebuilding } else { Condition::Running },
        boot: options.boot,
        engine: engine_name(&options.engine, slot),
        mark: previous.as_ref().map(|previous| previous.mark.clone()).unwrap_or_default(),
    };
    // From here on the next start must not take the engine for cleanly stopped, and not for usable
    // while it is being rebuilt.
    running.write(&*fs, &options.data)?;

    let seal = RowSeal::new(&options.key, options.random.clone());
    let flushed = running.mark.position;
    let replayed = match engine {
        Some(engine) => catch_up(&reader, &options, engine, &seal, &running.mark)?,
        None => rebuild::rebuild(&reader, &options, &seal, flushed)?,
    };
    let Replayed { rows, end, spilled } = replayed;
    if end.wal.is_some_and(|id| id != options.log) {
        return Err(OpenError::OtherLog);
    }
    let lens = SegmentLens {
        first: options.segment_len.min(FIRST_SEGMENT_LEN),
        usual: options.segment_len,
    };
    let wal = Wal::begin(reader.clone(), options.random.clone(), options.log, &end, lens)?;
    if let Some(group) = &end.unconfirmed {
        rows.apply(&group.changes)?;
    }
    rows.engine().drain()?;
    if !rebuilding
        && options.engine.is_persistent()
        && let Err(error) = remove_unused_slots(&*fs, &options.data, &options.engine, slot)
    {
        tracing::warn!(%error, "the files of an engine that is not in use cannot be removed");
    }
    // Before the first read, so that no blob of a deleted row is readable again.
    rows.drop_unreferenced_blobs(&*rows.engine(), &spilled, &options.stop)?;
    if rebuilding {
        // The rebuilt rows must be flushed before the checkpoint calls the engine usable.
        running.condition = Condition::Running;
    }
    run(options, reader, wal, rows, (running, rebuilding), folder_lock)
}

/// The length of the first segment of a run, in bytes; short, because the start waits until it is
/// filled.
const FIRST_SEGMENT_LEN: u64 = 1024 * 1024;

fn run<H: Hint>(
    options: StoreOptions<H>,
    reader: Reader,
    wal: Wal,
    rows: SealedRows,
    (last, was_rebuilt): (Checkpoint, bool),
    folder_lock: FolderLock,
) -> Result<Started<H>, OpenError> {
    let queue = Arc::new(Queue::<H>::default());
    let shared = Arc::new(Shared::new(rows, wal.end().clone()));
    shared.find_places();
    let waiting = Arc::downgrade(&queue);
    shared.rows.on_failure(move || {
        if let Some(queue) = waiting.upgrade() {
            queue.request_recovery();
        }
    });
    let parts = Parts {
        reader,
        data: options.data,
        engine: options.engine,
        random: options.random,
        shared: shared.clone(),
        spare: wal.spare(),
        segment_len: options.segment_len,
        snapshot_after: options.snapshot_after,
        space: options.space.clone(),
    };
    let checkpointer = Checkpointer::new(parts, last, options.background);
    let waiting = Arc::downgrade(&queue);
    checkpointer.on_work(move |work| {
        let (reply, result) = sync_channel(1);
        if let Some(queue) = waiting.upgrade() {
            let work = move |_: &mut Tx<'_, H>| work();
            queue.push_urgent(Box::new(PendingChange::new(work, reply)));
        }
        result
    });
    let packing = PlaceQueue { queue: Arc::downgrade(&queue), shared: Arc::downgrade(&shared) };
    checkpointer.on_places(move |changes| packing.commit(changes));
    let mut committer = Committer::new(
        queue.clone(),
        shared.clone(),
        wal,
        checkpointer.clone(),
        options.hints,
        AdmissionControl::new(options.space),
        folder_lock.clone(),
    );
    if was_rebuilt {
        committer.finish_rebuild()?;
    }
    let mut threads = checkpointer.start(&folder_lock)?;
    drop(folder_lock);
    threads.push(
        std::thread::Builder::new()
            .name("store committer".into())
            .spawn(move || commit(committer))?,
    );
    Ok(Started { queue, shared, checkpointer, threads, folder_lock: None })
}

/// Runs the committer until the store is closed. If it panics, pending changes are refused, so that
/// no caller waits for ever.
fn commit<H: Hint>(committer: Committer<H>) {
    let (queue, checkpointer) = (committer.queue(), committer.checkpointer());
    if catch_unwind(AssertUnwindSafe(|| committer.run())).is_err() {
        tracing::error!("the committer panicked; changes are refused until the next start");
        queue.abandon();
        checkpointer.abandon();
    }
}

/// An engine that can be used, and its slot.
type Usable = (Arc<dyn Engine>, Slot);

/// The engine as the last run left it and its slot, if it can be used.
///
/// # Errors
/// If the disk is too full to open it.
fn usable_engine(
    options: &StoreOptions<impl Hint>,
    previous: Option<&Checkpoint>,
) -> Result<Option<Usable>, OpenError> {
    let Some(previous) = previous else { return Ok(None) };
    let Some(slot) = slot_of(&options.engine, &previous.engine) else { return Ok(None) };
    let folder = slot_folder(&options.data, &options.engine, slot);
    let usable = previous.condition != Condition::Rebuilding;
    if !usable || !options.engine.is_persistent() || !options.fs.exists(&folder).unwrap_or(false) {
        return Ok(None);
    }
    let engine = match options.engine.open(&folder) {
        Ok(engine) => engine,
        Err(error @ EngineError::Full) => return Err(error.into()),
        Err(error) => {
            tracing::warn!(
                %error,
                "the storage engine does not open; the rows are rebuilt from snapshot and log"
            );
            return Ok(None);
        }
    };
    let power_cut = previous.condition == Condition::Running && previous.boot != options.boot;
    if power_cut && !engine.survives_power_cut() {
        tracing::info!(
            "the last run ended in a power cut; the rows are rebuilt from snapshot and log"
        );
        return Ok(None);
    }
    Ok(Some((engine, slot)))
}

fn catch_up(
    reader: &Reader,
    options: &StoreOptions<impl Hint>,
    engine: Arc<dyn Engine>,
    seal: &RowSeal,
    mark: &Mark,
) -> Result<Replayed, OpenError> {
    let rows = SealedRows::new(engine, seal.clone(), options.blobs.clone());
    Replay::new(rows, mark.position, options)
        .run(reader, (*mark != Mark::default()).then_some(mark))
}
