//! The vault: the node's secret keys at rest, sealed under a random store key. The store key is
//! wrapped once for each key or passphrase that may open the vault.
//!
//! On disk: two copies with checksums, `vault-1` and `vault-2`. A damaged or older copy is
//! rewritten from the other. The vault protects disks, snapshots and backups that are stolen
//! without the key. It does not protect data that is stolen together with the key file, nor against
//! a host that reads memory. An old copy of the vault still opens by the old passphrase.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use minicbor::{Decode, Encode};
use zeroize::{Zeroize, Zeroizing};

use crate::fs::Fs;
use crate::seal::{KEY_LEN, Seal, SecretKey, derive};
use freehold_proto::keys::{self, KemSecret, NodeKeys};
use freehold_proto::random::Random;

mod file;
mod wrap;

pub use wrap::PassphraseCost;

/// A secret that opens the vault.
#[derive(Clone)]
pub enum Unlock {
    /// The key file at this path; created with the vault if it does not exist.
    KeyFile(PathBuf),
    /// A key file given by the service manager (systemd: in `$CREDENTIALS_DIRECTORY`); never
    /// created here.
    Credential(PathBuf),
    /// The owner's passphrase; its UTF-8 bytes are not normalized.
    Passphrase(Zeroizing<String>, PassphraseCost),
    /// The X25519 backup key, derived from the owner's mnemonic. Opens a vault that was wrapped to
    /// it.
    BackupKey(SecretKey),
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile(path) => write!(f, "KeyFile({})", path.display()),
            Self::Credential(path) => write!(f, "Credential({})", path.display()),
            Self::Passphrase(..) => f.write_str("Passphrase"),
            Self::BackupKey(_) => f.write_str("BackupKey"),
        }
    }
}

/// An error of creating, opening or changing a vault.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum VaultError {
    /// The folder has no vault.
    #[error("there is no vault in {0}")]
    Missing(PathBuf),
    /// The folder has a vault already.
    #[error("there is a vault in {0} already")]
    Exists(PathBuf),
    /// Both copies are damaged.
    #[error("both copies of the vault are damaged")]
    Damaged,
    /// The vault was written by a newer version.
    #[error("the vault was written by a newer version of Freehold; install that version")]
    NewerVersion,
    /// The key file does not exist.
    #[error("there is no key file at {0}")]
    KeyMissing(PathBuf),
    /// The key file can't be read.
    #[error("the key file {path} can't be read: {error}")]
    KeyUnreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: String,
    },
    /// The key file exists already.
    #[error("there is a key file at {0} already; move it away if it is not the right one")]
    KeyExists(PathBuf),
    /// The key file is damaged or not a key file.
    #[error("the key file {0} is damaged")]
    KeyDamaged(PathBuf),
    /// The key or passphrase does not open the vault.
    #[error("this key does not open the vault")]
    WrongKey,
    /// The file system failed.
    #[error("the vault cannot be read or written: {0}")]
    Io(String),
}

impl From<std::io::Error> for VaultError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// The node's secret keys, zeroized when dropped.
pub struct Keys {
    store: SecretKey,
    secrets: Secrets,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Secrets {
    #[cbor(n(0), with = "minicbor::bytes")]
    node_sign: [u8; KEY_LEN],
    #[cbor(n(1), with = "minicbor::bytes")]
    node_kem: [u8; KEY_LEN],
    #[cbor(n(2), with = "minicbor::bytes")]
    blob_name: [u8; KEY_LEN],
    #[cbor(n(3), with = "minicbor::bytes")]
    log_id: [u8; 16],
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.node_sign.zeroize();
        self.node_kem.zeroize();
        self.blob_name.zeroize();
    }
}

impl Keys {
    /// The store key: rows, blobs and log are sealed under keys derived from it.
    pub fn store(&self) -> &SecretKey {
        &self.store
    }

    /// Derives the key for the purpose `label` from the store key; labels are never reused.
    pub fn derived(&self, label: &str) -> SecretKey {
        derive(&self.store, label)
    }

    /// The node's own keys, for signatures and for key encapsulation. The vault holds the only
    /// copy.
    pub fn node(&self) -> NodeKeys {
        let sign = keys::SecretKey::from_bytes(&self.secrets.node_sign);
        NodeKeys { sign, kem: KemSecret::from_bytes(self.secrets.node_kem) }
    }

    /// The key of the keyed hash that names blob files; it does not depend on the store key.
    pub fn blob_name(&self) -> SecretKey {
        Zeroizing::new(self.secrets.blob_name)
    }

    /// The id of this node's write-ahead log; not secret.
    pub fn log_id(&self) -> [u8; 16] {
        self.secrets.log_id
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// An open vault. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    keys: Keys,
    body: Mutex<file::Body>,
}

impl Vault {
    /// True if `folder` has a vault, damaged or not.
    ///
    /// # Errors
    /// [`VaultError::Io`].
    pub fn exists(fs: &dyn Fs, folder: &Path) -> Result<bool, VaultError> {
        Ok(file::COPIES
            .iter()
            .map(|name| fs.exists(&folder.join(name)))
            .collect::<Result<Vec<_>, _>>()?
            .contains(&true))
    }

