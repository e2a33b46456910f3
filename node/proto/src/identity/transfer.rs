//! Transfer texts, carried by hand between a node and the computer that has the mnemonic. The work
//! of that computer is here: texts in, signed texts out, with no node, store or network.
//!
//! A node shows its card. [`create_claim`] (for a new person) or [`sign`] (for an op that the
//! person's node has requested) makes a text with the root key's signature. The text goes to the
//! node: a [`Claim`] is countersigned by the node it names, a [`SignedRequest`] is complete.

mod describe;
mod texts;

pub use describe::describe;

use super::armour::ArmourError;
use super::backup_key::BackupKey;
use super::op::{Genesis, Op, OpBody, Recovery, Role, SignedOp, sign as sign_op};
use super::{IdentityLog, IdentityLogError, NodeCard, PersonId};
use crate::cbor::CborError;
use crate::mnemonic::Mnemonic;

/// Why a transfer text was not read or not signed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TransferError {
    /// The file is of another kind, or damaged.
    #[error(transparent)]
    Armour(#[from] ArmourError),
    /// The file is whole, but this program cannot read its content.
    #[error("the file has content that this program cannot read: {0}")]
    Content(#[from] CborError),
    /// The identity log in the file is not valid.
    #[error("the identity log in the file is not valid: {0}")]
    Log(#[from] IdentityLogError),
    /// The mnemonic is another person's.
    #[error("these words are not those of {0}")]
    OtherMnemonic(PersonId),
    /// The requested op is of a newer program, so this one cannot describe it.
    #[error("this program does not know what it would sign; use a newer one")]
    NotUnderstood,
    /// The requested op cannot follow the log in the request.
    #[error("this can't be signed: {0}")]
    Impossible(IdentityLogError),
    /// The new mnemonic is the old one.
    #[error("the new words are the same as the old ones")]
    SameMnemonic,
}

/// An identity log whose last op certifies a node and lacks that node's countersignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The signed ops, from the first.
    pub ops: Vec<SignedOp>,
    /// The key that lets the mnemonic open the node's vault and its backups.
    pub backup: BackupKey,
}

/// An op that a node asks its person to sign, with the identity log it is to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRequest {
    log: IdentityLog,
    op: Vec<u8>,
    body: OpBody,
}

/// An op signed by a root key, with the identity log it follows. Also the log of another node of
/// the same person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// The signed ops, from the first.
    pub ops: Vec<SignedOp>,
    /// With a new mnemonic only: the key that lets it open the node's vault and its backups.
    pub backup: Option<BackupKey>,
}

/// The result of signing a request. Most ops are complete; a node that is added must countersign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// For the node that made the request.
    Request(SignedRequest),
    /// For the node that is to be added.
    Claim(Claim),
}

/// Creates a person: a claim with Genesis, signed by the mnemonic's root key, for the node of this
/// card.
///
/// # Errors
/// When the op would be over its limit.
pub fn create_claim(mnemonic: &Mnemonic, node: &NodeCard) -> Result<Claim, TransferError> {
    let keys = mnemonic.keys();
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

/// Signs the op of a request.
///
/// # Errors
/// When the mnemonic is not the person's, or the op may not be signed.
pub fn sign(request: &SignatureRequest, mnemonic: &Mnemonic) -> Result<Signed, TransferError> {
    let keys = mnemonic.keys();
    if !request.log.may_sign(&keys.root.public()) {
        return Err(TransferError::OtherMnemonic(request.log.person()));
    }
    if let OpBody::Unknown { .. } = request.body {
        return Err(TransferError::NotUnderstood);
    }
    let signed =
        SignedOp::new(request.op.clone(), vec![sign_op(Role::Root, &keys.root, &request.op)])?;
    if let OpBody::AddNode(card) = &request.body {
        // The node that countersigns verifies the rest.
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
    Ok(Signed::Request(SignedRequest { ops: log.into_ops(), backup: None }))
}

/// Replaces the old mnemonic by a new one: the new root key takes the old one's priority, and the
/// new mnemonic opens the vault.
///
/// # Errors
/// When the old mnemonic is not the person's, or the new one is a root key already.
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
    let replaced = roots
        .iter_mut()
        .find(|root| **root == before)
        .ok_or(TransferError::OtherMnemonic(log.person()))?;
    *replaced = after;
    let op = log.next_op(OpBody::Rotate(roots)).to_canonical();
    let signature = sign_op(Role::Root, &old.root, &op);
    let mut log = log.clone();
    log.extend(SignedOp::new(op, vec![signature])?).map_err(TransferError::Impossible)?;
    let backup = BackupKey::of(&new, &log.person());
    Ok(SignedRequest { ops: log.into_ops(), backup: Some(backup) })
}

impl Claim {
    /// The person that the claim creates or belongs to.
    pub fn person(&self) -> Option<PersonId> {
        self.ops.first().map(SignedOp::person)
    }

    /// The node that the claim certifies.
    pub fn node(&self) -> Option<&NodeCard> {
        match &self.ops.last()?.op().body {
            OpBody::Genesis(genesis) => Some(&genesis.node),
            OpBody::AddNode(card) => Some(card),
            _ => None,
        }
    }
}

impl SignatureRequest {
    /// A request for `body` as the next op of `log`.
    pub fn new(log: &IdentityLog, body: OpBody) -> Self {
        let op = log.next_op(body.clone()).to_canonical();
        Self { log: log.clone(), op, body }
    }

    /// The person who is to sign.
    pub fn person(&self) -> PersonId {
        self.log.person()
    }

    /// The op to be signed.
    pub fn body(&self) -> &OpBody {
        &self.body
    }

    /// The log that the op is to follow.
    pub fn log(&self) -> &IdentityLog {
        &self.log
    }
}
