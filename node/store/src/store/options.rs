//! The options a store is opened with, and the errors of opening.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Stop, StoreError};
use crate::blobs::Blobs;
use crate::engine::{self, Engine, EngineError, EngineKind};
#[cfg(any(test, feature = "testing"))]
use crate::fs::MemoryFs;
use crate::fs::{self, Fs, Lock};
use crate::hints::{Hint, Hints};
use crate::seal::SecretKey;
use crate::space::FreeSpace;
use crate::wal::recover::WalError;
use freehold_proto::random::Random;

/// The length of a log segment, in bytes.
const SEGMENT_LEN: u64 = 16 * 1024 * 1024;
/// A snapshot is made when the log since the last one is longer than this and than half that
/// snapshot, in bytes: so the log since the older of two snapshots is about as long as one.
const SNAPSHOT_AFTER: u64 = 32 * 1024 * 1024;
/// Tests open many stores, so their segments are short; bytes.
#[cfg(any(test, feature = "testing"))]
const SEGMENT_LEN_IN_MEMORY: u64 = 64 * 1024;

/// The engine to open.
#[derive(Clone)]
pub enum EngineSource {
    /// An engine of this crate, with the size of its cache in bytes.
    Kind(EngineKind, u64),
    /// The engine that this function opens in the folder given to it.
    #[cfg(any(test, feature = "testing"))]
    Custom(Arc<OpenEngine>),
    /// The same for an engine whose rows do not outlive it.
    #[cfg(any(test, feature = "testing"))]
    Volatile(Arc<OpenEngine>),
}

/// Opens an engine in a folder.
#[cfg(any(test, feature = "testing"))]
pub type OpenEngine = dyn Fn(&Path) -> Result<Arc<dyn Engine>, EngineError> + Send + Sync;

impl EngineSource {
    pub(super) fn open(&self, folder: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        match self {
            Self::Kind(kind, cache_len) => engine::open(*kind, folder, *cache_len),
            #[cfg(any(test, feature = "testing"))]
            Self::Custom(open) | Self::Volatile(open) => open(folder),
        }
    }

    /// The engine's name, part of the name of its folder.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Kind(EngineKind::Sled, _) => "sled",
            Self::Kind(EngineKind::Redb, _) => "redb",
            Self::Kind(EngineKind::Memory, _) => "memory",
            #[cfg(any(test, feature = "testing"))]
            Self::Volatile(_) => "memory",
            #[cfg(any(test, feature = "testing"))]
            Self::Custom(_) => "custom",
        }
    }

    /// True if the engine's rows outlive the process.
    pub(super) fn is_persistent(&self) -> bool {
        match self {
            Self::Kind(EngineKind::Memory, _) => false,
            #[cfg(any(test, feature = "testing"))]
            Self::Volatile(_) => false,
            _ => true,
        }
    }
}

/// Exclusive use of a data folder by this process, until the last clone is dropped.
#[derive(Clone, Debug)]
pub struct FolderLock {
    _lock: Arc<dyn Lock>,
    /// The reason why the folder cannot be written.
    read_only: Option<String>,
}

impl FolderLock {
    /// Creates the folder if it does not exist (its parent must exist), and locks it. On a
    /// read-only file system an existing folder is locked for reading the store in it.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another process holds the lock, or the file system's.
    pub fn acquire(fs: &dyn Fs, data: &Path) -> Result<Self, OpenError> {
        let locked = fs::create_folder_durably(fs, data).and_then(|()| fs.lock(data));
        match locked {
            Err(error) if is_unwritable(&error) && fs.exists(data)? => {
                Self::acquire_existing(fs, data, error.to_string())
            }
            locked => Self::from_result(locked, None),
        }
    }

    /// Locks an existing folder that cannot be written, for this reason. Writes nothing.
    ///
    /// # Errors
    /// As [`FolderLock::acquire`].
    pub(super) fn acquire_existing(
        fs: &dyn Fs,
        data: &Path,
        reason: String,
    ) -> Result<Self, OpenError> {
        Self::from_result(fs.lock_existing(data), Some(reason))
    }

    fn from_result(
        locked: io::Result<Box<dyn Lock>>,
        read_only: Option<String>,
    ) -> Result<Self, OpenError> {
        match locked {
            Ok(lock) => Ok(Self { _lock: Arc::from(lock), read_only }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(OpenError::InUse),
            Err(error) => Err(error.into()),
        }
    }

    /// The reason why the folder cannot be written; `None` if it can.
    pub fn read_only_reason(&self) -> Option<&str> {
        self.read_only.as_deref()
    }
}

/// True if the file system is read-only, or the disk does not take writes.
fn is_unwritable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ReadOnlyFilesystem || error.raw_os_error() == Some(EIO)
}

