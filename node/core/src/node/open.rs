//! Opening a node's data folder: the vault gives the keys, the log gives the truth, and the parts
//! are put together.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Identity, Node, Presence, Throttle};
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::engine::{CACHE_LEN_DEFAULT, EngineKind};
use crate::fs::{Fs, OsFs};
use crate::random::Random;
use crate::space::{Margins, Space};
use crate::store::{self, Claim, EngineSource, Progress, Stop, Store, StoreError, StoreOptions};
use crate::vault::{Unlock, Vault, VaultError};

/// What the service manager calls the key file it hands over.
const CREDENTIAL_NAME: &str = "freehold.key";

/// The key file that is used where the service manager hands over none.
pub(super) fn key_file(data: &Path) -> PathBuf {
    data.join("key")
}

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
    /// The folder, if it was claimed already.
    pub claim: Option<Claim>,
    /// Told how far a long start is.
    pub progress: Option<Arc<Progress>>,
    /// Raised to end a long start, which then fails with [`store::OpenError::Stopped`].
    pub stop: Stop,
}

impl NodeOptions {
    /// The usual: sled, and the key file the service manager hands over, or else one in the folder
    /// itself.
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

/// Makes the data folder where there is none, for its owner alone, and claims it for this process.
///
/// # Errors
/// When it can't be written, or another process has it.
pub fn claim(data: &Path) -> Result<Claim, NodeOpenError> {
    make(data).map_err(|error| NodeOpenError::Folder { folder: data.to_path_buf(), error })?;
    Ok(Claim::take(&OsFs, data)?)
}

/// Makes a folder and those above it, durably: what is acknowledged in it must be found by its
/// name.
fn make(folder: &Path) -> io::Result<()> {
    let new: Vec<&Path> = folder
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .collect();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for made in new {
        match made.parent() {
            Some(above) if !above.as_os_str().is_empty() => OsFs.sync_folder(above)?,
            _ => OsFs.sync_folder(Path::new("."))?,
        }
    }
    Ok(())
}

impl Node {
    /// Opens the node in a folder, made the first time. May take long after a power cut: blocks.
    ///
    /// # Errors
    /// When the folder can't be written, is in use, or what it holds can't be opened.
    pub fn open(options: NodeOptions) -> Result<Self, NodeOpenError> {
        let NodeOptions {
            data,
            engine,
            cache_len,
            unlock,
            margins,
            claim: claimed,
            progress,
            stop,
        } = options;
        // Nothing in the folder is touched before it is this process's alone.
        let claim = claimed.map_or_else(|| claim(&data), Ok)?;
        let random = Random::from_os().map_err(|_| NodeOpenError::NoRandomness)?;
        let fs: Arc<dyn Fs> = Arc::new(OsFs);
        let vault = if Vault::exists(&*fs, &data)? {
            Vault::open(fs.clone(), &data, &unlock)?
        } else if fs.exists(&data.join("log")).unwrap_or(true) {
            // New keys would open nothing of what is here, and stand in the way of the right ones.
            return Err(VaultError::Missing(data).into());
        } else {
            Vault::create(fs.clone(), &data, &unlock, &random)?
        };
        let space = Space::new(fs.clone(), &data, margins);
        let keys = vault.keys();
        let source = EngineSource::Kind(engine, cache_len);
        let mut store =
            StoreOptions::new(data, fs, source, keys.store().clone(), keys.log_id(), random);
        store.progress = progress;
        store.stop = stop;
        store.claim = Some(claim);
        store.space = Some(space.clone());
        Self::assemble(store, &vault, space, Clock::system())
    }

    /// Puts the parts together over what `options` name.
    pub(super) fn assemble<E>(
        mut options: StoreOptions,
        vault: &Vault,
        space: Space,
        clock: Clock,
    ) -> Result<Self, E>
    where
        E: From<store::OpenError> + From<StoreError>,
    {
        let (events, random) = (options.hints.clone(), options.random.clone());
        let blobs =
            Blobs::new(options.fs.clone(), &options.data, vault.keys(), random.clone(), space)?;
        options.blobs = Some(blobs.clone());
        let store = Store::open(options)?;
        let identity = Identity::load(&store, vault, &random, clock.now())?;
        let node = Self {
            identity,
            store,
            blobs,
            events,
            clock,
            random,
            presence: Presence::default(),
            throttle: Throttle::default(),
        };
        node.prepare()?;
        Ok(node)
    }

    /// Commits what waits and stops cleanly; blocks. What comes later is refused.
    pub fn close(&self) {
        self.store.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::AtRest;
    use crate::store::{Scan, Table};

    const T: Table = Table::new("test");

    fn options(data: &Path, engine: EngineKind) -> NodeOptions {
        let unlock = Unlock::KeyFile(data.join("key"));
        NodeOptions {
            unlock,
            engine,
            margins: Margins { watermark: 0, reserve: 0 },
            ..NodeOptions::new(data)
        }
    }

    #[test]
    fn rows_and_blobs_of_every_size_are_there_at_the_next_start() {
        for engine in [EngineKind::Sled, EngineKind::Redb] {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().join("data");
            let contents = [b"a letter".to_vec(), vec![7; 300_000]];
            let node = Node::open(options(&data, engine)).unwrap();
            let key = node.identity.node_key();
            for (number, content) in contents.iter().enumerate() {
                let pinned = node.blobs.put(content, AtRest::Sealed).unwrap();
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
    fn a_folder_without_its_vault_is_not_given_new_keys() {
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
    fn the_nodes_own_keys_lie_in_the_vault_and_nowhere_else() {
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
