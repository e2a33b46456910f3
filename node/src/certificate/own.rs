//! Making the node's self-signed certificate, and making it again.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use freehold_core::clock::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};

use super::{files, key_path, path};

/// The names of every node on its own machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The validity of a certificate, in days. Apple's systems refuse one of more than 825 days, also
/// one that their user trusts.
pub(super) const VALID_DAYS: u64 = 820;
/// A certificate is made again when it expires within so many days.
pub(super) const RENEWAL_DAYS: i64 = 60;
/// A clock that is a little behind must not refuse a new certificate.
const BACKDATED_DAYS: u64 = 1;
const DAY_SECS: u64 = 24 * 60 * 60;

/// The copies of the certificates that were made here.
pub(super) fn made_path(data: &Path) -> std::path::PathBuf {
    data.join("tls/made")
}

/// Whether the certificate in use was made here.
pub(super) fn is_in_use(data: &Path) -> anyhow::Result<bool> {
    let made = files::read_file(&made_path(data)).unwrap_or_default();
    let used = files::read_file(&path(data))?;
    Ok(!used.is_empty() && made.windows(used.len()).any(|part| part == used))
}

/// Writes key and certificate into a new folder and renames the folder, so that both appear at
/// once: one without the other would be taken for the owner's.
pub(super) fn make_first(data: &Path, now: Timestamp) -> anyhow::Result<()> {
    let (folder, new) = (data.join("tls"), data.join("tls.new"));
    if new.try_exists()? {
        fs::remove_dir_all(&new)?;
    }
    // The copies of certificates that were moved away have no use.
    if made_path(data).try_exists()? {
        fs::remove_file(made_path(data))?;
    }
    fs::DirBuilder::new().mode(0o700).create(&new)?;
    let key = KeyPair::generate()?;
    let certificate = sign(&key, Vec::new(), now)?;
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
pub(super) fn make_again(data: &Path, names: Vec<String>, now: Timestamp) -> anyhow::Result<()> {
    let key = KeyPair::from_pem(&fs::read_to_string(key_path(data))?)?;
    let certificate = sign(&key, names, now)?;
    // `made` is written first: a certificate without a copy in it would be taken for the owner's.
    let known = fs::read_to_string(path(data))? + &certificate;
    replace(&made_path(data), known.as_bytes())?;
    replace(&path(data), certificate.as_bytes())
}

pub(super) fn sign(key: &KeyPair, own: Vec<String>, now: Timestamp) -> anyhow::Result<String> {
    let mut names: Vec<String> = LOCAL.map(str::to_owned).to_vec();
    for name in own {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // The first of the owner's names, if there is one.
    let common = names.get(LOCAL.len()).or(names.first()).cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names)?;
    let from = now.as_secs().saturating_sub(BACKDATED_DAYS * DAY_SECS);
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(from);
    params.not_after = params.not_before + Duration::from_secs(VALID_DAYS * DAY_SECS);
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
