//! The words' backup key: what a node's vault and its backups are wrapped to, so that the words
//! alone open a copied data folder.
//!
//! A claim carries its public half, signed by the root key: whoever changed it on the way would be
//! able to open the vault.

use super::{BACKUP_ROW, ClaimError, IdentityLog, PersonId, SELF};
use crate::cbor::{CborError, Fields, MapWriter, Value};
use crate::domains;
use crate::keys::{PublicKey, Signature};
use crate::node::Node;
use crate::random::Random;
use crate::store::{Store, StoreError};
use crate::vault::Vault;
use crate::words::WordKeys;

/// The public half (X25519) of the words' backup key, signed by the words' root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackupKey {
    recipient: [u8; 32],
    signature: Signature,
}

impl BackupKey {
    pub(super) fn of(keys: &WordKeys, person: &PersonId) -> Self {
        let recipient =
            *x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*keys.backup))
                .as_bytes();
        Self {
            recipient,
            signature: keys.root.sign(domains::BACKUP_KEY, &signed(person, &recipient)),
        }
    }

    /// The key, if one of the person's root keys vouches for it.
    pub(super) fn verified(&self, log: &IdentityLog) -> Option<[u8; 32]> {
        let message = signed(&log.person(), &self.recipient);
        let vouches =
            |root: &PublicKey| root.verify(domains::BACKUP_KEY, &message, &self.signature).is_ok();
        log.state().roots.iter().any(vouches).then_some(self.recipient)
    }

    pub(super) fn to_value(&self) -> Value {
        MapWriter::new().bytes(0, &self.recipient).bytes(2, &self.signature.0).value()
    }

    pub(super) fn from_value(value: Value, key: u64) -> Result<Self, CborError> {
        let mut fields = Fields::of(value, key)?;
        let recipient = fields.array(0)?;
        let signature = Signature(fields.array(2)?);
        fields.finish()?;
        Ok(Self { recipient, signature })
    }
}

fn signed(person: &PersonId, recipient: &[u8; 32]) -> Vec<u8> {
    [person.0, *recipient].concat()
}

/// What backups are sealed to: the public half (X25519) of the words' backup key. `None` until the
/// node is claimed.
///
/// # Errors
/// When the store is unavailable.
pub fn backup_recipient(node: &Node) -> Result<Option<[u8; 32]>, StoreError> {
    stored(&node.store)
}

fn stored(store: &Store) -> Result<Option<[u8; 32]>, StoreError> {
    Ok(store.get(SELF, BACKUP_ROW)?.and_then(|row| row.value.try_into().ok()))
}

/// Lets the words open the vault too, if they don't already. The row is written with the claim, the
/// vault after it: where the power goes in between, the next start does this again. Waits for the
/// disk.
pub(super) fn wrap_vault(store: &Store, vault: &Vault, random: &Random) -> Result<(), ClaimError> {
    match stored(store)? {
        Some(recipient) => Ok(vault.wrap_to_backup_key(&recipient, random)?),
        None => Ok(()),
    }
}

/// [`wrap_vault`] for a node that runs.
pub(super) async fn rewrap(node: &Node) -> Result<(), ClaimError> {
    let node = node.clone();
    let wrap = move || wrap_vault(&node.store, node.identity.vault(), &node.random);
    tokio::task::spawn_blocking(wrap)
        .await
        .map_err(|error| StoreError::Unavailable(error.to_string()))?
}
