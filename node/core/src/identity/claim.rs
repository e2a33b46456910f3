//! Claiming a node: the node countersigns a claim that names it, and belongs to that person.

use super::op::{Role, sign as sign_op};
use super::transfer::{self, Claim, TransferError};
use super::{IdentityLog, IdentityLogError, PersonId};
use crate::blocking::try_blocking;
use crate::cbor::CborError;
use crate::events::Event;
use crate::mnemonic::Mnemonic;
use crate::node::{self, Node, WrapError};
use crate::store::{StoreError, Tx};
use crate::vault::VaultError;

/// Why a node was not claimed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClaimError {
    /// The node has a person already.
    #[error("this node already belongs to {0}")]
    AlreadyClaimed(PersonId),
    /// The claim names another node.
    #[error("this claim is for another node")]
    AnotherNode,
    /// The claim's identity log is not valid, even with this node's countersignature.
    #[error("the claim is not valid: {0}")]
    Log(#[from] IdentityLogError),
    /// The claim cannot be made or read.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The claim is over a limit once countersigned.
    #[error("the claim is not valid: {0}")]
    Content(#[from] CborError),
    /// No root key of the person has signed the claim's backup key.
    #[error("the claim was changed: its backup key is not the words' own")]
    BackupKey,
    /// The claim is stored; the vault could not be rewritten.
    #[error(
        "the node is yours now, but its vault can't be written, so that your words don't open it \
         yet (each start tries again): {0}"
    )]
    Vault(#[from] VaultError),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<WrapError> for ClaimError {
    fn from(error: WrapError) -> Self {
        match error {
            WrapError::Vault(error) => Self::Vault(error),
            WrapError::Store(error) => Self::Store(error),
        }
    }
}

/// Countersigns a claim that names this node and stores its person as the node's; the mnemonic then
/// opens the vault. Returns the person.
///
/// # Errors
/// When the node has a person already, or the claim is for another node, tampered with or not
/// valid.
pub async fn claim(node: &Node, claim: &Claim) -> Result<PersonId, ClaimError> {
    if let Some(person) = node.identity.person() {
        return Err(ClaimError::AlreadyClaimed(person));
    }
    if claim.node() != Some(&node.identity.card()) {
        return Err(ClaimError::AnotherNode);
    }
    let mut ops = claim.ops.clone();
    if let Some(last) = ops.pop() {
        let countersignature = sign_op(Role::Node, node.identity.secret_key(), last.op_bytes());
        ops.push(last.with_signature(countersignature)?);
    }
    let log = IdentityLog::from_ops(ops)?;
    let now = node.clock.now();
    let (person, backup_key) =
        (log.person(), claim.backup.verified(&log).ok_or(ClaimError::BackupKey)?);
    let write = move |tx: &mut Tx<'_>| {
        if let Some(person) = node::person_of(tx)? {
            return Err(ClaimError::AlreadyClaimed(person));
        }
        node::put_log(tx, &log, now)?;
        node::put_person(tx, &person, &backup_key)?;
        tx.after(Event::Identity);
        Ok(())
    };
    node.store.commit(write).await?;
    super::reload_own_log(node, &person, node.clock.now())?;
    wrap_vault(node).await?;
    Ok(person)
}

/// Wraps the vault to the stored backup key, on a thread that may block.
pub(crate) async fn wrap_vault(node: &Node) -> Result<(), ClaimError> {
    let node = node.clone();
    let wrap = move || node::wrap_vault(&node.store, node.identity.vault(), &node.random);
    Ok(try_blocking(wrap).await?)
}

/// Makes a mnemonic on this node, for convenience, and claims the node with it. The mnemonic is
/// returned once and stored nowhere; the operator of this machine could have read it.
///
/// # Errors
/// As [`claim`].
pub async fn create(node: &Node) -> Result<(Mnemonic, PersonId), ClaimError> {
    create_with(node, Mnemonic::generate(&node.random)).await
}

/// [`create`] with a given mnemonic.
///
/// # Errors
/// As [`claim`].
pub async fn create_with(
    node: &Node,
    mnemonic: Mnemonic,
) -> Result<(Mnemonic, PersonId), ClaimError> {
    let person = claim(node, &transfer::create_claim(&mnemonic, &node.identity.card())?).await?;
    Ok((mnemonic, person))
}
