//! The vault's file: `freehold vault 1\n`, the body's length (4 bytes, big-endian), the body
//! (CBOR), BLAKE3 of all before it.

use std::io::ErrorKind;
use std::path::Path;

use minicbor::{Decode, Encode};

use super::VaultError;
use super::wrap::Wrap;
use crate::fs::{self, Fs};

/// The two copies. They are written one after the other, so that one is always intact.
pub(super) const COPIES: [&str; 2] = ["vault-1", "vault-2"];

const MAGIC: &[u8] = b"freehold vault 1\n";
const MAGIC_ANY: &[u8] = b"freehold vault ";
const CHECKSUM_LEN: usize = 32;
const FILE_LEN_MAX: usize = 64 * 1024;

/// The body of the file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Body {
    /// Incremented by each rewrite; of two intact copies the one with the higher generation is
    /// used.
    #[n(0)]
    pub(super) generation: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) id: [u8; 16],
    #[n(2)]
    pub(super) wraps: Vec<Wrap>,
    /// The node's secrets, sealed under the store key.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(super) sealed: Vec<u8>,
}

/// Writes both copies durably, one after the other.
pub(super) fn write(fs: &dyn Fs, folder: &Path, body: &Body) -> Result<(), VaultError> {
    let bytes = encode(body)?;
    for name in COPIES {
        fs::replace(fs, &folder.join(name), &bytes)?;
    }
    Ok(())
}

/// The body of the newer intact copy, and true if the other copy must be rewritten.
pub(super) fn read(fs: &dyn Fs, folder: &Path) -> Result<(Body, bool), VaultError> {
    let [one, two] = COPIES.map(|name| read_copy(fs, &folder.join(name)));
    match (one, two) {
        (Ok(one), Ok(two)) if one == two => Ok((one, false)),
        (Ok(one), Ok(two)) => Ok((if two.generation > one.generation { two } else { one }, true)),
        (Ok(body), Err(VaultError::Damaged | VaultError::Missing(_))) => Ok((body, true)),
        (Err(VaultError::Damaged | VaultError::Missing(_)), Ok(body)) => Ok((body, true)),
        (Err(VaultError::Missing(_)), Err(VaultError::Missing(_))) => {
            Err(VaultError::Missing(folder.to_owned()))
        }
        (Err(VaultError::Missing(_)), Err(error)) | (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

fn read_copy(fs: &dyn Fs, path: &Path) -> Result<Body, VaultError> {
    let bytes = fs::read(fs, path, FILE_LEN_MAX).map_err(|error| match error.kind() {
        ErrorKind::NotFound => VaultError::Missing(path.to_owned()),
        // An unreadable sector counts as damage; the other copy is used.
        _ => VaultError::Damaged,
    })?;
    decode(&bytes)
}

fn encode(body: &Body) -> Result<Vec<u8>, VaultError> {
    let body = minicbor::to_vec(body).map_err(|_| VaultError::Damaged)?;
    let len = u32::try_from(body.len()).map_err(|_| VaultError::Damaged)?;
    let mut bytes = [MAGIC, &len.to_be_bytes(), &body].concat();
    let checksum = blake3::hash(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Body, VaultError> {
    let split = bytes.len().checked_sub(CHECKSUM_LEN).and_then(|len| bytes.split_at_checked(len));
    let (bytes, checksum) = split.ok_or(VaultError::Damaged)?;
    if blake3::hash(bytes).as_bytes() != checksum {
        return Err(VaultError::Damaged);
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(if bytes.starts_with(MAGIC_ANY) {
            VaultError::NewerVersion
        } else {
            VaultError::Damaged
        });
    };
    let (len, body) = rest.split_first_chunk::<4>().ok_or(VaultError::Damaged)?;
    if usize::try_from(u32::from_be_bytes(*len)) != Ok(body.len()) {
        return Err(VaultError::Damaged);
    }
    minicbor::decode(body).map_err(|_| VaultError::Damaged)
}
