//! The node's own certificate for a laptop: made here, kept in `tls/`, outside the vault (it
//! protects the wire, not the data).
//!
//! `tls/made` holds a copy of what was made here, so that the owner's own is never taken for it. One of ours that lacks a name the
//! node goes by is made anew under the same key; whoever trusts it by its file looks there again.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::exit;

/// The names every node goes by on its own machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where the certificate is, for programs to trust: `curl --cacert`.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("tls/cert.pem")
}

fn key_path(data: &Path) -> PathBuf {
    data.join("tls/key.pem")
}

fn made_path(data: &Path) -> PathBuf {
    data.join("tls/made")
}

/// The certificate, and the TLS configuration that shows it.
pub(crate) struct Certificate {
    data: PathBuf,
    shown: Arc<Shown>,
    tls: Arc<rustls::ServerConfig>,
}

/// What clients are shown: another one from the moment it is made.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl Certificate {
    /// The certificate in `data/tls`, which is made first if there is none. Half of one is never
    /// replaced: it may be the owner's own.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        match (path(data).try_exists()?, key_path(data).try_exists()?) {
            (true, true) => {}
            (false, false) => make_first(data).context("the certificate could not be made")?,
            (true, false) => return Err(alone(&path(data), &key_path(data))),
            (false, true) => return Err(alone(&key_path(data), &path(data))),
        }
        let shown = Arc::new(Shown(RwLock::new(Arc::new(read(data)?))));
        let tls =
            rustls::ServerConfig::builder().with_no_client_auth().with_cert_resolver(shown.clone());
        Ok(Self { data: data.to_path_buf(), shown, tls: Arc::new(tls) })
    }

    /// What listeners need.
    pub(crate) fn tls(&self) -> Arc<rustls::ServerConfig> {
        self.tls.clone()
    }

    /// Sees to it that the certificate holds for `names`, if it is one of ours. Names that no
    /// certificate can hold are left out.
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
            .shown
            .now()
            .end_entity_cert()
            .and_then(missing)
            .context("the certificate can't be read")?;
        if !lacks_one || !self.is_ours()? {
            return Ok(());
        }
        make_again(&self.data, names).context("the certificate could not be made anew")?;
        let anew = Arc::new(read(&self.data)?);
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = anew;
        tracing::info!("the certificate was made anew: the node goes by another name");
        Ok(())
    }

    fn is_ours(&self) -> anyhow::Result<bool> {
        let made = fs::read_to_string(made_path(&self.data)).unwrap_or_default();
        Ok(made.contains(&fs::read_to_string(path(&self.data))?))
    }
}

/// Reads certificate and key, and sees that they fit together.
fn read(data: &Path) -> anyhow::Result<CertifiedKey> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path(data))
        .and_then(Iterator::collect)
        .with_context(|| format!("{} is not a certificate in PEM", path(data).display()))?;
    let key = key_path(data);
    let key = PrivateKeyDer::from_pem_file(&key)
        .with_context(|| format!("{} is not a private key in PEM", key.display()))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .context("the certificate and its key do not fit together")
}

fn alone(there: &Path, missing: &Path) -> anyhow::Error {
    let said = format!(
        "{} is there without {}; put that back, or move both away to have new ones made",
        there.display(),
        missing.display()
    );
    exit::with(exit::NO_INPUT, said)
}

