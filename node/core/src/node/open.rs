//! Opening a node's data folder: the vault has the keys, the store is recovered, and the parts are
//! put together.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Arriving, Identity, LoginState, MailImport, Node, Presence};
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::engine::{CACHE_LEN_DEFAULT, EngineKind};
use crate::fs::{self, Fs, OsFs};
use crate::random::Random;
use crate::space::{FreeSpace, Margins};
use crate::store::{
    self, EngineSource, FolderLock, Progress, Stop, Store, StoreError, StoreOptions,
};
use crate::vault::{Unlock, Vault, VaultError};

/// The name of the key file among the credentials of the service manager (systemd's
/// `LoadCredential=`).
const CREDENTIAL_NAME: &str = "freehold.key";

/// The key file in the data folder, used if the service manager passes none.
pub(super) fn key_file(data: &Path) -> PathBuf {
    data.join("key")
}

/// The options to open a node.
#[derive(Clone)]
pub struct NodeOptions {
    /// The data folder; created if it is missing.
    pub data: PathBuf,
    /// The store's engine.
    pub engine: EngineKind,
    /// The memory for the engine's cache, in bytes.
    pub cache_len: u64,
    /// The key that opens the vault.
    pub unlock: Unlock,
    /// The disk space that is kept free.
    pub margins: Margins,
    /// The claim of the folder, if the caller has it already.
    pub claim: Option<FolderLock>,
    /// Called with the progress of a long recovery.
    pub progress: Option<Arc<Progress>>,
    /// Stops a long recovery when raised; opening then fails with [`store::OpenError::Stopped`].
    pub stop: Stop,
}

impl NodeOptions {
    /// The defaults: sled, and the key file that the service manager passes, or else the one in the
    /// data folder.
    pub fn new(data: &Path) -> Self {
        let credential = std::env::var_os("CREDENTIALS_DIRECTORY")
            .map(|folder| PathBuf::from(folder).join(CREDENTIAL_NAME));
        let unlock = match credential.filter(|path| path.exists()) {
            Some(path) => Unlock::Credential(path),
            None => Unlock::KeyFile(key_file(data)),
        };
        Self {
            data: data.to_path_buf(),
            engine: EngineKind::Sled,
            cache_len: CACHE_LEN_DEFAULT,
            unlock,
            margins: Margins::default(),
            claim: None,
            progress: None,
            stop: Stop::default(),
        }
    }
}

