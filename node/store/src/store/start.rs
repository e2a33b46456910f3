//! Opening: claim the folder, see how the last run ended, bring the engine up to the log, begin a
//! new segment.
//!
//! First the lock, then the checkpoint. After a clean stop the engine holds everything; after a
//! crash on the same boot the log since the checkpoint is applied again; after a power cut an
//! engine that can't be trusted with one is rebuilt first (rebuild.rs). Next the checkpoint says
//! that the store runs, and the log is read; its last record is written again into a new segment,
//! for what a process that is gone failed to sync may be in the page cache only. Then the committer
//! starts.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::{Checkpoint, Condition};
use super::committer::{Committer, Queue, Shared};
use super::door::Door;
use super::keeper::{Keeper, Parts};
use super::options::{EngineSource, FolderLock, OpenError, Stage, StoreOptions};
use super::rows::Rows;
use super::{BlobId, StoreError, rebuild};
use crate::blobs::AtRest;
use crate::engine::{Engine, EngineError};
use crate::fs::Fs;
use crate::hints::Hint;
use crate::seal::{RowSeal, Seal};
use crate::wal::group::Change;
use crate::wal::recover::{End, Group, Reader};
use crate::wal::{self, Log, Mark, SegmentLens};

/// Small blobs read back from the log are filed when so many bytes of them are held.
const UNFILED_LEN_MAX: usize = 8 * 1024 * 1024;

/// A store that runs.
pub(super) struct Started<H> {
    pub(super) queue: Arc<Queue<H>>,
    pub(super) shared: Arc<Shared>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) threads: Vec<std::thread::JoinHandle<()>>,
}

/// The engine's folder within the data folder.
pub(super) fn engine_folder(data: &Path, source: &EngineSource) -> PathBuf {
    data.join(format!("rows-{}", source.name()))
}

fn engine_name(source: &EngineSource) -> [u8; 16] {
    let mut name = [0; 16];
    name.iter_mut().zip(source.name().bytes()).for_each(|(to, from)| *to = from);
    name
}

/// Starts; an error after the stop was asked for is the stop.
pub(super) fn start<H: Hint>(options: StoreOptions<H>) -> Result<Started<H>, OpenError> {
    let stop = options.stop.clone();
    open(options).map_err(|error| if stop.is_raised() { OpenError::Stopped } else { error })
}

fn open<H: Hint>(options: StoreOptions<H>) -> Result<Started<H>, OpenError> {
    let fs = options.fs.clone();
    let claim =
        options.folder_lock.clone().map_or_else(|| FolderLock::acquire(&*fs, &options.data), Ok)?;
    create_folders(&*fs, &options.data)?;
    let reader = Reader {
        fs: fs.clone(),
        folder: wal::folder(&options.data),
        seal: Seal::derived(&options.key, "freehold 2026 log"),
    };
    // It is made again from the log; only time is lost.
    let found = Checkpoint::read(&*fs, &options.data).or_else(|error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => {
            tracing::error!("the checkpoint is damaged; the store is rebuilt");
            Ok(None)
        }
        _ => Err(error),
    })?;
    if found.as_ref().is_some_and(|found| found.log != options.log) {
        return Err(OpenError::OtherLog);
    }
    let engine = usable_engine(&options, found.as_ref());
    let rebuilding = engine.is_none();
    let mut running = Checkpoint {
        log: options.log,
        condition: if rebuilding { Condition::Rebuilding } else { Condition::Running },
        boot: options.boot,
        engine: engine_name(&options.engine),
        mark: found.as_ref().map(|found| found.mark.clone()).unwrap_or_default(),
    };
    // From here on the next start must not take the engine for clean; while it is rebuilt, not for
    // usable.
    running.write(&*fs, &options.data)?;

    let seal = RowSeal::new(&options.key, options.random.clone());
    let filed = running.mark.position;
    let rebuilt = match engine {
        Some(engine) => catch_up(&reader, &options, engine, &seal, &running.mark)?,
        None => rebuild::rebuild(&reader, &options, &seal, filed)?,
    };
    let Replayed { rows, end, filed_early, mut forms } = rebuilt;
    if end.log.is_some_and(|id| id != options.log) {
        return Err(OpenError::OtherLog);
    }
    let lens = SegmentLens {
        first: options.segment_len.min(FIRST_SEGMENT_LEN),
        usual: options.segment_len,
    };
    let log = Log::begin(reader.clone(), options.random.clone(), options.log, &end, lens)?;
    if let Some(group) = &end.doubtful {
        rows.apply(&group.changes)?;
        forms.meet(&group.changes);
    }
    rows.engine().drain()?;
    // Before anything reads: no blob of a row that is gone comes back.
    rows.forget_unreferred(filed_early, &options.stop)?;
    if filed_early {
        rows.keep_last(forms.turned())?;
    }
    if rebuilding {
        // What was rebuilt is flushed before it may be called usable.
        rows.file()?;
        rows.engine().flush()?;
        running = Checkpoint { condition: Condition::Running, mark: log.end().clone(), ..running };
        running.write(&*fs, &options.data)?;
    }
    go(options, reader, log, rows, running, claim)
}

/// The first segment of a run is filled while the start waits, so it is short; bytes.
const FIRST_SEGMENT_LEN: u64 = 1024 * 1024;

