//! The node's own certificate for a laptop: made once, kept in `tls/`, outside the vault (it protects the wire, not the data).

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::exit;

/// Where the certificate is, for programs to trust: `curl --cacert`.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("tls/cert.pem")
}

/// The TLS configuration, made from the certificate in `data/tls`, which is made first, for `names`, if it is not there. Half of one is
/// never replaced: it may be the owner's own.
pub(crate) fn open(data: &Path, names: impl IntoIterator<Item = String>) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let key_path = data.join("tls/key.pem");
    match (path(data).try_exists()?, key_path.try_exists()?) {
        (true, true) => {}
        (false, false) => make(data, names).context("the certificate could not be made")?,
        (true, false) => return Err(alone(&path(data), &key_path)),
        (false, true) => return Err(alone(&key_path, &path(data))),
    }
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path(data))
        .and_then(Iterator::collect)
        .with_context(|| format!("{} is not a certificate in PEM", path(data).display()))?;
    let key = PrivateKeyDer::from_pem_file(&key_path).with_context(|| format!("{} is not a private key in PEM", key_path.display()))?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and its key do not fit together")?;
    Ok(Arc::new(config))
}

fn alone(there: &Path, missing: &Path) -> anyhow::Error {
    let said =
        format!("{} is there without {}; put that back, or move both away to have new ones made", there.display(), missing.display());
    exit::with(exit::NO_INPUT, said)
}

fn make(data: &Path, own: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for name in own {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // The owner's own name if there is one.
    let common = names.get(3).or(names.first()).cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    // Both appear at once, with their folder: one without the other would be taken for the owner's.
    let (folder, new) = (data.join("tls"), data.join("tls.new"));
    if new.try_exists()? {
        fs::remove_dir_all(&new)?;
    }
    fs::create_dir(&new)?;
    write(&new.join("key.pem"), key.serialize_pem().as_bytes(), 0o600)?;
    write(&new.join("cert.pem"), certificate.pem().as_bytes(), 0o644)?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(&new, &folder).with_context(|| format!("{} holds other files", folder.display()))?;
    fs::File::open(data)?.sync_all()?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_kept() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), []).unwrap();
        let first = fs::read(path(folder.path())).unwrap();
        open(folder.path(), []).unwrap();
        assert_eq!(first, fs::read(path(folder.path())).unwrap());
    }

    #[test]
    fn half_of_one_is_an_error_and_not_replaced() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (kept, missing) in [("cert.pem", "key.pem"), ("key.pem", "cert.pem")] {
            let folder = tempfile::tempdir().unwrap();
            // What a start that was cut off has left is no hindrance.
            fs::create_dir(folder.path().join("tls.new")).unwrap();
            fs::write(folder.path().join("tls.new/key.pem"), "half").unwrap();
            open(folder.path(), []).unwrap();
            let tls = folder.path().join("tls");
            let before = fs::read(tls.join(kept)).unwrap();
            fs::remove_file(tls.join(missing)).unwrap();
            let said = open(folder.path(), []).unwrap_err().to_string();
            assert!(said.contains(kept) && said.contains(missing), "{said}");
            assert_eq!(fs::read(tls.join(kept)).unwrap(), before);
            assert!(!tls.join(missing).exists());
            fs::remove_file(tls.join(kept)).unwrap();
            open(folder.path(), []).unwrap();
        }
    }

    #[test]
    fn a_damaged_certificate_is_an_error_and_not_replaced() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), []).unwrap();
        fs::write(path(folder.path()), "not a certificate").unwrap();
        assert!(open(folder.path(), []).is_err());
        assert_eq!(fs::read_to_string(path(folder.path())).unwrap(), "not a certificate");
    }
}
