use super::*;
use crate::fs::{Fault, MemoryFs, PowerCut};

const CHEAP: PassphraseCost = PassphraseCost { memory_kib: 8, passes: 1, lanes: 1 };

fn key_file() -> Unlock {
    Unlock::KeyFile("/key".into())
}

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Zeroizing::new(text.into()), CHEAP)
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
fn vault_opens_with_its_key() {
    let (fs, vault) = created(&key_file());
    assert_eq!(secrets(&open(&fs, &key_file()).unwrap()), secrets(&vault));
    let all = secrets(&vault);
    assert!((0..4).all(|n| (0..n).all(|m| all[n] != all[m])), "all keys differ");
}

#[test]
fn existing_vault_is_never_overwritten() {
    let (fs, _) = created(&key_file());
    let second =
        Vault::create(Arc::new(fs.clone()), Path::new("/"), &key_file(), &Random::seeded(6));
    assert_eq!(second.unwrap_err(), VaultError::Exists("/".into()));
    fs.remove(Path::new("/vault-1")).unwrap();
    let second = Vault::create(Arc::new(fs), Path::new("/"), &key_file(), &Random::seeded(6));
    assert_eq!(second.unwrap_err(), VaultError::Exists("/".into()));
}

#[test]
fn damaged_vault_copy_is_repaired_from_the_other() {
    let (fs, vault) = created(&key_file());
    let intact = bytes(&fs, "/vault-1");
    for name in ["/vault-1", "/vault-2"] {
        for at in 0..intact.len() {
            fs.damage(Path::new(name), at as u64, 1 << (at % 8)).unwrap();
            assert_eq!(
                secrets(&open(&fs, &key_file()).unwrap()),
                secrets(&vault),
                "byte {at} of {name}"
            );
            assert_eq!(bytes(&fs, name), intact);
        }
        for len in 0..intact.len() {
            put(&fs, name, &intact[..len]);
            assert!(open(&fs, &key_file()).is_ok());
            assert_eq!(bytes(&fs, name), intact);
        }
        fs.remove(Path::new(name)).unwrap();
        assert!(open(&fs, &key_file()).is_ok());
        assert_eq!(bytes(&fs, name), intact);
    }
}

#[test]
fn two_damaged_vault_copies_are_refused_and_not_rewritten() {
    let (fs, _) = created(&key_file());
    fs.damage(Path::new("/vault-1"), 40, 1).unwrap();
    fs.damage(Path::new("/vault-2"), 90, 1).unwrap();
    let before = bytes(&fs, "/vault-1");
    assert_eq!(open(&fs, &key_file()).unwrap_err(), VaultError::Damaged);
    assert_eq!(bytes(&fs, "/vault-1"), before);
}

#[test]
fn vault_does_not_open_by_another_key() {
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
fn key_file_opens_the_vault_as_a_credential() {
    let (fs, vault) = created(&key_file());
    fs.rename(Path::new("/key"), Path::new("/credential")).unwrap();
    let opened = open(&fs, &Unlock::Credential("/credential".into())).unwrap();
    assert_eq!(secrets(&opened), secrets(&vault));
}

#[test]
fn old_passphrase_opens_only_old_vault_copies() {
    let (fs, vault) = created(&passphrase("first"));
    assert_eq!(open(&fs, &passphrase("fist")).unwrap_err(), VaultError::WrongKey);
    let old = bytes(&fs, "/vault-1");
    vault.change_unlock(&passphrase("second"), &Random::seeded(8)).unwrap();
    assert_eq!(open(&fs, &passphrase("first")).unwrap_err(), VaultError::WrongKey);
    assert_eq!(secrets(&open(&fs, &passphrase("second")).unwrap()), secrets(&vault));
    // One copy from before the change is older and not used.
    put(&fs, "/vault-1", &old);
    assert_eq!(open(&fs, &passphrase("first")).unwrap_err(), VaultError::WrongKey);
    assert!(open(&fs, &passphrase("second")).is_ok());
    put(&fs, "/vault-1", &old);
    put(&fs, "/vault-2", &old);
    assert!(open(&fs, &passphrase("first")).is_ok());
}

#[test]
fn backup_key_opens_the_vault() {
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
fn secrets_are_neither_in_vault_file_nor_debug_output() {
    let (fs, vault) = created(&passphrase("open sesame"));
    let file = bytes(&fs, "/vault-1");
    for secret in &secrets(&vault)[..4] {
        assert!(!file.windows(32).any(|part| part == secret));
    }
    assert!(!format!("{vault:?} {:?}", passphrase("open sesame")).contains("sesame"));
}

/// Every call fails once, in each way. After each failure the next start finds a vault with the
/// right keys, or none and can create one.
#[test]
fn failed_call_leaves_a_vault_or_none() {
    for fault in [Fault::Io, Fault::Full, Fault::Short, Fault::Power] {
        for n in 1.. {
            let fs = MemoryFs::new();
            fs.fail_at(n, fault);
            let created = Vault::create(
                Arc::new(fs.clone()),
                Path::new("/"),
                &key_file(),
                &Random::seeded(n),
            );
            if let Ok(vault) = &created {
                vault.change_unlock(&passphrase("x"), &Random::seeded(3)).err();
            }
            let fault_not_reached = fs.calls() < n;
            fs.heal();
            let remaining = match fault {
                Fault::Power => {
                    let cuts = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];
                    cuts.into_iter()
                        .flat_map(|cut| (0..4).map(move |seed| (cut, seed)))
                        .map(|(cut, seed)| fs.power_cut(cut, seed))
                        .collect()
                }
                _ => vec![fs],
            };
            for fs in remaining {
                opens_or_can_be_created(&fs, created.as_ref().ok());
            }
            if fault_not_reached {
                break;
            }
        }
    }
}

fn opens_or_can_be_created(fs: &MemoryFs, created: Option<&Vault>) {
    match (created, Vault::exists(fs, Path::new("/")).unwrap()) {
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

/// The format cannot change: this vault was written by the first version and must always open, by
/// each of its three secrets.
#[test]
fn vault_of_the_first_version_opens() {
    let fs = MemoryFs::new();
    let file = data_encoding::HEXLOWER.decode(include_bytes!("vault-1.hex").trim_ascii()).unwrap();
    put(&fs, "/vault-1", &file);
    put(&fs, "/vault-2", &file);
    put(&fs, "/key", include_bytes!("key-1.txt"));
    let by_passphrase = open(&fs, &passphrase("correct horse battery staple")).unwrap();
    let by_backup_key = open(&fs, &Unlock::BackupKey(Zeroizing::new([0x42; 32]))).unwrap();
    let by_key = open(&fs, &key_file()).unwrap();
    let store = data_encoding::HEXLOWER.encode(&**by_key.keys().store());
    assert_eq!(store, "6a9fa8817078c1bcf963829a2fa80cee9dce73ad91641230916fab542ba5ecc5");
    assert_eq!(secrets(&by_key), secrets(&by_passphrase));
    assert_eq!(secrets(&by_key), secrets(&by_backup_key));
}