/// Why a node did not open.
#[derive(Debug, thiserror::Error)]
pub enum NodeOpenError {
    /// The folder can't be created or written.
    #[error("the data folder {folder} can't be written: {error}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// Others could replace files in the folder.
    #[error("the data folder {folder} {danger}")]
    Unsafe {
        /// The folder.
        folder: PathBuf,
        /// The danger, and the remedy.
        danger: &'static str,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store did not open.
    #[error(transparent)]
    Open(#[from] store::OpenError),
    /// The store opened, and then an operation failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NodeOpenError {
    /// True if the disk takes no writes, or no more of them: an existing node can still be read.
    fn is_unwritable(&self) -> bool {
        match self {
            Self::Open(error) => error.is_unwritable() || error.is_full(),
            Self::Store(error) => matches!(error, StoreError::ReadOnly(_) | StoreError::Full),
            _ => false,
        }
    }
}

/// Creates the data folder if it is missing, takes the access of other users away, and locks it for
/// this process. On a read-only file system an existing folder is locked for reading.
///
/// # Errors
/// When it can't be created, others can write to it, or another process has locked it.
pub fn claim(data: &Path) -> Result<FolderLock, NodeOpenError> {
    create_folder(data)
        .map_err(|error| NodeOpenError::Folder { folder: data.to_path_buf(), error })?;
    if let Some(danger) = OsFs.danger_of(data) {
        return Err(NodeOpenError::Unsafe { folder: data.to_path_buf(), danger });
    }
    OsFs.make_private(data);
    Ok(FolderLock::acquire(&OsFs, data)?)
}

/// Creates the ancestors of the data folder, and the folder, durably: each before the next one.
/// Otherwise a power cut could remove a name above acknowledged data. So a folder that is not empty
/// has durable names.
fn create_folder(data: &Path) -> io::Result<()> {
    let data = std::path::absolute(data)?;
    if std::fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    let ancestors: Vec<&Path> = data.ancestors().collect();
    ancestors.into_iter().rev().try_for_each(|folder| fs::create_folder_durably(&OsFs, folder))
}

impl NodeOptions {
    /// The options of the store of this node.
    fn store(
        self,
        fs: Arc<dyn Fs>,
        vault: &Vault,
        claim: FolderLock,
        random: Random,
    ) -> StoreOptions {
        let keys = vault.keys();
        let source = EngineSource::Kind(self.engine, self.cache_len);
        let key = keys.store().clone();
        let mut store = StoreOptions::new(self.data, fs, source, key, keys.log_id(), random);
        store.progress = self.progress;
        store.stop = self.stop;
        store.folder_lock = Some(claim);
        store
    }
}

impl Node {
    /// Opens the node in a folder, or creates it there. Blocks; after a power cut possibly for
    /// long. On a disk that can't be written, an existing node is opened read-only: see
    /// [`Node::is_read_only`].
    ///
    /// # Errors
    /// When the folder is in use, can't be written and holds no node that can be read, or its vault
    /// or store can't be opened.
    pub fn open(mut options: NodeOptions) -> Result<Self, NodeOpenError> {
        // No file in the folder is read or written before this process has locked it.
        let claim = options.claim.take().map_or_else(|| claim(&options.data), Ok)?;
        let error = match claim.read_only_reason() {
            Some(reason) => return Self::open_read_only(options, claim.clone(), reason.to_owned()),
            None => match Self::open_claimed(options.clone(), claim.clone()) {
                Err(error) if error.is_unwritable() => error,
                opened => return opened,
            },
        };
        // The file system takes no write although it is not mounted read-only, or it is full.
        Self::open_read_only(options, claim, error.to_string()).map_err(|_| error)
    }

    fn open_read_only(
        options: NodeOptions,
        claim: FolderLock,
        reason: String,
    ) -> Result<Self, NodeOpenError> {
        let reason =
            format!("the data folder {} can't be written: {reason}", options.data.display());
        tracing::error!(%reason, "the node is opened read-only");
        let random = Random::from_os().map_err(|_| NodeOpenError::NoRandomness)?;
        let fs: Arc<dyn Fs> = Arc::new(OsFs);
        let vault = Vault::open(fs.clone(), &options.data, &options.unlock)?;
        let space = FreeSpace::unmanaged(fs.clone(), &options.data);
        let mut store = options.store(fs, &vault, claim, random);
        store.read_only = Some(reason);
        Self::assemble(store, &vault, space, Clock::system())
    }

    fn open_claimed(options: NodeOptions, claim: FolderLock) -> Result<Self, NodeOpenError> {
        let (data, unlock) = (&options.data, &options.unlock);
        let random = Random::from_os().map_err(|_| NodeOpenError::NoRandomness)?;
        let fs: Arc<dyn Fs> = Arc::new(OsFs);
        let vault = if Vault::exists(&*fs, data)? {
            Vault::open(fs.clone(), data, unlock)?
        } else if fs.exists(&data.join("log")).unwrap_or(true) {
            // A new vault's keys would not open the existing log, and a restored copy of the right
            // vault would find a wrong one in its place.
            return Err(VaultError::Missing(data.clone()).into());
        } else {
            Vault::create(fs.clone(), data, unlock, &random)?
        };
        let space = FreeSpace::new(fs.clone(), data, options.margins);
        let mut store = options.store(fs, &vault, claim, random);
        store.space = Some(space.clone());
        Self::assemble(store, &vault, space, Clock::system())
    }

    /// Opens blobs, store and identity, and makes a node of them.
    pub(super) fn assemble<E>(
        mut options: StoreOptions,
        vault: &Vault,
        space: FreeSpace,
        clock: Clock,
    ) -> Result<Self, E>
    where
        E: From<store::OpenError> + From<StoreError>,
    {
        let (events, random) = (options.hints.clone(), options.random.clone());
        let open_blobs = match &options.read_only {
            Some(_) => Blobs::read_only,
            None => Blobs::new,
        };
        let blobs =
            open_blobs(options.fs.clone(), &options.data, vault.keys(), random.clone(), space)?;
        options.blobs = Some(blobs.clone());
        let is_read_only = options.read_only.is_some();
        let store = Store::open(options)?;
        if !is_read_only && store.position() == 0 {
            // The index of blobs of a new node is complete from the first row on.
            blobs.turn_over(&store, &|| true)?;
        }
        let identity = Identity::load(&store, vault, &random, clock.now())?;
        let node = Self {
            identity,
            store,
            blobs,
            events,
            clock,
            random,
            presence: Presence::default(),
            mail_import: MailImport::default(),
            arriving: Arriving::default(),
            logins: LoginState::default(),
        };
        node.prepare()?;
        Ok(node)
    }

    /// Finishes waiting commits and closes the store; blocks. Later commits are refused.
    pub fn close(&self) {
        self.store.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Scan, Table};

    const T: Table = Table::referring("test");

    fn options(data: &Path, engine: EngineKind) -> NodeOptions {
        let unlock = Unlock::KeyFile(data.join("key"));
        NodeOptions { unlock, engine, margins: Margins::NONE, ..NodeOptions::new(data) }
    }

    #[test]
    fn rows_and_blobs_survive_a_restart_with_each_engine() {
        for engine in [EngineKind::Sled, EngineKind::Redb] {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().join("data");
            let contents = [b"a message".to_vec(), vec![7; 300_000]];
            let node = Node::open(options(&data, engine)).unwrap();
            let key = node.identity.node_key();
            for (number, content) in contents.iter().enumerate() {
                let pinned = node.blobs.put(content).unwrap();
                let row = [u8::try_from(number).unwrap()];
                node.store
                    .commit_blocking(move |tx| tx.put_referring(T, &row, b"", &[pinned.id]))
                    .unwrap();
            }
            assert!(matches!(
                Node::open(options(&data, engine)),
                Err(NodeOpenError::Open(store::OpenError::InUse))
            ));
            node.close();
            drop(node);
            let node = Node::open(options(&data, engine)).unwrap();
            assert_eq!(node.identity.node_key(), key);
            for (number, content) in contents.iter().enumerate() {
                let row = node.store.get(T, &[u8::try_from(number).unwrap()]).unwrap().unwrap();
                assert_eq!(
                    &node.blobs.open(&row.blobs[0]).unwrap().read_all(1 << 20).unwrap(),
                    content
                );
            }
            assert!(
                crate::check::check(&node.store, &node.blobs, &|_, _, _| Ok(()))
                    .unwrap()
                    .is_sound()
            );
        }
    }

    #[test]
    fn folder_without_its_vault_gets_no_new_keys() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Node::open(options(&data, EngineKind::Sled)).unwrap().close();
        for copy in ["vault-1", "vault-2"] {
            std::fs::remove_file(data.join(copy)).unwrap();
        }
        let opened = Node::open(options(&data, EngineKind::Sled));
        assert!(matches!(opened, Err(NodeOpenError::Vault(VaultError::Missing(_)))));
        assert!(!data.join("vault-1").exists());
    }

    #[test]
    fn node_keys_are_stored_in_the_vault_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let node = Node::open(options(&data, EngineKind::Sled)).unwrap();
        let card = node.identity.card();
        let vault = Vault::open(Arc::new(OsFs), &data, &Unlock::KeyFile(data.join("key"))).unwrap();
        let keys = vault.keys().node();
        assert_eq!((card.sign, card.kem), (keys.sign.public(), keys.kem.public()));
        let secrets = [keys.sign.to_bytes(), keys.kem.to_bytes()];
        for (_, row) in
            node.store.scan(Table::new("identity_self"), &Scan::prefix(&[], 100)).unwrap()
        {
            assert!(
                secrets
                    .iter()
                    .all(|secret| !row.value.windows(32).any(|part| part == secret.as_slice()))
            );
        }
        node.close();
    }
}
