//! The mnemonic's backup key, as a node keeps it: the vault and the backups are wrapped to this
//! key, so that the mnemonic alone opens a copied data folder.

use super::{BACKUP_ROW, SELF};
use crate::random::Random;
use crate::row::Rows;
use crate::store::{Store, StoreError};
use crate::vault::{Vault, VaultError};

/// Why the vault was not wrapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WrapError {
    /// The vault could not be written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The public half (X25519) of the mnemonic's backup key; `None` until the node is claimed.
pub(crate) fn backup_key_of(rows: &impl Rows) -> Result<Option<[u8; 32]>, StoreError> {
    Ok(rows.row(SELF, BACKUP_ROW)?.and_then(|row| row.value.try_into().ok()))
}

/// Wraps the vault to the backup key, if it is not wrapped to it already. The row is committed with
/// the claim and the vault is written after it: if the power fails in between, the next start wraps
/// the vault. Blocks on the disk.
pub(crate) fn wrap_vault(store: &Store, vault: &Vault, random: &Random) -> Result<(), WrapError> {
    match backup_key_of(store)? {
        Some(backup_key) => Ok(vault.wrap_to_backup_key(&backup_key, random)?),
        None => Ok(()),
    }
}
