//! The node's certificate and key in `tls/`: the owner's own, or a self-signed pair made here. They
//! lie outside the vault, because they protect connections and not the stored data.
//!
//! `tls/made` holds a copy of each certificate made here, so that the owner's own is never
//! replaced. A self-signed certificate that lacks one of the node's names is made anew under the
//! same key; programs that trust the file read it again. [`Certificate::reload`] reads the files
//! again for new connections.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use freehold_listen::TlsConfig;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::exit;

/// The names of every node on its own machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The certificate's file, for programs that trust it by file: `curl --cacert`.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("tls/cert.pem")
}

/// The longest file that is read: a chain of certificates has a few KiB.
const FILE_LEN_MAX: u64 = 1 << 20;

fn key_path(data: &Path) -> PathBuf {
    data.join("tls/key.pem")
}

fn made_path(data: &Path) -> PathBuf {
    data.join("tls/made")
}

/// The certificate in use, and the TLS configuration of all listeners.
pub(crate) struct Certificate {
    data: PathBuf,
    current: Mutex<Arc<CertifiedKey>>,
    tls: TlsConfig,
}

impl Certificate {
    /// Reads the certificate and key in `data/tls`, and makes both if neither is there. One without
    /// the other is an error and never replaced: it may be the owner's own.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        match (path(data).try_exists()?, key_path(data).try_exists()?) {
            (true, true) => {}
            (false, false) => make_first(data).context("the certificate could not be made")?,
            (true, false) => return Err(alone(&path(data), &key_path(data))),
            (false, true) => return Err(alone(&key_path(data), &path(data))),
        }
        let certified = Arc::new(read(data)?);
        let tls = server_config(&certified).into();
        Ok(Self { data: data.to_path_buf(), current: Mutex::new(certified), tls })
    }

    /// The TLS configuration for listeners.
    pub(crate) fn tls(&self) -> TlsConfig {
        self.tls.clone()
    }

    /// Reads the files again and uses them for new connections; open ones stay open. After an error
    /// the certificate in use stays the same.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let certified = Arc::new(read(&self.data)?);
        self.tls.replace(server_config(&certified));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a self-signed certificate anew if it lacks one of `names`. Names that no certificate
    /// can hold are left out.
    pub(crate) fn cover(&self, names: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        let names: Vec<String> = names
            .into_iter()
            .filter(|name| name.is_ascii() && ServerName::try_from(name.as_str()).is_ok())
            .collect();
        let missing = |leaf: &CertificateDer<'_>| {
            let leaf = ParsedCertificate::try_from(leaf)?;
            Ok::<_, rustls::Error>(names.iter().any(|name| {
                ServerName::try_from(name.as_str())
                    .is_ok_and(|name| verify_server_name(&leaf, &name).is_err())
            }))
        };
        let lacks_one = self
            .current()
            .end_entity_cert()
            .and_then(missing)
            .context("the certificate can't be read")?;
        if !lacks_one || !self.is_self_signed()? {
            return Ok(());
        }
        make_again(&self.data, names).context("the certificate could not be made anew")?;
        self.reload()?;
        tracing::info!("the certificate was made anew: it lacked one of the node's names");
        Ok(())
    }

    fn is_self_signed(&self) -> anyhow::Result<bool> {
        let made = read_file(&made_path(&self.data)).unwrap_or_default();
        let used = read_file(&path(&self.data))?;
        Ok(!used.is_empty() && made.contains(&used))
    }
}

fn server_config(certified: &CertifiedKey) -> Arc<rustls::ServerConfig> {
    let resolver = Arc::new(SingleCertAndKey::from(certified.clone()));
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    Arc::new(config.with_cert_resolver(resolver))
}

/// Reads the certificate chain and the key, and checks that they belong together.
fn read(data: &Path) -> anyhow::Result<CertifiedKey> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(read_file(&path(data))?.as_bytes())
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not a certificate in PEM", path(data).display()))?;
    let key = key_path(data);
    let key = PrivateKeyDer::from_pem_slice(read_file(&key)?.as_bytes())
        .with_context(|| format!("{} is not a private key in PEM", key.display()))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .context("the certificate and its key do not fit together")
}

