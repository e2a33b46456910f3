//! Reading `cert.pem` and `key.pem`: each fault has a text that names the file and the remedy, and
//! an exit code.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use super::{key_path, path};
use crate::exit;

/// The longest file that is read: a chain of certificates has a few KiB.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Reads the certificate chain and the key, and puts the certificate of the key first (RFC 8446
/// 4.4.2).
pub(super) fn read(data: &Path) -> Result<CertifiedKey> {
    let (path, key_path) = (path(data), key_path(data));
    let chain = chain(&path, &read_file(&path)?)?;
    let key = key(&key_path, &read_file(&key_path)?)?;
    let unfit = || {
        wrong(format!(
            "none of the certificates in {} was issued for the key in {}; put the two files of one \
             certificate there",
            path.display(),
            key_path.display()
        ))
    };
    let is_own = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], key.clone()).keys_match().is_ok()
    };
    let leaf = chain.iter().position(is_own).ok_or_else(unfit)?;
    // The rest keeps its order.
    let mut ordered = chain;
    let own = ordered.remove(leaf);
    ordered.insert(0, own);
    Ok(CertifiedKey::new(ordered, key))
}

fn wrong(message: String) -> anyhow::Error {
    exit::with(exit::DATA, message)
}

fn chain(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let name = path.display();
    if bytes.trim_ascii().is_empty() {
        return Err(wrong(format!("{name} is empty; copy the certificate there again")));
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let Ok(chain) = chain else { return Err(wrong(damaged(path))) };
    if chain.is_empty() {
        return Err(wrong(match has_label(bytes, "PRIVATE KEY") {
            true => {
                format!("{name} holds a private key and no certificate; are the files swapped?")
            }
            false => format!(
                "{name} holds no certificate in PEM, a text with the line -----BEGIN \
                 CERTIFICATE-----"
            ),
        }));
    }
    if !chain.iter().all(|certificate| super::inspect::is_certificate(certificate)) {
        return Err(wrong(damaged(path)));
    }
    Ok(chain)
}

fn key(path: &Path, bytes: &[u8]) -> Result<Arc<dyn SigningKey>> {
    let name = path.display();
    if bytes.trim_ascii().is_empty() {
        return Err(wrong(format!("{name} is empty; copy the key there again")));
    }
    if has_label(bytes, "ENCRYPTED PRIVATE KEY") || contains(bytes, b"Proc-Type: 4,ENCRYPTED") {
        return Err(wrong(format!(
            "{name} is encrypted with a passphrase, which the node can't ask for; decrypt it: \
             openssl pkey -in key.pem -out decrypted.pem"
        )));
    }
    if !has_label(bytes, "PRIVATE KEY") {
        return Err(wrong(match has_label(bytes, "CERTIFICATE") {
            true => {
                format!("{name} holds a certificate and no private key; are the files swapped?")
            }
            false => format!(
                "{name} holds no private key in PEM, a text with the line -----BEGIN PRIVATE \
                 KEY-----"
            ),
        }));
    }
    let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|_| wrong(damaged(path)))?;
    aws_lc_rs::sign::any_supported_type(&key).map_err(|_| {
        wrong(format!(
            "the key in {name} is damaged or of a kind that is not supported; use RSA with at least \
             2048 bits, ECDSA (P-256, P-384) or Ed25519"
        ))
    })
}

fn damaged(path: &Path) -> String {
    format!("{} is cut off or damaged; copy the whole file there again", path.display())
}

/// Whether a PEM text has a section whose label ends so.
fn has_label(bytes: &[u8], label: &str) -> bool {
    bytes.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii();
        line.starts_with(b"-----BEGIN ") && line.ends_with(format!("{label}-----").as_bytes())
    })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Whether a file is there, also as a symbolic link to nothing.
pub(super) fn is_there(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// The bytes of a regular file of at most [`FILE_LEN_MAX`] bytes. The owner's programs put files
/// here: a pipe would never end.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let read = || {
        let file = fs::metadata(path)?;
        if !file.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        if file.len() > FILE_LEN_MAX {
            return Err(io::Error::other(format!("longer than {FILE_LEN_MAX} bytes")));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_LEN_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    let name = path.display();
    let message = match fs::read_link(path) {
        Ok(target) => {
            format!("{name}, a symbolic link to {}, can't be read: {error}", target.display())
        }
        Err(_) => format!("{name} can't be read: {error}"),
    };
    exit::with(exit::NO_INPUT, message)
}
