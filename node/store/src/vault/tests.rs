use super::*;
use crate::fs::{Fault, MemoryFs, PowerCut};

const CHEAP: PassphraseCost = PassphraseCost { memory_kib: 8, passes: 1, lanes: 1 };

fn key_file() -> Unlock {
    Unlock::KeyFile("/key".into())
}

fn passphrase(words: &str) -> Unlock {
    Unlock::Passphrase(Zeroizing::new(words.into()), CHEAP)
}

fn created(unlock: &Unlock) -> (MemoryFs, Vault) {
    let fs = MemoryFs::new();
    let vault =
        Vault::create(Arc::new(fs.clone()), Path::new("/"), unlock, &Random::seeded(5)).unwrap();
    (fs, vault)
}

fn open(fs: &MemoryFs, unlock: &Unlock) -> Result<Vault, VaultError> {
    Vault::open(Arc::new(fs.clone()), Path::new("/"), unlock)
}

fn secrets(vault: &Vault) -> [Vec<u8>; 5] {
    let keys = vault.keys();
    let log_id = keys.log_id().to_vec();
    [
        keys.store().to_vec(),
        keys.node().sign.to_bytes().to_vec(),
        keys.node().kem.to_bytes().to_vec(),
        keys.blob_name().to_vec(),
        log_id,
    ]
}

fn bytes(fs: &MemoryFs, path: &str) -> Vec<u8> {
    crate::fs::read(fs, Path::new(path), 1 << 20).unwrap()
}

fn put(fs: &MemoryFs, path: &str, bytes: &[u8]) {
    crate::fs::replace(fs, Path::new(path), bytes).unwrap();
}

#[test]
fn a_vault_opens_with_the_key_it_was_made_with() {
    let (fs, vault) = created(&key_file());
    assert_eq!(secrets(&open(&fs, &key_file()).unwrap()), secrets(&vault));
    let all = secrets(&vault);
    assert!((0..4).all(|n| (0..n).all(|m| all[n] != all[m])), "each key is its own");
}

#[test]
fn there_is_never_a_second_vault_over_the_first() {
    let (fs, _) = created(&key_file());
    let again =
        Vault::create(Arc::new(fs.clone()), Path::new("/"), &key_file(), &Random::seeded(6));
    assert_eq!(again.unwrap_err(), VaultError::Exists("/".into()));
    fs.remove(Path::new("/vault-1")).unwrap();
    let again = Vault::create(Arc::new(fs), Path::new("/"), &key_file(), &Random::seeded(6));
    assert_eq!(again.unwrap_err(), VaultError::Exists("/".into()));
}

#[test]
fn every_flipped_bit_in_one_copy_is_repaired_from_the_other() {
    let (fs, vault) = created(&key_file());
    let whole = bytes(&fs, "/vault-1");
    for name in ["/vault-1", "/vault-2"] {
        for at in 0..whole.len() {
            fs.damage(Path::new(name), at as u64, 1 << (at % 8)).unwrap();
            assert_eq!(
                secrets(&open(&fs, &key_file()).unwrap()),
                secrets(&vault),
                "byte {at} of {name}"
            );
            assert_eq!(bytes(&fs, name), whole);
        }
        for len in 0..whole.len() {
            put(&fs, name, &whole[..len]);
            assert!(open(&fs, &key_file()).is_ok());
            assert_eq!(bytes(&fs, name), whole);
        }
        fs.remove(Path::new(name)).unwrap();
        assert!(open(&fs, &key_file()).is_ok());
        assert_eq!(bytes(&fs, name), whole);
    }
}

#[test]
fn two_damaged_copies_are_an_error_and_stay_as_they_are() {
    let (fs, _) = created(&key_file());
    fs.damage(Path::new("/vault-1"), 40, 1).unwrap();
    fs.damage(Path::new("/vault-2"), 90, 1).unwrap();
    let before = bytes(&fs, "/vault-1");
    assert_eq!(open(&fs, &key_file()).unwrap_err(), VaultError::Damaged);
    assert_eq!(bytes(&fs, "/vault-1"), before);
}

#[test]
fn without_its_key_a_vault_stays_shut() {
    let (fs, _) = created(&key_file());
    let other = Unlock::KeyFile("/other".into());
    assert_eq!(open(&fs, &other).unwrap_err(), VaultError::KeyMissing("/other".into()));
    wrap::create_key_file(&fs, Path::new("/other"), &Random::seeded(9)).unwrap();
    assert_eq!(open(&fs, &other).unwrap_err(), VaultError::WrongKey);
    assert_eq!(open(&fs, &passphrase("open sesame")).unwrap_err(), VaultError::WrongKey);
    fs.damage(Path::new("/key"), 20, 1).unwrap();
    assert_eq!(open(&fs, &key_file()).unwrap_err(), VaultError::KeyDamaged("/key".into()));
    put(&fs, "/key", b"");
    assert_eq!(open(&fs, &key_file()).unwrap_err(), VaultError::KeyDamaged("/key".into()));
    assert_eq!(open(&MemoryFs::new(), &key_file()).unwrap_err(), VaultError::Missing("/".into()));
}

#[test]
fn a_key_file_serves_as_a_credential() {
    let (fs, vault) = created(&key_file());
    fs.rename(Path::new("/key"), Path::new("/credential")).unwrap();
    let opened = open(&fs, &Unlock::Credential("/credential".into())).unwrap();
    assert_eq!(secrets(&opened), secrets(&vault));
}

