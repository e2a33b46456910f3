//! Changing the owner's password.

use super::password::{self, PasswordError};
use super::sessions;
use crate::node::Node;

/// Replaces the owner's password and ends every session, of browsers and of mail programs, because
/// the old password may have been stolen. App passwords stay valid.
///
/// # Errors
/// When the password is not allowed or the store refuses.
pub async fn set_password(node: &Node, password: &str) -> Result<(), PasswordError> {
    let row = password::hashed(node, password).await?;
    node.store
        .commit(move |tx| {
            password::put(tx, &row)?;
            sessions::end_all(tx)
        })
        .await
        .map_err(PasswordError::Store)?;
    sessions::end_unstored(node);
    Ok(())
}
