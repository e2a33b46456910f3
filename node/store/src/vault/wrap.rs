//! Wraps: the store key, sealed once for each secret that opens the vault.
//!
//! - key file: the line `freehold-key-1 <key, 64 hex digits> <check, 8 hex digits>`; the wrapping
//!   key is derived from the key;
//! - passphrase: the wrapping key is Argon2id (version 0x13) of its UTF-8 bytes, salt and costs as
//!   stored;
//! - backup key: HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//!   ChaCha20-Poly1305.

use std::io::ErrorKind;
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use data_encoding::HEXLOWER;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::{Unlock, VaultError};
use crate::fs::{self, Fs};
use crate::seal::{KEY_LEN, Seal, SecretKey};
use freehold_proto::random::Random;

const KEY_FILE_TAG: &str = "freehold-key-1";
const KEY_FILE_LEN_MAX: usize = 1024;
const HPKE_INFO: &[u8] = b"freehold vault backup 1";
/// The most memory that a stored Argon2 cost may ask for, in KiB; a larger one counts as damage.
const MEMORY_KIB_MAX: u32 = 4 * 1024 * 1024;
/// The most passes that a stored Argon2 cost may ask for.
const PASSES_MAX: u32 = 64;

/// The Argon2id cost of one guess of a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassphraseCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PassphraseCost {
    fn default() -> Self {
        // RFC 9106 section 4, second recommendation.
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 }
    }
}

/// The store key, sealed for one secret.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Wrap {
    #[n(1)]
    Key {
        #[cbor(n(0), with = "minicbor::bytes")]
        sealed: Vec<u8>,
    },
    #[n(2)]
    Passphrase {
        #[cbor(n(0), with = "minicbor::bytes")]
        sealed: Vec<u8>,
        #[cbor(n(1), with = "minicbor::bytes")]
        salt: [u8; 16],
        #[n(2)]
        memory_kib: u32,
        #[n(3)]
        passes: u32,
        #[n(4)]
        lanes: u32,
    },
    #[n(3)]
    Backup {
        #[cbor(n(0), with = "minicbor::bytes")]
        sealed: Vec<u8>,
        #[cbor(n(1), with = "minicbor::bytes")]
        encapsulated: [u8; KEY_LEN],
        #[cbor(n(2), with = "minicbor::bytes")]
        recipient: [u8; KEY_LEN],
    },
}

impl Wrap {
    pub(super) fn is_backup(&self) -> bool {
        matches!(self, Self::Backup { .. })
    }

    pub(super) fn is_for_recipient(&self, public: &[u8; KEY_LEN]) -> bool {
        matches!(self, Self::Backup { recipient, .. } if recipient == public)
    }
}

/// Wraps the store key for `unlock`.
pub(super) fn wrap(
    fs: &dyn Fs,
    unlock: &Unlock,
    id: &[u8; 16],
    store: &SecretKey,
    random: &Random,
) -> Result<Wrap, VaultError> {
    let sealed = |seal: Seal| {
        seal.seal(random, &associated_data(id), &**store).map_err(|_| VaultError::Damaged)
    };
    match unlock {
        Unlock::KeyFile(path) | Unlock::Credential(path) => {
            Ok(Wrap::Key { sealed: sealed(key_file_seal(fs, path)?)? })
        }
        Unlock::Passphrase(passphrase, cost) => {
            let salt = random.array();
            let sealed = sealed(passphrase_seal(passphrase, &salt, *cost)?)?;
            let PassphraseCost { memory_kib, passes, lanes } = *cost;
            Ok(Wrap::Passphrase { sealed, salt, memory_kib, passes, lanes })
        }
        Unlock::BackupKey(secret) => {
            let secret = hpke_secret(secret)?;
            let recipient = X25519HkdfSha256::sk_to_pk(&secret).to_bytes();
            wrap_to_recipient(&recipient.into(), id, store, random)
        }
    }
}

/// Wraps the store key to the public backup key `recipient`.
pub(super) fn wrap_to_recipient(
    recipient: &[u8; KEY_LEN],
    id: &[u8; 16],
    store: &SecretKey,
    random: &Random,
) -> Result<Wrap, VaultError> {
    let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(recipient)
        .map_err(|_| VaultError::WrongKey)?;
    let (encapsulated, sealed) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &to,
            HPKE_INFO,
            &**store,
            &associated_data(id),
            &mut ChaCha20Rng::from_seed(random.array()),
        )
        .map_err(|_| VaultError::WrongKey)?;
    Ok(Wrap::Backup { sealed, encapsulated: encapsulated.to_bytes().into(), recipient: *recipient })
}

