//! A copied data folder whose key file is lost: the 24 words open its vault and give it another key
//! file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::NodeOpenError;
use super::open::key_file;
use crate::fs::{Fs, OsFs};
use crate::mnemonic::Mnemonic;
use crate::random::Random;
use crate::store::Claim;
use crate::vault::{Unlock, Vault, VaultError};

/// Opens the vault in `data` with the words and makes a key file that opens it from now on; what
/// opened it before (a key that was lost or stolen) opens it no more. Gives the key file's path.
/// Blocks.
///
/// # Errors
/// When a key file is there, the folder is in use, the vault is damaged, or the words are not those
/// it was wrapped to.
pub fn new_key_file(data: &Path, words: &Mnemonic) -> Result<PathBuf, NodeOpenError> {
    let fs = Arc::new(OsFs);
    if !Vault::exists(&*fs, data)? {
        return Err(VaultError::Missing(data.to_owned()).into());
    }
    let path = key_file(data);
    if fs.exists(&path).map_err(VaultError::from)? {
        return Err(VaultError::KeyThere(path).into());
    }
    let _claim = Claim::take(&*fs, data)?;
    let vault = Vault::open(fs, data, &Unlock::BackupKey(words.keys().backup))?;
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
            margins: Margins { watermark: 0, reserve: 0 },
            ..NodeOptions::new(data)
        }
    }

    async fn closed(node: Node) {
        crate::blocking::blocking(move || node.close()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_words_alone_open_a_data_folder_that_lost_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let node = Node::open(options(&data)).unwrap();
        let (words, person) = identity::create(&node).await.unwrap();
        node.store.commit(|tx| tx.put(T, b"k", b"a letter")).await.unwrap();
        let card = node.identity.card();
        assert!(matches!(
            new_key_file(&data, &words),
            Err(NodeOpenError::Vault(VaultError::KeyThere(_)))
        ));
        closed(node).await;

        let stolen = std::fs::read(key_file(&data)).unwrap();
        std::fs::remove_file(key_file(&data)).unwrap();
        assert!(matches!(
            Node::open(options(&data)),
            Err(NodeOpenError::Vault(VaultError::NoKey(_)))
        ));
        let others = Mnemonic::from_entropy([9; 32]);
        assert!(matches!(
            new_key_file(&data, &others),
            Err(NodeOpenError::Vault(VaultError::WrongKey))
        ));
        assert!(!key_file(&data).exists(), "words that open nothing make nothing");

        new_key_file(&data, &words).unwrap();
        let node = Node::open(options(&data)).unwrap();
        assert_eq!(node.store.get(T, b"k").unwrap().unwrap().value, b"a letter");
        assert_eq!((node.identity.person(), node.identity.card()), (Some(person), card));
        assert!(matches!(
            new_key_file(&data, &words),
            Err(NodeOpenError::Vault(VaultError::KeyThere(_)))
        ));
        closed(node).await;
        // The key that was lost opens nothing any more; the words still do.
        std::fs::write(key_file(&data), stolen).unwrap();
        assert!(matches!(
            Node::open(options(&data)),
            Err(NodeOpenError::Vault(VaultError::WrongKey))
        ));
        std::fs::remove_file(key_file(&data)).unwrap();
        assert!(new_key_file(&data, &words).is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_vault_that_could_not_be_written_at_the_claim_is_wrapped_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let node = Node::open(options(&data)).unwrap();
        let before =
            ["vault-1", "vault-2"].map(|name| (name, std::fs::read(data.join(name)).unwrap()));
        let (words, _) = identity::create(&node).await.unwrap();
        closed(node).await;
        // As a power cut between the claim's commit and the vault would leave it.
        for (name, bytes) in before {
            std::fs::write(data.join(name), bytes).unwrap();
        }
        let by_words =
            || Vault::open(Arc::new(OsFs), &data, &Unlock::BackupKey(words.keys().backup));
        assert_eq!(by_words().err(), Some(VaultError::WrongKey));
        closed(Node::open(options(&data)).unwrap()).await;
        let vault = by_words().unwrap();
        assert_eq!(
            vault.keys().node().sign.public(),
            Node::open(options(&data)).unwrap().identity.node_key()
        );
    }
}