    /// Creates a vault with new keys in `folder`, opened by `unlock`. The key file is created if it
    /// does not exist.
    ///
    /// # Errors
    /// [`VaultError::Exists`], and as [`Vault::open`].
    pub fn create(
        fs: Arc<dyn Fs>,
        folder: &Path,
        unlock: &Unlock,
        random: &Random,
    ) -> Result<Self, VaultError> {
        if Self::exists(&*fs, folder)? {
            return Err(VaultError::Exists(folder.to_owned()));
        }
        if let Unlock::KeyFile(path) = unlock
            && !fs.exists(path)?
        {
            wrap::create_key_file(&*fs, path, random)?;
        }
        let keys = Keys {
            store: Zeroizing::new(random.array()),
            secrets: Secrets {
                node_sign: random.array(),
                node_kem: random.array(),
                blob_name: random.array(),
                log_id: random.array(),
            },
        };
        let id: [u8; 16] = random.array();
        let plaintext =
            Zeroizing::new(minicbor::to_vec(&keys.secrets).map_err(|_| VaultError::Damaged)?);
        let sealed = secrets_seal(&keys.store)
            .seal(random, &associated_data(&id), &plaintext)
            .map_err(|_| VaultError::Damaged)?;
        let wraps = vec![wrap::wrap(&*fs, unlock, &id, &keys.store, random)?];
        let body = file::Body { generation: 1, id, wraps, sealed };
        file::write(&*fs, folder, &body)?;
        Ok(Self(Arc::new(Inner { fs, folder: folder.to_owned(), keys, body: Mutex::new(body) })))
    }

    /// Opens the vault in `folder`, and repairs a damaged copy.
    ///
    /// # Errors
    /// As [`VaultError`].
    pub fn open(fs: Arc<dyn Fs>, folder: &Path, unlock: &Unlock) -> Result<Self, VaultError> {
        let (body, repair) = file::read(&*fs, folder)?;
        let store = wrap::unwrap(&*fs, unlock, &body.id, &body.wraps)?;
        let plaintext = secrets_seal(&store)
            .open(&associated_data(&body.id), &body.sealed)
            .ok_or(VaultError::Damaged)?;
        let secrets = minicbor::decode(&plaintext).map_err(|_| VaultError::Damaged)?;
        if repair {
            tracing::warn!(
                "one copy of the vault is damaged or older; it is rewritten from the other"
            );
            // The intact copy is enough to open the node, on a disk that cannot be written, too.
            if let Err(error) = file::write(&*fs, folder, &body) {
                tracing::warn!(%error, "the damaged copy of the vault could not be rewritten");
            }
        }
        let keys = Keys { store, secrets };
        Ok(Self(Arc::new(Inner { fs, folder: folder.to_owned(), keys, body: Mutex::new(body) })))
    }

    /// The keys inside.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Replaces the key or passphrase that opens the vault by `unlock`. Only the vault is
    /// rewritten. The backup key still opens it.
    ///
    /// # Errors
    /// As [`VaultError`]; the vault then opens by the old secret or by `unlock`.
    pub fn change_unlock(&self, unlock: &Unlock, random: &Random) -> Result<(), VaultError> {
        if let Unlock::KeyFile(path) = unlock
            && !self.0.fs.exists(path)?
        {
            wrap::create_key_file(&*self.0.fs, path, random)?;
        }
        self.rewrite(|body| {
            let wrapped = wrap::wrap(&*self.0.fs, unlock, &body.id, &self.0.keys.store, random)?;
            body.wraps.retain(wrap::Wrap::is_backup);
            body.wraps.push(wrapped);
            Ok(())
        })
    }

    /// Wraps the store key to the backup key: `recipient` is the public X25519 key derived from the
    /// mnemonic. Replaces an earlier recipient; writes nothing if the recipient is the same.
    ///
    /// # Errors
    /// As [`VaultError`]; `WrongKey` if `recipient` is not a valid key.
    pub fn wrap_to_backup_key(
        &self,
        recipient: &[u8; KEY_LEN],
        random: &Random,
    ) -> Result<(), VaultError> {
        let is_wrapped =
            |body: &file::Body| body.wraps.iter().any(|wrap| wrap.is_for_recipient(recipient));
        if is_wrapped(&self.0.body.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        self.rewrite(|body| {
            let wrapped = wrap::wrap_to_recipient(recipient, &body.id, &self.0.keys.store, random)?;
            body.wraps.retain(|wrap| !wrap.is_backup());
            body.wraps.push(wrapped);
            Ok(())
        })
    }

    /// Checks that `unlock` opens the vault that is on the disk now.
    ///
    /// # Errors
    /// As [`Vault::open`].
    #[cfg(any(test, feature = "testing"))]
    pub fn opens(&self, unlock: &Unlock) -> Result<(), VaultError> {
        Self::open(self.0.fs.clone(), &self.0.folder, unlock).map(|_| ())
    }

    fn rewrite(
        &self,
        change: impl FnOnce(&mut file::Body) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let mut body = self.0.body.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = body.clone();
        change(&mut next)?;
        next.generation += 1;
        file::write(&*self.0.fs, &self.0.folder, &next)?;
        *body = next;
        Ok(())
    }
}

fn secrets_seal(store_key: &SecretKey) -> Seal {
    Seal::derived(store_key, "freehold 2026 vault secrets")
}

fn associated_data(id: &[u8; 16]) -> Vec<u8> {
    [b"freehold vault secrets 1", &id[..]].concat()
}

#[cfg(test)]
mod tests;