fn go<H: Hint>(
    options: StoreOptions<H>,
    reader: Reader,
    log: Log,
    rows: Rows,
    last: Checkpoint,
    claim: FolderLock,
) -> Result<Started<H>, OpenError> {
    let queue = Arc::new(Queue::default());
    let shared = Arc::new(Shared::new(rows, log.end().clone()));
    let keeper = Keeper::new(Parts {
        reader,
        data: options.data,
        random: options.random,
        shared: shared.clone(),
        spare: log.spare(),
        segment_len: options.segment_len,
        snapshot_after: options.snapshot_after,
        space: options.space.clone(),
        last,
        threaded: options.background,
    });
    let mut threads = Vec::new();
    threads.extend(keeper.start(&claim)?);
    let committer = Committer::new(
        queue.clone(),
        shared.clone(),
        log,
        keeper.clone(),
        options.hints,
        Door::new(options.space),
        claim,
    );
    threads.push(
        std::thread::Builder::new()
            .name("store committer".into())
            .spawn(move || commit(committer))?,
    );
    Ok(Started { queue, shared, keeper, threads })
}

/// Commits until the store is closed. Should the committer itself panic, nobody is left waiting for
/// it.
fn commit<H: Hint>(committer: Committer<H>) {
    let (queue, keeper) = (committer.queue(), committer.keeper());
    if catch_unwind(AssertUnwindSafe(|| committer.run())).is_err() {
        tracing::error!("the committer failed; no change is taken until the next start");
        queue.abandon();
        keeper.abandon();
    }
}

fn create_folders(fs: &dyn Fs, data: &Path) -> io::Result<()> {
    fs.create_folder(&wal::folder(data))?;
    fs.sync_folder(data)
}

/// The engine as the last run left it, if it can be relied on.
fn usable_engine(
    options: &StoreOptions<impl Hint>,
    found: Option<&Checkpoint>,
) -> Option<Arc<dyn Engine>> {
    let found = found?;
    let folder = engine_folder(&options.data, &options.engine);
    let same =
        found.engine == engine_name(&options.engine) && found.condition != Condition::Rebuilding;
    if !same || !options.engine.is_persistent() || !options.fs.exists(&folder).unwrap_or(false) {
        return None;
    }
    let engine = options.engine.open(&folder);
    let engine = engine
        .inspect_err(
            |error| tracing::warn!(%error, "the store engine does not open; it is rebuilt"),
        )
        .ok()?;
    let power_cut = found.condition == Condition::Running && found.boot != options.boot;
    if power_cut && !engine.survives_power_cut() {
        tracing::info!(
            "the last run ended in a power cut; the store is rebuilt from snapshot and log"
        );
        return None;
    }
    Some(engine)
}

fn catch_up(
    reader: &Reader,
    options: &StoreOptions<impl Hint>,
    engine: Arc<dyn Engine>,
    seal: &RowSeal,
    mark: &Mark,
) -> Result<Replayed, OpenError> {
    let rows = Rows::new(engine, seal.clone(), options.blobs.clone());
    Replay::new(rows, mark.position, options)
        .run(reader, (*mark != Mark::default()).then_some(mark))
}

/// The log being applied again.
pub(super) struct Replay<'a, H> {
    rows: Rows,
    /// Blobs of groups up to here are files already.
    filed: u64,
    options: &'a StoreOptions<H>,
    filed_early: bool,
    forms: Forms,
    /// From which position it goes to which.
    span: (u64, u64),
}

/// The rows as the log left them, but for its doubtful last group.
pub(super) struct Replayed {
    pub(super) rows: Rows,
    pub(super) end: End,
    /// Blobs were filed before it was known which rows stay: some may belong to none.
    pub(super) filed_early: bool,
    /// What was met of blobs, the doubtful group's not yet.
    pub(super) forms: Forms,
}

/// In which form each small blob of the log was met last, and whether in the other before: what was
/// filed early in that one has to go.
#[derive(Default)]
pub(super) struct Forms(HashMap<BlobId, (AtRest, bool)>);

impl Forms {
    fn meet(&mut self, changes: &[Change]) {
        for blob in changes.iter().flat_map(|change| &change.blobs) {
            let (last, in_both) = self.0.entry(blob.id).or_insert((blob.form, false));
            *in_both |= *last != blob.form;
            *last = blob.form;
        }
    }

    /// Those that were met in both forms, with the last.
    fn turned(&self) -> impl Iterator<Item = (&BlobId, AtRest)> {
        self.0.iter().filter(|(_, (_, in_both))| *in_both).map(|(id, (last, _))| (id, *last))
    }
}

impl<'a, H: Hint> Replay<'a, H> {
    pub(super) fn new(rows: Rows, filed: u64, options: &'a StoreOptions<H>) -> Self {
        Self { rows, filed, options, filed_early: false, forms: Forms::default(), span: (0, 0) }
    }

    /// Applies what the log holds after `from`.
    pub(super) fn run(
        mut self,
        reader: &Reader,
        from: Option<&Mark>,
    ) -> Result<Replayed, OpenError> {
        self.span = (from.map_or(0, |from| from.position), reader.last_position()?);
        let end = reader.read(from, &mut |group| Ok(self.take(&group)?))?;
        Ok(Replayed { rows: self.rows, end, filed_early: self.filed_early, forms: self.forms })
    }

    fn take(&mut self, group: &Group) -> Result<(), StoreError> {
        self.options.stop.check()?;
        if group.last() > self.filed {
            self.rows.apply(&group.changes)?;
            self.forms.meet(&group.changes);
            if self.rows.unfiled_over(UNFILED_LEN_MAX) {
                self.rows.file()?;
                self.filed_early = true;
            }
        } else {
            self.rows.apply_rows(&group.changes)?;
        }
        let (from, to) = self.span;
        self.options.report(Stage::Applying, group.last() - from, to.saturating_sub(from));
        Ok(())
    }
}

/// Opens the engine that `source` says in `folder`, which is made.
pub(super) fn open_engine(
    fs: &dyn Fs,
    source: &EngineSource,
    folder: &Path,
) -> Result<Arc<dyn Engine>, OpenError> {
    fs.create_folder(folder)?;
    source.open(folder).map_err(|error: EngineError| error.into())
}
