//! The words' backup key, as a node keeps it: its vault and its backups are wrapped to this key, so
//! that the words alone open a copied data folder.

use super::{BACKUP_ROW, ClaimError, SELF};
use crate::node::Node;
use crate::random::Random;
use crate::store::{Store, StoreError};
use crate::vault::Vault;

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
    crate::blocking::blocking(wrap)
        .await
        .map_err(|error| StoreError::Unavailable(error.to_string()))?
}
