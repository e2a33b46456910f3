//! What needs a root key: a node asks for it, the words sign it elsewhere, and the node takes it
//! back. What does not continue the log as it stands is refused, and nothing is changed: two ops
//! that follow the same one would freeze the identity.

use super::learn::{LearnError, Learned, keep_better};
use super::op::{Cutoff, OpBody, RetireNode};
use super::op_body::CUTOFFS_MAX;
use super::transfer::{SignatureRequest, SignedRequest, describe};
use super::{
    BACKUP_ROW, ClaimError, IdentityLog, IdentityLogError, PersonId, SELF, backup_key, log_in,
};
use crate::clock::Timestamp;
use crate::feed;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::store::{StoreError, Tx};

/// Why no request could be made.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// The node has no person.
    #[error("this node belongs to nobody yet")]
    Unclaimed,
    /// The person has ended the identity, or a newer program wrote something this one must not go
    /// past.
    #[error("the identity log takes nothing more that this program could write")]
    Closed,
    /// The node to add is there already.
    #[error("that node is in the identity log already")]
    NodeKnown,
    /// The node to retire is not there.
    #[error("that node is not in the identity log; `freehold identity show` lists those that are")]
    NodeUnknown,
    /// The node to retire was retired before.
    #[error("that node is retired already")]
    NodeRetired,
    /// Nothing that the node to retire has said is held here.
    #[error(
        "this node holds nothing of what that node has said, so retiring it would make all of that void"
    )]
    NothingHeld,
    /// What the node to retire has said has more branches than a retirement can name.
    #[error(
        "what that node has said has {branches} branches (one more in each lane for each time an old backup was put back), and a \
         retirement can name {branches_max}: the oldest would become void"
    )]
    TooManyBranches {
        /// How many there are.
        branches: usize,
        /// How many can be named.
        branches_max: usize,
    },
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Whether a node may be retired though some of what it said, and of which this node knows, would
/// become void with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoidPolicy {
    /// No: refuse.
    Refuse,
    /// Yes: keep the newest branches that can be named, be they none.
    Accept,
}

/// Asks for a root key's signature under an op that is to follow `log`. The text goes to where the
/// words are.
///
/// # Errors
/// When the op cannot follow.
pub fn request(log: &IdentityLog, body: OpBody) -> Result<SignatureRequest, RequestError> {
    let state = log.next_state();
    if state.ended || state.frozen_at.is_some() {
        return Err(RequestError::Closed);
    }
    match &body {
        OpBody::AddNode(card) if state.nodes.contains_key(&card.sign) => {
            return Err(RequestError::NodeKnown);
        }
        OpBody::RetireNode(retire) => match state.nodes.get(&retire.node) {
            None => return Err(RequestError::NodeUnknown),
            Some(node) if node.retired.is_some() => return Err(RequestError::NodeRetired),
            Some(_) => {}
        },
        _ => {}
    }
    Ok(SignatureRequest::new(log, body))
}

/// Asks to end a node's right to speak. Its cut-offs are the ends of what this node holds of it;
/// all they chain back to stays.
///
/// # Errors
/// As [`request`], and when that would void what `loss` does not accept.
pub fn request_retirement(
    node: &Node,
    retired: PublicKey,
    compromised: bool,
    loss: VoidPolicy,
) -> Result<SignatureRequest, RequestError> {
    let log = node.identity.log().ok_or(RequestError::Unclaimed)?;
    let tips = feed::tips(node, &log.person(), &retired)?;
    let cutoffs = tips.iter().take(CUTOFFS_MAX).map(|head| Cutoff {
        lane: head.log.lane.0,
        epoch: head.log.epoch,
        seq: head.hi,
        entry: head.head.0,
    });
    let asked = request(
        &log,
        OpBody::RetireNode(RetireNode { node: retired, cutoffs: cutoffs.collect(), compromised }),
    )?;
    match (loss, tips.len()) {
        (VoidPolicy::Refuse, 0) => Err(RequestError::NothingHeld),
        (VoidPolicy::Refuse, branches) if branches > CUTOFFS_MAX => {
            Err(RequestError::TooManyBranches { branches, branches_max: CUTOFFS_MAX })
        }
        _ => Ok(asked),
    }
}

/// Why a signed op was not taken. Nothing has changed then.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum UploadError {
    /// The node has no person.
    #[error("this node belongs to nobody yet; a claim makes it somebody's")]
    Unclaimed,
    /// It is not valid.
    #[error("what was signed is not valid: {0}")]
    Log(#[from] IdentityLogError),
    /// It is another person's.
    #[error("this is signed for {0}, who is not the one this node belongs to")]
    AnotherPerson(PersonId),
    /// The log has grown in another way since.
    #[error(
        "your identity log has grown since this was asked for; make the request again and sign that"
    )]
    Outdated,
    /// Two ops follow the same one, and this decides nothing between them.
    #[error(
        "your identity is disputed: two signed changes follow the same one, and this does not decide between them"
    )]
    Disputed,
    /// No root key of the person vouches for the backup key that came with it.
    #[error("the file was changed: its backup key is not the words' own")]
    BackupKey,
    /// It was taken; the vault could not be rewritten.
    #[error("it was taken, but {0}")]
    Vault(ClaimError),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<LearnError> for UploadError {
    fn from(error: LearnError) -> Self {
        match error {
            LearnError::Log(error) => Self::Log(error),
            LearnError::AnotherPerson(person) => Self::AnotherPerson(person),
            LearnError::Store(error) => Self::Store(error),
        }
    }
}

/// Takes in what the person has signed for this node. Says what is new in the log, one sentence
/// each; nothing if all was known.
///
/// # Errors
/// As [`UploadError`].
pub async fn upload(node: &Node, signed: &SignedRequest) -> Result<Vec<String>, UploadError> {
    let own = node.identity.person().ok_or(UploadError::Unclaimed)?;
    let offered = IdentityLog::from_ops(signed.ops.clone())?;
    if offered.person() != own {
        return Err(UploadError::AnotherPerson(offered.person()));
    }
    let backup = signed
        .backup
        .as_ref()
        .map(|backup| backup.verified(&offered).ok_or(UploadError::BackupKey))
        .transpose()?;
    let now = node.clock.now();
    let fresh = node.store.commit(move |tx| extend(tx, offered, backup, now)).await?;
    node.identity.follow_store(&node.store, &own, now)?;
    if backup.is_some() {
        backup_key::rewrap(node).await.map_err(UploadError::Vault)?;
    }
    Ok(fresh)
}

fn extend(
    tx: &mut Tx<'_>,
    offered: IdentityLog,
    backup: Option<[u8; 32]>,
    now: Timestamp,
) -> Result<Vec<String>, UploadError> {
    let held = log_in(tx, &offered.person(), now)?.ok_or(UploadError::Unclaimed)?;
    let (before, after) = (held.ops().len(), offered.ops().len());
    if held
        .ops()
        .iter()
        .zip(offered.ops())
        .any(|(held, offered)| held.op_bytes() != offered.op_bytes())
    {
        return Err(UploadError::Outdated);
    }
    if after < before {
        return Ok(Vec::new());
    }
    if let Some(recipient) = backup {
        tx.put(SELF, BACKUP_ROW, &recipient)?;
    }
    if after == before {
        return Ok(Vec::new());
    }
    let fresh = offered.ops().iter().skip(before).map(|op| describe(&op.op().body)).collect();
    match keep_better(tx, offered, now)? {
        Learned::Newer => Ok(fresh),
        _ => Err(UploadError::Disputed),
    }
}
