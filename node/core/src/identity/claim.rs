//! A node becomes somebody's: it countersigns a claim that names it.

use super::op::{Role, sign as sign_op};
use super::transfer::{self, Claim, TransferError};
use super::{
    BACKUP_ROW, IdentityLog, IdentityLogError, PERSON_ROW, PersonId, SELF, backup_key, put_log,
};
use crate::cbor::CborError;
use crate::events::Event;
use crate::mnemonic::Mnemonic;
use crate::node::Node;
use crate::store::StoreError;
use crate::vault::VaultError;

/// Why a node did not become somebody's.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClaimError {
    /// The node has a person already.
    #[error("this node already belongs to {0}")]
    AlreadyClaimed(PersonId),
    /// The claim names another node.
    #[error("this claim is for another node")]
    AnotherNode,
    /// The claim's log is not valid, even with this node's countersignature.
    #[error("the claim is not valid: {0}")]
    Log(#[from] IdentityLogError),
    /// The claim cannot be made or read.
    #[error(transparent)]
    Paper(#[from] TransferError),
    /// The claim is over a limit once countersigned.
    #[error("the claim is not valid: {0}")]
    Content(#[from] CborError),
    /// No root key of the person vouches for the claim's backup key.
    #[error("the claim was changed: its backup key is not the words' own")]
    BackupKey,
    /// The claim holds; the vault could not be rewritten.
    #[error(
        "the node is yours now, but its vault can't be written, so that your words don't open it yet (each start tries again): {0}"
    )]
    Vault(#[from] VaultError),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Countersigns a claim that names this node and makes the node that person's: the words open its
/// vault from then on. Gives the person.
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
        let countersignature = sign_op(Role::Node, &node.identity.0.keys.sign, last.op_bytes());
        ops.push(last.with_signature(countersignature)?);
    }
    let log = IdentityLog::from_ops(ops)?;
    let now = node.clock.now();
    let (person, backup) =
        (log.person(), claim.backup.verified(&log).ok_or(ClaimError::BackupKey)?);
    let write = move |tx: &mut crate::store::Tx<'_>| {
        if let Some(row) = tx.get(SELF, PERSON_ROW)? {
            let person = PersonId(crate::row::key_part(&row.value, 0));
            return Err(ClaimError::AlreadyClaimed(person));
        }
        put_log(tx, &log, now)?;
        tx.put(SELF, PERSON_ROW, &person.0)?;
        tx.put(SELF, BACKUP_ROW, &backup)?;
        tx.after(Event::Identity);
        Ok(())
    };
    node.store.commit(write).await?;
    node.identity.follow_store(&node.store, &person, node.clock.now())?;
    backup_key::rewrap(node).await?;
    Ok(person)
}

/// Makes words on this node, for convenience, and claims the node with them. They are given back
/// once and stored nowhere; whoever runs this machine could have seen them.
///
/// # Errors
/// As [`claim`].
pub async fn create(node: &Node) -> Result<(Mnemonic, PersonId), ClaimError> {
    create_with(node, Mnemonic::generate(&node.random)).await
}

/// [`create`] with given words.
///
/// # Errors
/// As [`claim`].
pub async fn create_with(node: &Node, words: Mnemonic) -> Result<(Mnemonic, PersonId), ClaimError> {
    let person = claim(node, &transfer::begin(&words, &node.identity.card())?).await?;
    Ok((words, person))
}