/// Key and certificate appear at once, with their folder: one without the other would be taken for
/// the owner's.
fn make_first(data: &Path) -> anyhow::Result<()> {
    let (folder, new) = (data.join("tls"), data.join("tls.new"));
    if new.try_exists()? {
        fs::remove_dir_all(&new)?;
    }
    // Of certificates that were moved away there is nothing to be known any more.
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

/// A certificate for other names under the key that is there, which fits the old one and the new
/// one.
fn make_again(data: &Path, names: Vec<String>) -> anyhow::Result<()> {
    let key = KeyPair::from_pem(&fs::read_to_string(key_path(data))?)?;
    let certificate = sign(&key, names)?;
    // Known before it is there: one that nobody knows would be taken for the owner's.
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
    // The owner's own name if there is one.
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

/// The old content or the new, at whatever moment the power goes.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    if new.try_exists()? {
        fs::remove_file(&new)?;
    }
    write(&new, bytes, 0o644)?;
    fs::rename(&new, path)?;
    let folder = path.parent().context("a certificate lies in a folder")?;
    Ok(fs::File::open(folder)?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        Certificate::open(folder.path()).unwrap();
        let first = fs::read(path(folder.path())).unwrap();
        Certificate::open(folder.path()).unwrap();
        assert_eq!(first, fs::read(path(folder.path())).unwrap());
    }

    #[test]
    fn half_of_one_is_an_error_and_not_replaced() {
        for (kept, missing) in [("cert.pem", "key.pem"), ("key.pem", "cert.pem")] {
            let folder = tempfile::tempdir().unwrap();
            // What a start that was cut off has left is no hindrance.
            fs::create_dir(folder.path().join("tls.new")).unwrap();
            fs::write(folder.path().join("tls.new/key.pem"), "half").unwrap();
            Certificate::open(folder.path()).unwrap();
            let tls = folder.path().join("tls");
            let before = fs::read(tls.join(kept)).unwrap();
            fs::remove_file(tls.join(missing)).unwrap();
            let said = Certificate::open(folder.path()).err().unwrap().to_string();
            assert!(said.contains(kept) && said.contains(missing), "{said}");
            assert_eq!(fs::read(tls.join(kept)).unwrap(), before);
            assert!(!tls.join(missing).exists());
            fs::remove_file(tls.join(kept)).unwrap();
            Certificate::open(folder.path()).unwrap();
        }
    }

    #[test]
    fn a_damaged_certificate_is_an_error_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        Certificate::open(folder.path()).unwrap();
        fs::write(path(folder.path()), "not a certificate").unwrap();
        assert!(Certificate::open(folder.path()).is_err());
        assert_eq!(fs::read_to_string(path(folder.path())).unwrap(), "not a certificate");
    }

    fn names(wanted: &[&str]) -> Vec<String> {
        wanted.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Which of the names it holds for.
    fn held(certificate: &Certificate, asked: &[&'static str]) -> Vec<&'static str> {
        let shown = certificate.shown.now();
        let leaf = ParsedCertificate::try_from(shown.end_entity_cert().unwrap()).unwrap();
        asked
            .iter()
            .copied()
            .filter(|name| verify_server_name(&leaf, &ServerName::try_from(*name).unwrap()).is_ok())
            .collect()
    }

    #[test]
    fn one_that_lacks_a_name_is_made_anew_under_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read(folder.path().join("tls").join(name)).unwrap();
        let asked = ["localhost", "127.0.0.1", "::1", "ruth.example", "mail.ruth.example"];
        let certificate = Certificate::open(folder.path()).unwrap();
        let (key, first) = (read("key.pem"), read("cert.pem"));
        assert_eq!(held(&certificate, &asked), ["localhost", "127.0.0.1", "::1"]);
        certificate.cover(names(&["ruth.example", "not a name", "m\u{fc}ller.example"])).unwrap();
        assert_eq!(held(&certificate, &asked), ["localhost", "127.0.0.1", "::1", "ruth.example"]);
        assert_eq!(read("key.pem"), key);
        let second = read("cert.pem");
        assert_ne!(second, first);
        // What it holds for already is no reason, nor is a name it could do without.
        certificate.cover(names(&["ruth.example"])).unwrap();
        certificate.cover(names(&[])).unwrap();
        assert_eq!(read("cert.pem"), second);
        let again = Certificate::open(folder.path()).unwrap();
        again.cover(names(&["mail.ruth.example"])).unwrap();
        assert_eq!(held(&again, &asked), ["localhost", "127.0.0.1", "::1", "mail.ruth.example"]);
    }

    #[test]
    fn the_owners_own_is_never_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        Certificate::open(folder.path()).unwrap();
        // Signed for the key that was made here, by somebody who knows.
        let key = KeyPair::from_pem(&fs::read_to_string(key_path(folder.path())).unwrap()).unwrap();
        let own = sign(&key, names(&["elsewhere.example"])).unwrap();
        fs::write(path(folder.path()), &own).unwrap();
        Certificate::open(folder.path()).unwrap().cover(names(&["ruth.example"])).unwrap();
        assert_eq!(fs::read_to_string(path(folder.path())).unwrap(), own);
    }

    #[test]
    fn a_making_that_was_cut_off_between_its_two_files_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::open(folder.path()).unwrap();
        let first = fs::read(path(folder.path())).unwrap();
        certificate.cover(names(&["ruth.example"])).unwrap();
        // The new one's copy is written, the certificate still the old one; and what was half
        // written lies about.
        fs::write(path(folder.path()), first).unwrap();
        fs::write(folder.path().join("tls/cert.new"), "half").unwrap();
        let again = Certificate::open(folder.path()).unwrap();
        again.cover(names(&["ruth.example"])).unwrap();
        assert_eq!(held(&again, &["ruth.example"]), ["ruth.example"]);
    }
}