#[test]
fn a_changed_passphrase_opens_the_same_keys_and_the_old_one_opens_only_old_copies() {
    let (fs, vault) = created(&passphrase("first"));
    assert_eq!(open(&fs, &passphrase("fist")).unwrap_err(), VaultError::WrongKey);
    let old = bytes(&fs, "/vault-1");
    vault.change_unlock(&passphrase("second"), &Random::seeded(8)).unwrap();
    assert_eq!(open(&fs, &passphrase("first")).unwrap_err(), VaultError::WrongKey);
    assert_eq!(secrets(&open(&fs, &passphrase("second")).unwrap()), secrets(&vault));
    // One copy from before the change is behind, not a way back in.
    put(&fs, "/vault-1", &old);
    assert_eq!(open(&fs, &passphrase("first")).unwrap_err(), VaultError::WrongKey);
    assert!(open(&fs, &passphrase("second")).is_ok());
    put(&fs, "/vault-1", &old);
    put(&fs, "/vault-2", &old);
    assert!(open(&fs, &passphrase("first")).is_ok());
}

#[test]
fn the_words_backup_key_opens_the_vault() {
    let (fs, vault) = created(&key_file());
    let secret: SecretKey = Zeroizing::new([3; 32]);
    let public = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*secret));
    assert_eq!(open(&fs, &Unlock::BackupKey(secret.clone())).unwrap_err(), VaultError::WrongKey);
    vault.wrap_to_backup_key(public.as_bytes(), &Random::seeded(1)).unwrap();
    vault.change_unlock(&passphrase("new"), &Random::seeded(1)).unwrap();
    assert_eq!(secrets(&open(&fs, &Unlock::BackupKey(secret)).unwrap()), secrets(&vault));
    assert_eq!(
        open(&fs, &Unlock::BackupKey(Zeroizing::new([4; 32]))).unwrap_err(),
        VaultError::WrongKey
    );
}

#[test]
fn no_secret_shows_in_the_file_or_in_debug_output() {
    let (fs, vault) = created(&passphrase("open sesame"));
    let file = bytes(&fs, "/vault-1");
    for secret in &secrets(&vault)[..4] {
        assert!(!file.windows(32).any(|part| part == secret));
    }
    assert!(!format!("{vault:?} {:?}", passphrase("open sesame")).contains("sesame"));
}

/// Every call fails once, in each way; whatever state that leaves, the next start has a vault with
/// the right keys.
#[test]
fn a_failure_at_any_moment_leaves_a_vault_or_none() {
    for fault in [Fault::Io, Fault::Full, Fault::Short, Fault::Power] {
        for n in 1.. {
            let fs = MemoryFs::new();
            fs.fail_at(n, fault);
            let made = Vault::create(
                Arc::new(fs.clone()),
                Path::new("/"),
                &key_file(),
                &Random::seeded(n),
            );
            if let Ok(vault) = &made {
                vault.change_unlock(&passphrase("x"), &Random::seeded(3)).err();
            }
            let unharmed = fs.calls() < n;
            fs.heal();
            let left = match fault {
                Fault::Power => {
                    let cuts = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];
                    cuts.into_iter()
                        .flat_map(|cut| (0..4).map(move |seed| (cut, seed)))
                        .map(|(cut, seed)| fs.power_cut(cut, seed))
                        .collect()
                }
                _ => vec![fs],
            };
            for fs in left {
                opens_or_can_be_made(&fs, made.as_ref().ok());
            }
            if unharmed {
                break;
            }
        }
    }
}

fn opens_or_can_be_made(fs: &MemoryFs, made: Option<&Vault>) {
    match (made, Vault::exists(fs, Path::new("/")).unwrap()) {
        (Some(vault), _) => {
            let opened = open(fs, &key_file()).or_else(|_| open(fs, &passphrase("x"))).unwrap();
            assert_eq!(secrets(&opened), secrets(vault));
        }
        (None, true) => assert!(open(fs, &key_file()).is_ok()),
        (None, false) => {
            Vault::create(Arc::new(fs.clone()), Path::new("/"), &key_file(), &Random::seeded(1))
                .unwrap();
        }
    }
}

/// The format can't change: this vault, written once, must open for ever, by each of its three
/// openers.
#[test]
fn a_vault_written_by_the_first_version_opens() {
    let fs = MemoryFs::new();
    let file = data_encoding::HEXLOWER.decode(include_bytes!("vault-1.hex").trim_ascii()).unwrap();
    put(&fs, "/vault-1", &file);
    put(&fs, "/vault-2", &file);
    put(&fs, "/key", include_bytes!("key-1.txt"));
    let by_passphrase = open(&fs, &passphrase("correct horse battery staple")).unwrap();
    let by_words = open(&fs, &Unlock::BackupKey(Zeroizing::new([0x42; 32]))).unwrap();
    let by_key = open(&fs, &key_file()).unwrap();
    let store = data_encoding::HEXLOWER.encode(&**by_key.keys().store());
    assert_eq!(store, "6a9fa8817078c1bcf963829a2fa80cee9dce73ad91641230916fab542ba5ecc5");
    assert_eq!(secrets(&by_key), secrets(&by_passphrase));
    assert_eq!(secrets(&by_key), secrets(&by_words));
}