/// The text of a regular file of at most [`FILE_LEN_MAX`] bytes. The owner's programs put files
/// here: a pipe would never end.
fn read_file(path: &Path) -> anyhow::Result<String> {
    let read = || {
        let file = fs::metadata(path)?;
        if !file.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        if file.len() > FILE_LEN_MAX {
            return Err(io::Error::other(format!("longer than {FILE_LEN_MAX} bytes")));
        }
        fs::read_to_string(path)
    };
    read().with_context(|| format!("{} can't be read", path.display()))
}

fn alone(there: &Path, missing: &Path) -> anyhow::Error {
    let cause = format!(
        "{} is there without {}; put that back, or move both away to have new ones made",
        there.display(),
        missing.display()
    );
    exit::with(exit::NO_INPUT, cause)
}

/// Writes key and certificate into a new folder and renames the folder, so that both appear at
/// once: one without the other would be taken for the owner's.
fn make_first(data: &Path) -> anyhow::Result<()> {
    let (folder, new) = (data.join("tls"), data.join("tls.new"));
    if new.try_exists()? {
        fs::remove_dir_all(&new)?;
    }
    // The copies of certificates that were moved away have no use.
    if made_path(data).try_exists()? {
        fs::remove_file(made_path(data))?;
    }
    fs::create_dir(&new)?;
    let key = KeyPair::generate()?;
    let certificate = sign(&key, Vec::new())?;
    write(&new.join("key.pem"), key.serialize_pem().as_bytes(), 0o600)?;
    write(&new.join("cert.pem"), certificate.as_bytes(), 0o644)?;
    write(&new.join("made"), certificate.as_bytes(), 0o644)?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(&new, &folder).with_context(|| format!("{} holds other files", folder.display()))?;
    fs::File::open(data)?.sync_all()?;
    Ok(())
}

/// Makes a certificate for other names under the existing key, which fits the old certificate and
/// the new one.
fn make_again(data: &Path, names: Vec<String>) -> anyhow::Result<()> {
    let key = KeyPair::from_pem(&fs::read_to_string(key_path(data))?)?;
    let certificate = sign(&key, names)?;
    // `made` is written first: a certificate without a copy in it would be taken for the owner's.
    let known = fs::read_to_string(path(data))? + &certificate;
    replace(&made_path(data), known.as_bytes())?;
    replace(&path(data), certificate.as_bytes())
}

