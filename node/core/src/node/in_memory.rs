//! A node on a file system in memory, for tests.

use std::path::Path;
use std::sync::Arc;

use super::{Node, NodeOpenError};
use crate::clock::Clock;
use crate::events::Events;
use crate::fs::{Fs, MemoryFs};
use crate::random::Random;
use crate::space::{FreeSpace, Margins};
use crate::store::{StoreError, StoreOptions};
use crate::testing::failing_engine::FailureSwitch;
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};
use crate::vault::{Unlock, Vault};

impl Node {
    /// A new node with log, vault and blobs on a file system in memory.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn in_memory(clock: Clock, random: Random) -> Result<Self, StoreError> {
        Self::in_memory_on(MemoryFs::new(), clock, random)
    }

    /// The node on a file system in memory: a new one if it is empty, else the node that is on it,
    /// as at its next start.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn in_memory_on(fs: MemoryFs, clock: Clock, random: Random) -> Result<Self, StoreError> {
        Self::in_memory_with(fs, FailureSwitch::default(), clock, random)
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
        Self::open_in_memory(fs.clone(), Arc::new(fs), rows, clock, random)
            .map_err(|error| StoreError::Unavailable(error.to_string()))
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
        let disk = Arc::new(HookedFs::new(fs.clone(), hook));
        Self::open_in_memory(fs, disk, FailureSwitch::default(), clock, random)
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    fn open_in_memory(
        fs: MemoryFs,
        disk: Arc<dyn Fs>,
        rows: FailureSwitch,
        clock: Clock,
        random: Random,
    ) -> Result<Self, NodeOpenError> {
        let mut options = StoreOptions::in_memory(fs.clone(), Events::default());
        options.fs = Arc::clone(&disk);
        options.engine = rows.source();
        let data = options.data.clone();
        let unlock = Unlock::KeyFile(data.join("key"));
        let vault = if Vault::exists(&*disk, &data)? {
            Vault::open(disk, &data, &unlock)?
        } else {
            fs.create_folder(&data)
                .map_err(|error| NodeOpenError::Folder { folder: data.clone(), error })?;
            Vault::create(disk, &data, &unlock, &random)?
        };
        (options.key, options.log, options.random) =
            (vault.keys().store().clone(), vault.keys().log_id(), random);
        let space = FreeSpace::new(Arc::new(fs), &data, Margins::NONE);
        Self::assemble(options, &vault, space, clock)
    }
}
