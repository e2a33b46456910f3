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

/// Where the certificate is, for programs to trust: `curl --cacert`.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("tls/cert.pem")
}

/// The TLS configuration, made from the certificate in `data/tls`, which is made first, for `names`, if it is not there.
pub(crate) fn open(data: &Path, names: impl IntoIterator<Item = String>) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let key_path = data.join("tls/key.pem");
    if !path(data).exists() || !key_path.exists() {
        make(data, &key_path, names).context("the certificate could not be made")?;
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

fn make(data: &Path, key_path: &Path, own: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
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
    fs::create_dir_all(data.join("tls"))?;
    write_new(key_path, key.serialize_pem().as_bytes(), 0o600)?;
    write_new(&path(data), certificate.pem().as_bytes(), 0o644)?;
    Ok(())
}

/// Written whole or not at all: under a temporary name, synced, renamed.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
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
    fn a_damaged_certificate_is_an_error_and_not_replaced() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), []).unwrap();
        fs::write(path(folder.path()), "not a certificate").unwrap();
        assert!(open(folder.path(), []).is_err());
        assert_eq!(fs::read_to_string(path(folder.path())).unwrap(), "not a certificate");
    }
}