/// Linux's error number of an input/output error, for which [`io::ErrorKind`] has no name.
const EIO: i32 = 5;

/// The phase of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Filling a new engine from a snapshot, counted in rows.
    Rebuilding,
    /// Replaying the log since the snapshot or checkpoint, counted in changes.
    Applying,
}

/// Receives the progress of a long start: stage, number done, total number.
pub type Progress = dyn Fn(Stage, u64, u64) + Send + Sync;

/// The options a store is opened with.
#[derive(Clone)]
pub struct StoreOptions<H> {
    /// The data folder; its parent must exist. The store owns `log`, `rows-*`, `snapshots`,
    /// `checkpoint` and `lock` in it.
    pub data: PathBuf,
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// The engine.
    pub engine: EngineSource,
    /// The store key.
    pub key: SecretKey,
    /// The id of the write-ahead log, from the vault.
    pub log: [u8; 16],
    /// The id of the machine's current boot; see [`boot_id`].
    pub boot: [u8; 32],
    /// The channel that hints are sent to.
    pub hints: Hints<H>,
    /// Randomness for nonces.
    pub random: Random,
    /// Receives the progress of a long start.
    pub progress: Option<Arc<Progress>>,
    /// Raised to end a long start; the next start begins again.
    pub stop: Stop,
    /// The blobs that rows refer to; small ones are written to the log. If `None`, references are
    /// not checked.
    pub blobs: Option<Blobs>,
    /// The free-space check; if `None`, only a failed write shows that the disk is full.
    pub space: Option<FreeSpace>,
    /// The reason for opening the store read-only: nothing is written, and all changes are refused.
    pub read_only: Option<String>,
    /// The lock on the data folder, if already held (it must be before blobs or vault are opened in
    /// the folder).
    pub folder_lock: Option<FolderLock>,
    /// The length of a log segment, in bytes.
    pub segment_len: u64,
    /// A snapshot is made when the log since the last one is longer than this and than half that
    /// snapshot, in bytes.
    pub snapshot_after: u64,
    /// True to make segments, checkpoints and snapshots on threads of their own. Tests turn it off
    /// so that each run is the same.
    pub background: bool,
}

impl<H> fmt::Debug for StoreOptions<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions").field("data", &self.data).finish_non_exhaustive()
    }
}

impl<H: Hint> StoreOptions<H> {
    /// The options of a store on disk, with default lengths.
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
            read_only: None,
            folder_lock: None,
            segment_len: SEGMENT_LEN,
            snapshot_after: SNAPSHOT_AFTER,
            background: true,
        }
    }

    /// The options of a store on a file system in memory, deterministic.
    #[cfg(any(test, feature = "testing"))]
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

/// The id of the machine's current boot. If the kernel does not report one, it is random: each
/// start then counts as another boot, which is always safe.
pub fn boot_id(random: &Random) -> [u8; 32] {
    match std::fs::read("/proc/sys/kernel/random/boot_id") {
        Ok(id) => *blake3::hash(&id).as_bytes(),
        Err(_) => random.array(),
    }
}

/// An error of opening a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data folder is in use by another process")]
    InUse,
    /// The checkpoint or the log has another id than the one in the vault.
    #[error("the log in the data folder belongs to another vault")]
    OtherLog,
    /// [`StoreOptions::stop`] was raised before the store was open.
    #[error("stopped before the store was open")]
    Stopped,
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row, a snapshot or a blob could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system failed.
    #[error("the store cannot be opened: {0}")]
    Io(#[from] io::Error),
}

impl OpenError {
    /// True if the disk cannot be written, so that the store may still be opened read-only.
    pub fn is_unwritable(&self) -> bool {
        match self {
            Self::Io(error) | Self::Log(WalError::Io(error)) => is_unwritable(error),
            Self::Store(error) | Self::Log(WalError::Consumer(error)) => {
                matches!(error, StoreError::ReadOnly(_))
            }
            _ => false,
        }
    }

    /// True if the disk is full.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io(error) | Self::Log(WalError::Io(error)) => fs::is_full(error),
            Self::Engine(error) => *error == EngineError::Full,
            Self::Store(error) | Self::Log(WalError::Consumer(error)) => *error == StoreError::Full,
            _ => false,
        }
    }
}
