//! What a store is opened with, and why it may not open.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Stop, StoreError};
use crate::blobs::Blobs;
use crate::engine::{self, Engine, EngineError, EngineKind};
use crate::fs::{Fs, Lock, MemoryFs};
use crate::hints::{Hint, Hints};
use crate::seal::SecretKey;
use crate::space::Space;
use crate::wal::recover::LogError;
use freehold_proto::random::Random;

/// How long a log segment is, in bytes.
const SEGMENT_LEN: u64 = 16 * 1024 * 1024;
/// A snapshot is made when the log since the last is longer than this (and than that snapshot), in
/// bytes.
const SNAPSHOT_AFTER: u64 = 256 * 1024 * 1024;
/// A test's segments are short, for it has many stores.
const SEGMENT_LEN_IN_MEMORY: u64 = 64 * 1024;

/// Where the engine comes from.
#[derive(Clone)]
pub enum EngineSource {
    /// One of the engines there are, with so many bytes of cache.
    Kind(EngineKind, u64),
    /// Whatever this opens in the folder given to it: for tests.
    Custom(Arc<OpenEngine>),
}

/// Opens an engine in a folder.
pub type OpenEngine = dyn Fn(&Path) -> Result<Arc<dyn Engine>, EngineError> + Send + Sync;

impl EngineSource {
    pub(super) fn open(&self, folder: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        match self {
            Self::Kind(kind, cache_len) => engine::open(*kind, folder, *cache_len),
            Self::Custom(open) => open(folder),
        }
    }

    /// What its folder is called by.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Kind(EngineKind::Sled, _) => "sled",
            Self::Kind(EngineKind::Redb, _) => "redb",
            Self::Kind(EngineKind::Memory, _) => "memory",
            Self::Custom(_) => "custom",
        }
    }

    /// Whether it keeps its rows when closed.
    pub(super) fn keeps(&self) -> bool {
        !matches!(self, Self::Kind(EngineKind::Memory, _))
    }
}

/// A data folder that is this process's alone until the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Claim {
    _held: Arc<dyn Lock>,
}

impl Claim {
    /// Makes the folder where there is none (its parent must exist), and claims it.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another process has it, or the file system's.
    pub fn take(fs: &dyn Fs, data: &Path) -> Result<Self, OpenError> {
        fs.create_folder(data)?;
        if let Some(parent) = data.parent() {
            fs.sync_folder(parent)?;
        }
        match fs.lock(data) {
            Ok(lock) => Ok(Self { _held: Arc::from(lock) }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(OpenError::InUse),
            Err(error) => Err(error.into()),
        }
    }
}

/// What the start is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Filling a new engine from a snapshot, counted in rows.
    Rebuilding,
    /// Applying the log since the snapshot or checkpoint, counted in changes.
    Applying,
}

/// Told how far a long start is: stage, done, and of how many.
pub type Progress = dyn Fn(Stage, u64, u64) + Send + Sync;

/// What a store is opened with.
#[derive(Clone)]
pub struct StoreOptions<H> {
    /// The data folder; its parent must exist. The store's own are `log`, `rows-*`, `snapshots`,
    /// `checkpoint` and `lock` in it.
    pub data: PathBuf,
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// The engine.
    pub engine: EngineSource,
    /// The store key.
    pub key: SecretKey,
    /// The log's name, from the vault.
    pub log: [u8; 16],
    /// Which boot of the machine this is; see [`boot_id`].
    pub boot: [u8; 32],
    /// Where hints are sent.
    pub hints: Hints<H>,
    /// Randomness for nonces.
    pub random: Random,
    /// Told how far a long start is.
    pub progress: Option<Arc<Progress>>,
    /// Raised to end a long start; the next one begins it anew.
    pub stop: Stop,
    /// The blobs that rows refer to, small ones by way of the log. Without them no reference is
    /// checked.
    pub blobs: Option<Blobs>,
    /// The watch over free space; without it the disk alone says when it is full.
    pub space: Option<Space>,
    /// The data folder, if it was claimed already (as it must be before blobs or vault are opened
    /// in it).
    pub claim: Option<Claim>,
    /// How long a log segment is, in bytes.
    pub segment_len: u64,
    /// A snapshot is made when so many bytes of log have gathered.
    pub snapshot_after: u64,
    /// Whether segments and checkpoints are made beside the committer. Tests turn it off so that
    /// each run is the same.
    pub background: bool,
}

impl<H> fmt::Debug for StoreOptions<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions").field("data", &self.data).finish_non_exhaustive()
    }
}

impl<H: Hint> StoreOptions<H> {
    /// A node's store on disk, with the usual lengths.
    pub fn new(
        data: PathBuf,
        fs: Arc<dyn Fs>,
        engine: EngineSource,
        key: SecretKey,
        log: [u8; 16],
        random: Random,
    ) -> Self {
        Self {
            data,
            fs,
            engine,
            key,
            log,
            boot: boot_id(&random),
            hints: Hints::default(),
            random,
            progress: None,
            stop: Stop::default(),
            blobs: None,
            space: None,
            claim: None,
            segment_len: SEGMENT_LEN,
            snapshot_after: SNAPSHOT_AFTER,
            background: true,
        }
    }

    /// A store on a file system in memory, the same in every run.
    pub fn in_memory(fs: MemoryFs, hints: Hints<H>) -> Self {
        let engine = EngineSource::Kind(EngineKind::Memory, 0);
        let key = SecretKey::new([1; 32]);
        let mut options = Self::new(
            PathBuf::from("/data"),
            Arc::new(fs),
            engine,
            key,
            [1; 16],
            Random::seeded(1),
        );
        options.boot = [1; 32];
        options.hints = hints;
        options.segment_len = SEGMENT_LEN_IN_MEMORY;
        options.background = false;
        options
    }

    pub(super) fn report(&self, stage: Stage, done: u64, total: u64) {
        if let Some(progress) = &self.progress {
            progress(stage, done, total);
        }
    }
}

/// Names the machine's present boot. Where it can't be told each start is taken to be another boot,
/// which is always safe.
pub fn boot_id(random: &Random) -> [u8; 32] {
    match std::fs::read("/proc/sys/kernel/random/boot_id") {
        Ok(id) => *blake3::hash(&id).as_bytes(),
        Err(_) => random.array(),
    }
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data folder is in use by another process")]
    InUse,
    /// The checkpoint or the log is not the one the vault belongs to.
    #[error("the log in the data folder belongs to another vault")]
    OtherLog,
    /// It was asked to end before it was open.
    #[error("stopped before the store was open")]
    Stopped,
    /// The log can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row, a snapshot or a blob could not be handled.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system failed.
    #[error("opening the store: {0}")]
    Io(#[from] io::Error),
}
