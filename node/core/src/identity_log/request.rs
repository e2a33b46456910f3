//! Ops that need a root key: the node writes a request, the mnemonic signs it on another computer,
//! and the signed op is uploaded. An op that does not continue the log as it is now is refused and
//! nothing changes: two ops that follow the same one would freeze the identity.

use super::learn::{LearnError, Learned, store_if_better};
use crate::clock::Timestamp;
use crate::feed;
use crate::identity::op::{Cutoff, OpBody, RetireNode};
use crate::identity::op_body::CUTOFFS_MAX;
use crate::identity::transfer::{SignatureRequest, SignedRequest, describe};
use crate::identity::{self, ClaimError, IdentityLog, IdentityLogError, PersonId, stored_log};
use crate::keys::PublicKey;
use crate::node::{self, Node};
use crate::store::{StoreError, Tx};

/// Why no request was written.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// The node has no person.
    #[error("this node belongs to nobody yet")]
    Unclaimed,
    /// The person has ended the identity, or the log has an op of a newer program, which this one
    /// must not follow.
    #[error(
        "the identity has ended, or its log has a change by a newer program: update this program"
    )]
    Closed,
    /// The node to add is in the log already.
    #[error("that node is in the identity log already")]
    NodeKnown,
    /// The node to retire is not in the log.
    #[error("that node is not in the identity log; `freehold identity show` lists those that are")]
    NodeUnknown,
    /// The node to retire was retired before.
    #[error("that node is retired already")]
    NodeRetired,
    /// No entry of the node to retire is stored here.
    #[error(
        "no entry of that node is stored here, so retiring it would make all of its entries void"
    )]
    NothingHeld,
    /// The entries of the node to retire have more branches than a retirement can name.
    #[error(
        "the entries of that node have {branches} branches (one more in each lane for each time an \
         old backup was put back), and a retirement can name {branches_max}: the oldest would \
         become void"
    )]
    TooManyBranches {
        /// The number of branches.
        branches: usize,
        /// The most that can be named.
        branches_max: usize,
    },
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A retirement voids the entries that no cut-off covers. The policy for those stored here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoidPolicy {
    /// Refuse a retirement that would void any of them.
    Refuse,
    /// Accept it: name the newest branches that fit, possibly none.
    Accept,
}

/// A request for a root key's signature of an op that is to follow `log`. Its text goes to the
/// computer that has the mnemonic.
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

/// A request to retire a node. The cut-offs are the last entries of its branches that this node
/// stores; these and every entry they chain back to stay valid.
///
/// # Errors
/// As [`request`], and when `policy` refuses the entries that would become void.
pub fn request_retirement(
    node: &Node,
    retired: PublicKey,
    compromised: bool,
    policy: VoidPolicy,
) -> Result<SignatureRequest, RequestError> {
    let log = node.identity.log().ok_or(RequestError::Unclaimed)?;
    let tips = feed::tips(node, &log.person(), &retired)?;
    let cutoffs = tips.iter().take(CUTOFFS_MAX).map(|head| Cutoff {
        lane: head.log.lane.0,
        epoch: head.log.epoch,
        seq: head.hi,
        entry: head.head.0,
    });
    let request = request(
        &log,
        OpBody::RetireNode(RetireNode { node: retired, cutoffs: cutoffs.collect(), compromised }),
    )?;
    match (policy, tips.len()) {
        (VoidPolicy::Refuse, 0) => Err(RequestError::NothingHeld),
        (VoidPolicy::Refuse, branches) if branches > CUTOFFS_MAX => {
            Err(RequestError::TooManyBranches { branches, branches_max: CUTOFFS_MAX })
        }
        _ => Ok(request),
    }
}

/// Why a signed op was refused. Nothing has changed, except after [`UploadError::Vault`].
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum UploadError {
    /// The node has no person.
    #[error("this node belongs to nobody yet; claim it first")]
    Unclaimed,
    /// The signed log is not valid.
    #[error("the signed change is not valid: {0}")]
    Log(#[from] IdentityLogError),
    /// The signed log is another person's.
    #[error("this is signed for {0}, who is not the owner of this node")]
    AnotherPerson(PersonId),
    /// The log has gained another op since the request.
    #[error(
        "your identity log has grown since this request was made; make the request again and sign \
         that"
    )]
    Outdated,
    /// Two ops follow the same one, and the upload does not decide between them.
    #[error(
        "your identity is disputed: two signed changes follow the same one, and this does not \
         decide between them"
    )]
    Disputed,
    /// No root key of the person has signed the backup key that came with it.
    #[error("the file was changed: its backup key is not the words' own")]
    BackupKey,
    /// The op is stored; the vault could not be rewritten.
    #[error("the change is stored, but {0}")]
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

/// Stores the op that the person has signed for this node. Returns a description of each new op;
/// empty if all were stored already.
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
    let new_ops = node.store.commit(move |tx| extend(tx, offered, backup, now)).await?;
    identity::reload_own_log(node, &own, now)?;
    if backup.is_some() {
        identity::wrap_vault(node).await.map_err(UploadError::Vault)?;
    }
    Ok(new_ops)
}

fn extend(
    tx: &mut Tx<'_>,
    offered: IdentityLog,
    backup: Option<[u8; 32]>,
    now: Timestamp,
) -> Result<Vec<String>, UploadError> {
    let stored = stored_log(tx, &offered.person(), now)?.ok_or(UploadError::Unclaimed)?;
    let (before, after) = (stored.ops().len(), offered.ops().len());
    if stored
        .ops()
        .iter()
        .zip(offered.ops())
        .any(|(stored, offered)| stored.op_bytes() != offered.op_bytes())
    {
        return Err(UploadError::Outdated);
    }
    if after < before {
        return Ok(Vec::new());
    }
    if let Some(backup_key) = backup {
        node::put_backup_key(tx, &backup_key)?;
    }
    if after == before {
        return Ok(Vec::new());
    }
    let new_ops = offered.ops().iter().skip(before).map(|op| describe(&op.op().body)).collect();
    match store_if_better(tx, offered, now)? {
        Learned::Newer => Ok(new_ops),
        _ => Err(UploadError::Disputed),
    }
}
