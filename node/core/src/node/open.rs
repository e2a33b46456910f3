//! Opening a node's data folder: the vault gives the keys, the log gives the truth, and the parts are put together.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Node;
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::engine::EngineKind;
use crate::events::Events;
use crate::fs::{Fs, OsFs};
use crate::identity::Identity;
use crate::logins::Throttle;
use crate::random::Random;
use crate::space::{Margins, Space};
use crate::store::{self, Claim, EngineSource, Progress, Store, StoreError, StoreOptions};
use crate::vault::{Unlock, Vault, VaultError};

/// What the service manager calls the key file it hands over.
const CREDENTIAL_NAME: &str = "freehold.key";

/// How a node's folder is opened.
#[derive(Clone)]
pub struct NodeOptions {
    /// The data folder; made if it is not there.
    pub data: PathBuf,
    /// The store's engine.
    pub engine: EngineKind,
    /// Memory the engine may use for its cache, in bytes.
    pub cache_len: u64,
    /// What opens the vault.
    pub unlock: Unlock,
    /// How much room is kept free.
    pub margins: Margins,
    /// Told how far a long start is.
    pub progress: Option<Arc<Progress>>,
}

impl NodeOptions {
    /// The usual: sled, and the key file the service manager hands over, or else one in the folder itself.
    pub fn new(data: &Path) -> Self {
        let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(CREDENTIAL_NAME));
        let unlock = match credential.filter(|path| path.exists()) {
            Some(path) => Unlock::Credential(path),
            None => Unlock::KeyFile(data.join("key")),
        };
        Self {
            data: data.to_path_buf(),
            engine: EngineKind::Sled,
            cache_len: 8 * 1024 * 1024,
            unlock,
            margins: Margins::default(),
            progress: None,
        }
    }
}

/// Why a data folder does not open.
#[derive(Debug, thiserror::Error)]
pub enum NodeOpenError {
    /// The folder can't be made or written.
    #[error("the data folder {folder} can't be written: {error}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] store::OpenError),
    /// The store opened and then failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Node {
    /// Opens the node in a folder, made the first time. May take long after a power cut: blocks.
    ///
    /// # Errors
    /// When the folder can't be written, is in use, or what it holds can't be opened.
    pub fn open(options: NodeOptions) -> Result<Self, NodeOpenError> {
        let NodeOptions { data, engine, cache_len, unlock, margins, progress } = options;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&data);
        made.map_err(|error| NodeOpenError::Folder { folder: data.clone(), error })?;
        let random = Random::from_os().map_err(|_| NodeOpenError::NoRandomness)?;
        let fs: Arc<dyn Fs> = Arc::new(OsFs);
        // Before anything in the folder is opened or made, so that a second process touches nothing.
        let claim = Claim::take(&*fs, &data)?;
        let vault = if Vault::exists(&*fs, &data)? {
            Vault::open(fs.clone(), &data, &unlock)?
        } else {
            Vault::create(fs.clone(), &data, &unlock, &random)?
        };
        let keys = vault.keys();
        let events = Events::default();
        let space = Space::new(fs.clone(), &data, margins);
        let blobs = Blobs::new(fs.clone(), &data, keys, random.clone(), space)?;
        let source = EngineSource::Kind(engine, cache_len);
        let mut options = StoreOptions::new(data, fs, source, keys.store().clone(), keys.log_id(), random.clone());
        options.claim = Some(claim);
        options.blobs = Some(blobs.clone());
        options.events = events.clone();
        options.progress = progress;
        let store = Store::open(options)?;
        let identity = Identity::load(&store, &random)?;
        let node = Self { identity, store, blobs, events, clock: Clock::system(), random, throttle: Throttle::default() };
        node.prepare()?;
        Ok(node)
    }

    /// Commits what waits and stops cleanly; blocks. What comes later is refused.
    pub fn close(&self) {
        self.store.close();
    }
}
