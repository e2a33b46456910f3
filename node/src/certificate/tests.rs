//! The owner's certificate and the node's own: reading, renewal, warnings.

use std::fs;
use std::io::Write;

use freehold_core::clock::Timestamp;
use rcgen::KeyPair;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use tempfile::TempDir;

use super::*;

/// 1 January 2026.
const START: Timestamp = Timestamp(1_767_225_600_000);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn open(folder: &TempDir) -> anyhow::Result<Certificate> {
    Certificate::open(folder.path(), Clock::manual(START))
}

/// A certificate and key that were not made by the node, for these names, and its PEM.
fn foreign(own: &[&str], from: Timestamp) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (own::sign(&key, names(own), from).unwrap(), key.serialize_pem())
}

/// A folder with these files in `tls`.
fn folder_with(certificate: &[u8], key: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tls")).unwrap();
    fs::write(path(folder.path()), certificate).unwrap();
    fs::write(key_path(folder.path()), key).unwrap();
    folder
}

fn refused(folder: &TempDir, code: u8, token: &str) {
    let error = open(folder).err().unwrap();
    let message = exit::message(&error);
    assert_eq!(exit::code(&error), code, "{message}");
    let file = folder.path().join("tls").join(token);
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    assert!(!message.contains('[') && !message.contains("Error"), "{message}");
}

#[test]
fn unusable_certificate_file_is_named() {
    let (certificate, key) = foreign(&[], START);
    let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let no_certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for content in [
        b"",
        &b" \n"[..],
        &half(certificate),
        &[certificate, &half(certificate)].concat(),
        b"not a certificate",
        b"\x30\x82\xff\xfe",
        no_certificate,
        key,
    ] {
        refused(&folder_with(content, key), exit::DATA, "cert.pem");
    }
    let encrypted =
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let no_key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for content in [b"", &half(key)[..], b"\x00\xff", certificate, encrypted, old, no_key] {
        refused(&folder_with(certificate, content), exit::DATA, "key.pem");
    }
    let other = foreign(&[], START);
    refused(&folder_with(certificate, other.1.as_bytes()), exit::DATA, "key.pem");
}

#[test]
fn encrypted_key_is_named_as_such() {
    let (certificate, _) = foreign(&[], START);
    let key = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let error = open(&folder_with(certificate.as_bytes(), key)).err().unwrap().to_string();
    assert!(error.contains("passphrase"), "{error}");
}

#[test]
fn dangling_link_and_folder_are_refused_by_name() {
    let (certificate, key) = foreign(&[], START);
    for name in ["cert.pem", "key.pem"] {
        let folder = folder_with(certificate.as_bytes(), key.as_bytes());
        let file = folder.path().join("tls").join(name);
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/nowhere/live.pem", &file).unwrap();
        refused(&folder, exit::NO_INPUT, name);
        let error = open(&folder).err().unwrap().to_string();
        assert!(error.contains("/nowhere/live.pem"), "{error}");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        refused(&folder, exit::NO_INPUT, name);
    }
    // Two dangling links are not a folder without a certificate.
    let folder = folder_with(b"", b"");
    for name in ["cert.pem", "key.pem"] {
        let file = folder.path().join("tls").join(name);
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/nowhere/live.pem", &file).unwrap();
    }
    refused(&folder, exit::NO_INPUT, "cert.pem");
}

#[test]
fn chain_in_any_order_begins_with_the_leaf() {
    let (leaf, key) = foreign(&["leaf.example"], START);
    let (issuer, root) = (foreign(&["issuer.example"], START).0, foreign(&[], START).0);
    let certificates = |certificate: &Certificate| certificate.current().cert.clone();
    let folder = folder_with(format!("{leaf}{issuer}{root}").as_bytes(), key.as_bytes());
    let ordered = certificates(&open(&folder).unwrap());
    for chain in [format!("{issuer}{leaf}{root}"), format!("{issuer}{root}{leaf}")] {
        let mut file = fs::File::create(path(folder.path())).unwrap();
        file.write_all(chain.as_bytes()).unwrap();
        assert_eq!(certificates(&open(&folder).unwrap()), ordered);
    }
}

#[test]
fn expired_early_or_foreign_certificate_is_warned_of() {
    let at = |days: u64| Timestamp(START.0 + days * DAY_MS);
    let warnings = |made: Timestamp, own: &[&str], asked: &[&str]| {
        let (certificate, key) = foreign(own, made);
        let folder = folder_with(certificate.as_bytes(), key.as_bytes());
        open(&folder).unwrap().warnings(&names(asked))
    };
    let ours = ["ruth.example"];
    assert_eq!(warnings(START, &ours, &ours), Vec::<String>::new());
    assert_eq!(warnings(START, &ours, &["*.ruth.example", "m\u{fc}ller.example"]).len(), 0);
    let lacks = warnings(START, &ours, &["mail.ruth.example", "ruth.example"]);
    assert!(lacks.len() == 1 && lacks[0].contains("name mail.ruth.example;"), "{lacks:?}");
    let early = warnings(at(30), &ours, &ours);
    assert!(early.len() == 1 && early[0].contains("not valid before"), "{early:?}");
    let valid_ms = own::VALID_DAYS * DAY_MS;
    let made_so_that_left = |days: u64| Timestamp(START.0 + (days + 1) * DAY_MS - valid_ms);
    let expired = warnings(Timestamp(START.0 - valid_ms), &ours, &ours);
    assert!(expired.len() == 1 && expired[0].contains("expired on"), "{expired:?}");
    let soon = warnings(made_so_that_left(13), &ours, &ours);
    assert!(soon.len() == 1 && soon[0].contains("expires on"), "{soon:?}");
    assert_eq!(warnings(made_so_that_left(15), &ours, &ours).len(), 0);
}