fn sign(key: &KeyPair, own: Vec<String>) -> anyhow::Result<String> {
    let mut names: Vec<String> = LOCAL.map(str::to_owned).to_vec();
    for name in own {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // The first of the owner's names, if there is one.
    let common = names.get(LOCAL.len()).or(names.first()).cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params.self_signed(key)?.pem())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

/// Replaces a file: after a power cut it has the old content or the new.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    if new.try_exists()? {
        fs::remove_file(&new)?;
    }
    write(&new, bytes, 0o644)?;
    fs::rename(&new, path)?;
    let folder = path.parent().context("the certificate's path has no folder")?;
    Ok(fs::File::open(folder)?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        Certificate::open(folder.path()).unwrap();
        let first = fs::read(path(folder.path())).unwrap();
        Certificate::open(folder.path()).unwrap();
        assert_eq!(first, fs::read(path(folder.path())).unwrap());
    }

    #[test]
    fn certificate_without_key_is_refused_and_not_replaced() {
        for (kept, missing) in [("cert.pem", "key.pem"), ("key.pem", "cert.pem")] {
            let folder = tempfile::tempdir().unwrap();
            // A start that was cut off left these files.
            fs::create_dir(folder.path().join("tls.new")).unwrap();
            fs::write(folder.path().join("tls.new/key.pem"), "half").unwrap();
            Certificate::open(folder.path()).unwrap();
            let tls = folder.path().join("tls");
            let before = fs::read(tls.join(kept)).unwrap();
            fs::remove_file(tls.join(missing)).unwrap();
            let error = Certificate::open(folder.path()).err().unwrap().to_string();
            assert!(error.contains(kept) && error.contains(missing), "{error}");
            assert_eq!(fs::read(tls.join(kept)).unwrap(), before);
            assert!(!tls.join(missing).exists());
            fs::remove_file(tls.join(kept)).unwrap();
            Certificate::open(folder.path()).unwrap();
        }
    }

    #[test]
    fn damaged_certificate_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        Certificate::open(folder.path()).unwrap();
        fs::write(path(folder.path()), "not a certificate").unwrap();
        assert!(Certificate::open(folder.path()).is_err());
        assert_eq!(fs::read_to_string(path(folder.path())).unwrap(), "not a certificate");
    }

    fn names(wanted: &[&str]) -> Vec<String> {
        wanted.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The names, out of `names`, that the certificate is valid for.
    fn valid_for(certificate: &Certificate, names: &[&'static str]) -> Vec<&'static str> {
        let current = certificate.current();
        let leaf = ParsedCertificate::try_from(current.end_entity_cert().unwrap()).unwrap();
        names
            .iter()
            .copied()
            .filter(|name| verify_server_name(&leaf, &ServerName::try_from(*name).unwrap()).is_ok())
            .collect()
    }

    #[test]
    fn certificate_lacking_a_name_is_remade_under_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read(folder.path().join("tls").join(name)).unwrap();
        let every = ["localhost", "127.0.0.1", "::1", "ruth.example", "mail.ruth.example"];
        let certificate = Certificate::open(folder.path()).unwrap();
        let (key, first) = (read("key.pem"), read("cert.pem"));
        assert_eq!(valid_for(&certificate, &every), ["localhost", "127.0.0.1", "::1"]);
        certificate.cover(names(&["ruth.example", "not a name", "m\u{fc}ller.example"])).unwrap();
        assert_eq!(
            valid_for(&certificate, &every),
            ["localhost", "127.0.0.1", "::1", "ruth.example"]
        );
        assert_eq!(read("key.pem"), key);
        let second = read("cert.pem");
        assert_ne!(second, first);
        // Names that it has, and fewer names than it has, change nothing.
        certificate.cover(names(&["ruth.example"])).unwrap();
        certificate.cover(names(&[])).unwrap();
        assert_eq!(read("cert.pem"), second);
        let again = Certificate::open(folder.path()).unwrap();
        again.cover(names(&["mail.ruth.example"])).unwrap();
        assert_eq!(
            valid_for(&again, &every),
            ["localhost", "127.0.0.1", "::1", "mail.ruth.example"]
        );
    }

    #[test]
    fn owners_certificate_is_never_remade() {
        let folder = tempfile::tempdir().unwrap();
        Certificate::open(folder.path()).unwrap();
        // The owner's certificate may use the key that was made here.
        let key = KeyPair::from_pem(&fs::read_to_string(key_path(folder.path())).unwrap()).unwrap();
        let own = sign(&key, names(&["elsewhere.example"])).unwrap();
        fs::write(path(folder.path()), &own).unwrap();
        Certificate::open(folder.path()).unwrap().cover(names(&["ruth.example"])).unwrap();
        assert_eq!(fs::read_to_string(path(folder.path())).unwrap(), own);
    }

    #[test]
    fn renewal_cut_off_between_two_files_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::open(folder.path()).unwrap();
        let first = fs::read(path(folder.path())).unwrap();
        certificate.cover(names(&["ruth.example"])).unwrap();
        // The new certificate's copy is written, the certificate is the old one, and a temporary
        // file is left.
        fs::write(path(folder.path()), first).unwrap();
        fs::write(folder.path().join("tls/cert.new"), "half").unwrap();
        let again = Certificate::open(folder.path()).unwrap();
        again.cover(names(&["ruth.example"])).unwrap();
        assert_eq!(valid_for(&again, &["ruth.example"]), ["ruth.example"]);
    }

    #[test]
    fn damaged_certificate_is_not_reloaded() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::open(folder.path()).unwrap();
        let before = certificate.current();
        fs::write(path(folder.path()), "not a certificate").unwrap();
        assert!(certificate.reload().is_err());
        assert!(Arc::ptr_eq(&before, &certificate.current()));
    }

    #[test]
    fn empty_certificate_does_not_count_as_made_here() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::open(folder.path()).unwrap();
        fs::write(path(folder.path()), "").unwrap();
        certificate.cover(names(&["ruth.example"])).unwrap();
        assert_eq!(fs::read_to_string(path(folder.path())).unwrap(), "");
    }

    #[test]
    fn pipe_in_place_of_the_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::open(folder.path()).unwrap();
        fs::remove_file(path(folder.path())).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path(folder.path())).status().unwrap();
        assert!(made.success());
        let error = format!("{:#}", certificate.reload().unwrap_err());
        assert!(error.contains("not a regular file"), "{error}");
    }
}
