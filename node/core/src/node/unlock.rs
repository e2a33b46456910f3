//! Recovery of a data folder whose key file is lost: the mnemonic opens its vault, and a new key
//! file is made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::NodeOpenError;
use super::open::key_file;
use crate::fs::{Fs, OsFs};
use crate::mnemonic::Mnemonic;
use crate::random::Random;
use crate::store::FolderLock;
use crate::vault::{Unlock, Vault, VaultError};

/// Opens the vault in `data` with the mnemonic, makes a key file that opens it from now on, and
/// returns its path. The earlier key file, lost or stolen, no longer opens the vault. Blocks.
///
/// # Errors
/// When there is a key file, the folder is in use, the vault is damaged, or it was wrapped to
/// another mnemonic.
pub fn new_key_file(data: &Path, mnemonic: &Mnemonic) -> Result<PathBuf, NodeOpenError> {
    let fs = Arc::new(OsFs);
    if !Vault::exists(&*fs, data)? {
        return Err(VaultError::Missing(data.to_owned()).into());
    }
    let path = key_file(data);
    if fs.exists(&path).map_err(VaultError::from)? {
        return Err(VaultError::KeyExists(path).into());
    }
    let _claim = FolderLock::acquire(&*fs, data)?;
    let vault = Vault::open(fs, data, &Unlock::BackupKey(mnemonic.keys().backup))?;
    let random = Random::from_os().map_err(|_| NodeOpenError::NoRandomness)?;
    vault.change_unlock(&Unlock::KeyFile(path.clone()), &random)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity;
    use crate::node::{Node, NodeOptions};
    use crate::space::Margins;
    use crate::store::Table;

    const T: Table = Table::new("test");

    fn options(data: &Path) -> NodeOptions {
        NodeOptions {
            unlock: Unlock::KeyFile(key_file(data)),
            margins: Margins::NONE,
            ..NodeOptions::new(data)
        }
    }

    async fn closed(node: Node) {
        crate::blocking::blocking(move || node.close()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn mnemonic_opens_a_data_folder_without_key_file() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let node = Node::open(options(&data)).unwrap();
        let (mnemonic, person) = identity::create(&node).await.unwrap();
        node.store.commit(|tx| tx.put(T, b"k", b"a message")).await.unwrap();
        let card = node.identity.card();
        assert!(matches!(
            new_key_file(&data, &mnemonic),
            Err(NodeOpenError::Vault(VaultError::KeyExists(_)))
        ));
        closed(node).await;

        let stolen = std::fs::read(key_file(&data)).unwrap();
        std::fs::remove_file(key_file(&data)).unwrap();
        assert!(matches!(
            Node::open(options(&data)),
            Err(NodeOpenError::Vault(VaultError::KeyMissing(_)))
        ));
        let other = Mnemonic::from_entropy([9; 32]);
        assert!(matches!(
            new_key_file(&data, &other),
            Err(NodeOpenError::Vault(VaultError::WrongKey))
        ));
        assert!(!key_file(&data).exists(), "a wrong mnemonic creates no key file");

        new_key_file(&data, &mnemonic).unwrap();
        let node = Node::open(options(&data)).unwrap();
        assert_eq!(node.store.get(T, b"k").unwrap().unwrap().value, b"a message");
        assert_eq!((node.identity.person(), node.identity.card()), (Some(person), card));
        assert!(matches!(
            new_key_file(&data, &mnemonic),
            Err(NodeOpenError::Vault(VaultError::KeyExists(_)))
        ));
        closed(node).await;
        // The lost key no longer opens the vault; the mnemonic still does.
        std::fs::write(key_file(&data), stolen).unwrap();
        assert!(matches!(
            Node::open(options(&data)),
            Err(NodeOpenError::Vault(VaultError::WrongKey))
        ));
        std::fs::remove_file(key_file(&data)).unwrap();
        assert!(new_key_file(&data, &mnemonic).is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn unwrapped_vault_is_wrapped_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let node = Node::open(options(&data)).unwrap();
        let before =
            ["vault-1", "vault-2"].map(|name| (name, std::fs::read(data.join(name)).unwrap()));
        let (mnemonic, _) = identity::create(&node).await.unwrap();
        closed(node).await;
        // The state after a power cut between the commit of the claim and the write of the vault.
        for (name, bytes) in before {
            std::fs::write(data.join(name), bytes).unwrap();
        }
        let with_mnemonic =
            || Vault::open(Arc::new(OsFs), &data, &Unlock::BackupKey(mnemonic.keys().backup));
        assert_eq!(with_mnemonic().err(), Some(VaultError::WrongKey));
        closed(Node::open(options(&data)).unwrap()).await;
        let vault = with_mnemonic().unwrap();
        assert_eq!(
            vault.keys().node().sign.public(),
            Node::open(options(&data)).unwrap().identity.node_key()
        );
    }
}