/// Unwraps the store key by the first wrap that `unlock` opens.
pub(super) fn unwrap(
    fs: &dyn Fs,
    unlock: &Unlock,
    id: &[u8; 16],
    wraps: &[Wrap],
) -> Result<SecretKey, VaultError> {
    let mut opened = None;
    match unlock {
        Unlock::KeyFile(path) | Unlock::Credential(path) => {
            let seal = key_file_seal(fs, path)?;
            for wrap in wraps {
                if let Wrap::Key { sealed } = wrap {
                    opened = opened.or_else(|| seal.open(&associated_data(id), sealed));
                }
            }
        }
        Unlock::Passphrase(passphrase, _) => {
            for wrap in wraps {
                if let Wrap::Passphrase { sealed, salt, memory_kib, passes, lanes } = wrap {
                    let cost =
                        PassphraseCost { memory_kib: *memory_kib, passes: *passes, lanes: *lanes };
                    let seal = passphrase_seal(passphrase, salt, cost)?;
                    opened = opened.or_else(|| seal.open(&associated_data(id), sealed));
                }
            }
        }
        Unlock::BackupKey(secret) => {
            let secret = hpke_secret(secret)?;
            for wrap in wraps {
                if let Wrap::Backup { sealed, encapsulated, .. } = wrap {
                    opened =
                        opened.or_else(|| open_as_recipient(&secret, encapsulated, id, sealed));
                }
            }
        }
    }
    let opened = opened.ok_or(VaultError::WrongKey)?;
    Ok(Zeroizing::new(opened.as_slice().try_into().map_err(|_| VaultError::Damaged)?))
}

type HpkeSecret = <X25519HkdfSha256 as Kem>::PrivateKey;

fn hpke_secret(secret: &SecretKey) -> Result<HpkeSecret, VaultError> {
    HpkeSecret::from_bytes(&**secret).map_err(|_| VaultError::WrongKey)
}

fn open_as_recipient(
    secret: &HpkeSecret,
    encapsulated: &[u8],
    id: &[u8; 16],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        secret,
        &encapsulated,
        HPKE_INFO,
        sealed,
        &associated_data(id),
    )
    .ok()
    .map(Zeroizing::new)
}

fn associated_data(id: &[u8; 16]) -> Vec<u8> {
    [b"freehold vault wrap 1", &id[..]].concat()
}

fn passphrase_seal(
    passphrase: &str,
    salt: &[u8; 16],
    cost: PassphraseCost,
) -> Result<Seal, VaultError> {
    if cost.memory_kib > MEMORY_KIB_MAX || cost.passes > PASSES_MAX {
        return Err(VaultError::Damaged);
    }
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_LEN))
        .map_err(|_| VaultError::Damaged)?;
    let mut key = SecretKey::default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(|_| VaultError::Damaged)?;
    Ok(Seal::derived(&key, "freehold 2026 vault passphrase"))
}

fn check(key: &SecretKey) -> String {
    let hash = blake3::derive_key("freehold 2026 key file check", &**key);
    HEXLOWER.encode(hash.get(..4).unwrap_or_default())
}

/// Creates a key file with a new key, durably. The caller checks that none exists.
pub(super) fn create_key_file(fs: &dyn Fs, path: &Path, random: &Random) -> Result<(), VaultError> {
    let key: SecretKey = Zeroizing::new(random.array());
    let line =
        Zeroizing::new(format!("{KEY_FILE_TAG} {} {}\n", HEXLOWER.encode(&*key), check(&key)));
    Ok(fs::replace(fs, path, line.as_bytes())?)
}

fn key_file_seal(fs: &dyn Fs, path: &Path) -> Result<Seal, VaultError> {
    let bytes = fs::read(fs, path, KEY_FILE_LEN_MAX).map_err(|error| match error.kind() {
        ErrorKind::NotFound => VaultError::KeyMissing(path.to_owned()),
        ErrorKind::FileTooLarge => VaultError::KeyDamaged(path.to_owned()),
        _ => VaultError::KeyUnreadable { path: path.to_owned(), error: error.to_string() },
    })?;
    let key = parse_key_file(&Zeroizing::new(bytes))
        .ok_or_else(|| VaultError::KeyDamaged(path.to_owned()))?;
    Ok(Seal::derived(&key, "freehold 2026 vault key file"))
}

fn parse_key_file(bytes: &[u8]) -> Option<SecretKey> {
    let mut fields = std::str::from_utf8(bytes).ok()?.split_whitespace();
    let (tag, hex, stored_check) = (fields.next()?, fields.next()?, fields.next()?);
    let decoded = Zeroizing::new(HEXLOWER.decode(hex.as_bytes()).ok()?);
    let key: SecretKey = Zeroizing::new(decoded.as_slice().try_into().ok()?);
    (tag == KEY_FILE_TAG && fields.next().is_none() && check(&key) == stored_check).then_some(key)
}
