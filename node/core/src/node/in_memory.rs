//! A node on a file system in memory, for tests.

use std::path::Path;
use std::sync::Arc;

use super::{Node, NodeOpenError};
use crate::clock::Clock;
use crate::events::Events;
use crate::fs::{self, Fs, MemoryFs};
use crate::random::Random;
use crate::space::{FreeSpace, Margins};
use crate::store::{StoreError, StoreOptions};
use crate::testing::failing_engine::FailureSwitch;
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};
use crate::vault::{Unlock, Vault};

/// A start of the node on a file system in memory: a new one if it is empty, else the node that is
/// on it.
pub struct MemoryStart {
    fs: MemoryFs,
    /// The same file system, possibly with a hook.
    calls: Arc<dyn Fs>,
    rows: FailureSwitch,
    boot: u8,
    segment_len: Option<u64>,
}

impl MemoryStart {
    /// A start on boot 1.
    pub fn new(fs: MemoryFs) -> Self {
        let calls = Arc::new(fs.clone());
        Self { fs, calls, rows: FailureSwitch::default(), boot: 1, segment_len: None }
    }

    /// Makes all calls through `calls`, which makes them on the same file system.
    pub fn through(self, calls: Arc<dyn Fs>) -> Self {
        Self { calls, ..self }
    }

    /// The number of the machine's boot: another one after each power cut.
    pub fn boot(self, boot: u8) -> Self {
        Self { boot, ..self }
    }

    /// The length of a log segment, in bytes.
    pub fn segment_len(self, len: u64) -> Self {
        Self { segment_len: Some(len), ..self }
    }

    /// A switch that makes the rows fail.
    pub fn rows(self, rows: FailureSwitch) -> Self {
        Self { rows, ..self }
    }

    /// Opens the node.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn open(self, clock: Clock, random: Random) -> Result<Node, NodeOpenError> {
        let Self { fs, calls, rows, boot, segment_len } = self;
        let mut options = StoreOptions::in_memory(fs.clone(), Events::default());
        options.fs = Arc::clone(&calls);
        options.engine = rows.source();
        options.boot = [boot; 32];
        options.segment_len = segment_len.unwrap_or(options.segment_len);
        let data = options.data.clone();
        let unlock = Unlock::KeyFile(data.join("key"));
        let vault = if Vault::exists(&*calls, &data)? {
            Vault::open(calls, &data, &unlock)?
        } else {
            fs::create_folder_durably(&*calls, &data)
                .map_err(|error| NodeOpenError::Folder { folder: data.clone(), error })?;
            Vault::create(calls, &data, &unlock, &random)?
        };
        (options.key, options.log, options.random) =
            (vault.keys().store().clone(), vault.keys().log_id(), random);
        let space = FreeSpace::new(Arc::new(fs), &data, Margins::NONE);
        Node::assemble(options, &vault, space, clock)
    }

    fn open_for_test(self, clock: Clock, random: Random) -> Result<Node, StoreError> {
        self.open(clock, random).map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

impl Node {
    /// A new node with log, vault and blobs on a file system in memory.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn in_memory(clock: Clock, random: Random) -> Result<Self, StoreError> {
        Self::in_memory_on(MemoryFs::new(), clock, random)
    }

    /// As [`MemoryStart::open`].
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn in_memory_on(fs: MemoryFs, clock: Clock, random: Random) -> Result<Self, StoreError> {
        MemoryStart::new(fs).open_for_test(clock, random)
    }

    /// The same, with a switch that makes its rows fail.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn in_memory_with(
        fs: MemoryFs,
        rows: FailureSwitch,
        clock: Clock,
        random: Random,
    ) -> Result<Self, StoreError> {
        MemoryStart::new(fs).rows(rows).open_for_test(clock, random)
    }

    /// A node in memory whose every call of the file system first passes `hook`, which may wait.
    ///
    /// # Errors
    /// As [`Node::in_memory`].
    pub fn in_memory_hooked(
        hook: impl Fn(FsCall, &Path) -> Action + Send + Sync + 'static,
        clock: Clock,
        random: Random,
    ) -> Result<Self, StoreError> {
        let fs = MemoryFs::new();
        let calls = Arc::new(HookedFs::new(fs.clone(), hook));
        MemoryStart::new(fs).through(calls).open_for_test(clock, random)
    }
}
