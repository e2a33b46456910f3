//! What needs the 24 words, done where they are: on the owner's own computer. Texts go in and out;
//! no node, no store, no network.
//!
//! A node shows its card. Then [`begin`] (new person) or [`sign`] (an op the person's node has
//! asked for) makes a text with the root key's signature. The text goes to the node: a [`Claim`] is
//! countersigned by the node it names, a [`SignedRequest`] is taken as it is.

mod describe;
mod texts;

pub use describe::describe;

use super::armour::ArmourError;
use super::backup_key::BackupKey;
use super::op::{Genesis, Op, OpBody, Recovery, Role, SignedOp, sign as sign_op};
use super::{IdentityLog, IdentityLogError, NodeCard, PersonId};
use crate::cbor::CborError;
use crate::mnemonic::Mnemonic;

/// Why a text cannot be read or signed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TransferError {
    /// Not the right file, or a damaged one.
    #[error(transparent)]
    Armour(#[from] ArmourError),
    /// The file is whole, but what it says is not what this program reads.
    #[error("the file says something this program cannot read: {0}")]
    Content(#[from] CborError),
    /// The log in it is not valid.
    #[error("the identity log in the file is not valid: {0}")]
    Log(#[from] IdentityLogError),
    /// These words belong to somebody else.
    #[error("these words are not those of {0}")]
    OtherMnemonic(PersonId),
    /// A newer program asks for something this one cannot put into words.
    #[error("this program does not know what it would sign; use a newer one")]
    NotUnderstood,
    /// What is asked for cannot follow the log it was asked with.
    #[error("this can't be signed: {0}")]
    Impossible(IdentityLogError),
    /// The new words are the old ones.
    #[error("the new words are the same as the old ones")]
    SameMnemonic,
}

/// A log whose last op names a node and waits for that node's countersignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The signed ops, from the first.
    pub ops: Vec<SignedOp>,
    /// What lets the words open the node's vault and its backups.
    pub backup: BackupKey,
}

/// An op that a node asks its person to sign, with the log it would follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRequest {
    log: IdentityLog,
    op: Vec<u8>,
    body: OpBody,
}

/// An op signed by a root key, with the log it follows. Also a log as another node of the same
/// person has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The signed ops, from the first.
    pub ops: Vec<SignedOp>,
    /// Only with new words: what lets them open the node's vault and its backups from now on.
    pub backup: Option<BackupKey>,
}

/// What signing a request gives: most ops are done, a node that is added must still countersign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// For the node that asked.
    Done(SignedRequest),
    /// For the node that is being added.
    Claim(Claim),
}

/// Begins a person: genesis, signed by the words' root key, for the node whose card this is.
///
/// # Errors
/// Only when the op would be over its limit.
pub fn begin(words: &Mnemonic, node: &NodeCard) -> Result<Claim, TransferError> {
    let keys = words.keys();
    let genesis = Genesis {
        roots: vec![keys.root.public()],
        recovery: Recovery::default(),
        recovery_kem: keys.recovery.public(),
        node: node.clone(),
    };
    let op =
        Op { person: None, index: 0, prev: None, body: OpBody::Genesis(genesis) }.to_canonical();
    let signature = sign_op(Role::Root, &keys.root, &op);
    let genesis = SignedOp::new(op, vec![signature])?;
    let backup = BackupKey::of(&keys, &genesis.person());
    Ok(Claim { ops: vec![genesis], backup })
}

/// Signs what a request asks for.
///
/// # Errors
/// When the words are not the person's, or it is nothing that may be signed.
pub fn sign(request: &SignatureRequest, words: &Mnemonic) -> Result<Signed, TransferError> {
    let keys = words.keys();
    if !request.log.may_sign(&keys.root.public()) {
        return Err(TransferError::OtherMnemonic(request.log.person()));
    }
    if let OpBody::Unknown { .. } = request.body {
        return Err(TransferError::NotUnderstood);
    }
    let signed =
        SignedOp::new(request.op.clone(), vec![sign_op(Role::Root, &keys.root, &request.op)])?;
    if let OpBody::AddNode(card) = &request.body {
        // The rest is verified by the node, whose countersignature it waits for.
        if request.log.node(&card.sign).is_some() {
            return Err(TransferError::Impossible(IdentityLogError::Impossible(
                request.log.ops().len(),
            )));
        }
        let ops = request.log.ops().iter().cloned().chain([signed]).collect();
        return Ok(Signed::Claim(Claim {
            ops,
            backup: BackupKey::of(&keys, &request.log.person()),
        }));
    }
    let mut log = request.log.clone();
    log.extend(signed).map_err(TransferError::Impossible)?;
    Ok(Signed::Done(SignedRequest { ops: log.into_ops(), backup: None }))
}

/// Replaces the old words by new ones: the new root key takes the old one's place, and the new
/// words open the vault.
///
/// # Errors
/// When the old words are not the person's, or the new ones are already.
pub fn replace_mnemonic(
    log: &IdentityLog,
    old: &Mnemonic,
    new: &Mnemonic,
) -> Result<SignedRequest, TransferError> {
    let (old, new) = (old.keys(), new.keys());
    let (before, after) = (old.root.public(), new.root.public());
    let mut roots = log.state().roots.clone();
    if roots.contains(&after) {
        return Err(TransferError::SameMnemonic);
    }
    let place = roots
        .iter_mut()
        .find(|root| **root == before)
        .ok_or(TransferError::OtherMnemonic(log.person()))?;
    *place = after;
    let op = log.next_op(OpBody::Rotate(roots)).to_canonical();
    let signature = sign_op(Role::Root, &old.root, &op);
    let mut log = log.clone();
    log.extend(SignedOp::new(op, vec![signature])?).map_err(TransferError::Impossible)?;
    let backup = BackupKey::of(&new, &log.person());
    Ok(SignedRequest { ops: log.into_ops(), backup: Some(backup) })
}

impl Claim {
    /// The person it makes or belongs to.
    pub fn person(&self) -> Option<PersonId> {
        self.ops.first().map(SignedOp::person)
    }

    /// The node it is for.
    pub fn node(&self) -> Option<&NodeCard> {
        match &self.ops.last()?.op().body {
            OpBody::Genesis(genesis) => Some(&genesis.node),
            OpBody::AddNode(card) => Some(card),
            _ => None,
        }
    }
}

impl SignatureRequest {
    /// Asks for `body` as the next op of `log`.
    pub fn new(log: &IdentityLog, body: OpBody) -> Self {
        let op = log.next_op(body.clone()).to_canonical();
        Self { log: log.clone(), op, body }
    }

    /// Whose signature it asks for.
    pub fn person(&self) -> PersonId {
        self.log.person()
    }

    /// What would be signed.
    pub fn body(&self) -> &OpBody {
        &self.body
    }

    /// The log it would follow.
    pub fn log(&self) -> &IdentityLog {
        &self.log
    }
}