#[test]
fn own_certificate_is_renewed_before_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let certificate = Certificate::open(folder.path(), clock.clone()).unwrap();
    let days_left = |certificate: &Certificate| {
        inspect::days_left(certificate.current().end_entity_cert().unwrap(), clock.now()).unwrap()
    };
    assert!((800..=825).contains(&days_left(&certificate)), "Apple's limit is 825 days");
    certificate.cover(names(&[])).unwrap();
    let first = fs::read(path(folder.path())).unwrap();
    clock.advance(750 * DAY_MS);
    certificate.cover(names(&[])).unwrap();
    assert_eq!(fs::read(path(folder.path())).unwrap(), first, "69 days are left");
    clock.advance(10 * DAY_MS);
    certificate.cover(names(&["ruth.example"])).unwrap();
    assert!(days_left(&certificate) >= 800);
    assert_eq!(valid_for(&certificate, &["ruth.example"]), ["ruth.example"]);
}

#[test]
fn certificate_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).unwrap();
    let first = fs::read(path(folder.path())).unwrap();
    open(&folder).unwrap();
    assert_eq!(first, fs::read(path(folder.path())).unwrap());
}

#[test]
fn certificate_without_key_is_refused_and_not_replaced() {
    for (kept, missing) in [("cert.pem", "key.pem"), ("key.pem", "cert.pem")] {
        let folder = tempfile::tempdir().unwrap();
        // A start that was cut off left these files.
        fs::create_dir(folder.path().join("tls.new")).unwrap();
        fs::write(folder.path().join("tls.new/key.pem"), "half").unwrap();
        open(&folder).unwrap();
        let tls = folder.path().join("tls");
        let before = fs::read(tls.join(kept)).unwrap();
        fs::remove_file(tls.join(missing)).unwrap();
        let error = open(&folder).err().unwrap().to_string();
        assert!(error.contains(kept) && error.contains(missing), "{error}");
        assert_eq!(fs::read(tls.join(kept)).unwrap(), before);
        assert!(!tls.join(missing).exists());
        fs::remove_file(tls.join(kept)).unwrap();
        open(&folder).unwrap();
    }
}

#[test]
fn damaged_certificate_is_refused_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).unwrap();
    fs::write(path(folder.path()), "not a certificate").unwrap();
    assert!(open(&folder).is_err());
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
    let certificate = open(&folder).unwrap();
    let (key, first) = (read("key.pem"), read("cert.pem"));
    assert_eq!(valid_for(&certificate, &every), ["localhost", "127.0.0.1", "::1"]);
    certificate.cover(names(&["ruth.example", "not a name", "m\u{fc}ller.example"])).unwrap();
    assert_eq!(valid_for(&certificate, &every), ["localhost", "127.0.0.1", "::1", "ruth.example"]);
    assert_eq!(read("key.pem"), key);
    let second = read("cert.pem");
    assert_ne!(second, first);
    // Names that it has, and fewer names than it has, change nothing.
    certificate.cover(names(&["ruth.example"])).unwrap();
    certificate.cover(names(&[])).unwrap();
    assert_eq!(read("cert.pem"), second);
    let again = open(&folder).unwrap();
    again.cover(names(&["mail.ruth.example"])).unwrap();
    assert_eq!(valid_for(&again, &every), ["localhost", "127.0.0.1", "::1", "mail.ruth.example"]);
}

#[test]
fn owners_certificate_is_never_remade() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder).unwrap();
    // The owner's certificate may use the key that was made here.
    let key = KeyPair::from_pem(&fs::read_to_string(key_path(folder.path())).unwrap()).unwrap();
    let own = own::sign(&key, names(&["elsewhere.example"]), START).unwrap();
    fs::write(path(folder.path()), &own).unwrap();
    open(&folder).unwrap().cover(names(&["ruth.example"])).unwrap();
    assert_eq!(fs::read_to_string(path(folder.path())).unwrap(), own);
}

#[test]
fn renewal_cut_off_between_two_files_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = open(&folder).unwrap();
    let first = fs::read(path(folder.path())).unwrap();
    certificate.cover(names(&["ruth.example"])).unwrap();
    // The new certificate's copy is written, the certificate is the old one, and a temporary
    // file is left.
    fs::write(path(folder.path()), first).unwrap();
    fs::write(folder.path().join("tls/cert.new"), "half").unwrap();
    let again = open(&folder).unwrap();
    again.cover(names(&["ruth.example"])).unwrap();
    assert_eq!(valid_for(&again, &["ruth.example"]), ["ruth.example"]);
}

#[test]
fn damaged_certificate_is_not_reloaded() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = open(&folder).unwrap();
    let before = certificate.current();
    fs::write(path(folder.path()), "not a certificate").unwrap();
    assert!(certificate.reload().is_err());
    assert!(Arc::ptr_eq(&before, &certificate.current()));
}

#[test]
fn empty_certificate_does_not_count_as_made_here() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = open(&folder).unwrap();
    fs::write(path(folder.path()), "").unwrap();
    certificate.cover(names(&["ruth.example"])).unwrap();
    assert_eq!(fs::read_to_string(path(folder.path())).unwrap(), "");
}

#[test]
fn pipe_in_place_of_the_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = open(&folder).unwrap();
    fs::remove_file(path(folder.path())).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path(folder.path())).status().unwrap();
    assert!(made.success());
    let error = format!("{:#}", certificate.reload().unwrap_err());
    assert!(error.contains("not a regular file"), "{error}");
}
