//! The identity log of a person, verified: a pure function of its ops, without clocks.

use std::collections::BTreeMap;

use super::op::{
    Cutoff, OPS_MAX, OPS_RESERVED, Op, OpBody, OpId, OpSignature, Recovery, Role, SignedOp,
    UnknownSignature, hash,
};
use super::op_body::RECOVER;
use super::{NodeCard, PersonId};
use crate::cbor::CborError;
use crate::domains;
use crate::keys::{KemKey, PublicKey};

/// An identity log whose ops are all verified. Only [`IdentityLog::verify`] and
/// [`IdentityLog::from_ops`] build one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityLog {
    person: PersonId,
    ops: Vec<SignedOp>,
    state: State,
    /// The state once the pending recovery takes effect; `None` when none is pending.
    after_recovery: Option<Box<State>>,
    /// Index of the recovery that has taken effect.
    recovered_at: Option<u16>,
}

/// The state that the ops lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Root keys by priority.
    pub roots: Vec<PublicKey>,
    /// The guardians, who can recover the identity.
    pub recovery: Recovery,
    /// The key that every epoch key is also wrapped to.
    pub recovery_kem: KemKey,
    /// Every node that was ever certified, by its signing key.
    pub nodes: BTreeMap<PublicKey, NodeState>,
    /// The domain that vouches for the name.
    pub domain: Option<String>,
    /// True once the owner has ended the identity.
    pub ended: bool,
    /// Index of the first op that is stored but not applied (an unknown op, or a pending recovery);
    /// no later op is applied either.
    pub frozen_at: Option<u16>,
}

/// One certified node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// The KEM key that secrets are wrapped to.
    pub kem: KemKey,
    /// Set once the node is retired: the last valid entry of each branch of its feed logs.
    pub retired: Option<Vec<Cutoff>>,
}

/// Why ops are not a valid identity log.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityLogError {
    /// There is no op.
    #[error("the log is empty")]
    Empty,
    /// There are too many ops, or one of the reserved last places is used for another kind.
    #[error("the log is full at op {0}")]
    Full(usize),
    /// The bytes of an op are refused.
    #[error("op {at}: {cause}")]
    Bytes {
        /// Index of the op, from 0.
        at: usize,
        /// The reason.
        cause: CborError,
    },
    /// An op does not follow the one before it, or is of another person.
    #[error("op {0} does not follow the one before it")]
    Chain(usize),
    /// A signature is missing, not valid, or by a key that may not sign this op.
    #[error("op {0} is not signed as it must be")]
    Signature(usize),
    /// An op that contradicts the state: a node added twice, the retirement of an unknown node, an
    /// op after Tombstone.
    #[error("op {0} cannot follow from what came before")]
    Impossible(usize),
}

impl IdentityLog {
    /// Verifies a log from its exact bytes.
    ///
    /// # Errors
    /// The first op that is refused, and the reason.
    pub fn verify(ops: &[Vec<u8>]) -> Result<Self, IdentityLogError> {
        let parse = |(at, bytes): (usize, &Vec<u8>)| {
            SignedOp::from_canonical(bytes).map_err(|cause| IdentityLogError::Bytes { at, cause })
        };
        Self::from_ops(
            ops.iter().take(OPS_MAX + 1).enumerate().map(parse).collect::<Result<_, _>>()?,
        )
    }

    /// Verifies a log of parsed ops.
    ///
    /// # Errors
    /// As [`IdentityLog::verify`].
    pub fn from_ops(ops: Vec<SignedOp>) -> Result<Self, IdentityLogError> {
        let mut ops = ops.into_iter();
        let first = ops.next().ok_or(IdentityLogError::Empty)?;
        let state = apply_genesis(&first)?;
        let mut log = Self {
            person: first.person(),
            ops: vec![first],
            state,
            after_recovery: None,
            recovered_at: None,
        };
        for op in ops {
            log.extend(op)?;
        }
        Ok(log)
    }

    /// Verifies one op and appends it.
    ///
    /// # Errors
    /// Why the op cannot follow. The log is unchanged then.
    pub fn extend(&mut self, op: SignedOp) -> Result<(), IdentityLogError> {
        let at = self.ops.len();
        let body = &op.op().body;
        if at >= OPS_MAX || (at >= OPS_MAX - OPS_RESERVED && !body.may_use_reserve()) {
            return Err(IdentityLogError::Full(at));
        }
        if op.op().person != Some(self.person)
            || op.op().prev != Some(self.head())
            || usize::from(op.op().index) != at
        {
            return Err(IdentityLogError::Chain(at));
        }
        match &mut self.after_recovery {
            // Ops that follow a pending recovery are signed by the keys it brings.
            Some(after) if after.frozen_at.is_none() => **after = apply_op(after, &op, at)?,
            None if self.state.frozen_at.is_none() => {
                let state = apply_op(&self.state, &op, at)?;
                if let OpBody::Recover(roots) = &op.op().body
                    && guardians(&self.state, &op).is_some_and(|count| enough(&self.state, count))
                {
                    self.after_recovery =
                        Some(Box::new(State { roots: roots.clone(), ..self.state.clone() }));
                }
                self.state = state;
            }
            _ => {}
        }
        self.ops.push(op);
        Ok(())
    }

    /// The pending recovery by friends, if there is one: the index of the op, and the delay in
    /// seconds.
    pub fn pending_recovery(&self) -> Option<(u16, u32)> {
        self.after_recovery.as_ref()?;
        self.state.frozen_at.map(|at| (at, self.state.recovery.delay_secs))
    }

    /// The same log once the pending recovery has taken effect. Each node decides by its own clock
    /// when the delay has passed.
    pub fn recovered(self) -> Self {
        match self.after_recovery {
            Some(after) => Self {
                state: *after,
                after_recovery: None,
                recovered_at: self.state.frozen_at,
                ..self
            },
            None => self,
        }
    }

    /// Index of the recovery that has taken effect, if there is one.
    pub fn recovered_at(&self) -> Option<u16> {
        self.recovered_at
    }

    /// True if this root key may sign the next op.
    pub fn may_sign(&self, root: &PublicKey) -> bool {
        self.next_state().roots.contains(root)
    }

    /// The state that the next op is verified against.
    pub fn next_state(&self) -> &State {
        self.after_recovery.as_deref().unwrap_or(&self.state)
    }

    /// The person of this log.
    pub fn person(&self) -> PersonId {
        self.person
    }

    /// The verified ops.
    pub fn ops(&self) -> &[SignedOp] {
        &self.ops
    }

    /// The verified ops, without the log.
    pub(crate) fn into_ops(self) -> Vec<SignedOp> {
        self.ops
    }

    /// The exact bytes of the ops, as stored and sent.
    pub fn to_bytes(&self) -> Vec<Vec<u8>> {
        self.ops.iter().map(|op| op.as_bytes().to_vec()).collect()
    }

    /// The id of the last op.
    pub fn head(&self) -> OpId {
        // A log is never empty. If it were, no op could name a zero id.
        self.ops.last().map_or(OpId([0; 32]), SignedOp::id)
    }

    /// The state that the ops lead to.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The node, if the log ever certified it.
    pub fn node(&self, key: &PublicKey) -> Option<&NodeState> {
        self.state.nodes.get(key)
    }

    /// The nodes that are certified and not retired.
    pub fn live_nodes(&self) -> impl Iterator<Item = &PublicKey> {
        self.state.nodes.iter().filter(|(_, node)| node.retired.is_none()).map(|(key, _)| key)
    }

    /// The next op, unsigned.
    pub fn next_op(&self, body: OpBody) -> Op {
        Op {
            person: Some(self.person),
            index: u16::try_from(self.ops.len()).unwrap_or(u16::MAX),
            prev: Some(self.head()),
            body,
        }
    }
}

/// Verifies Genesis: signed by the first root key, countersigned by the node.
fn apply_genesis(op: &SignedOp) -> Result<State, IdentityLogError> {
    let OpBody::Genesis(genesis) = &op.op().body else { return Err(IdentityLogError::Chain(0)) };
    let signed = root_signers(op, 0)?;
    if genesis.roots.first() != Some(&signed)
        || !countersigned_by(op, &genesis.node)
        || guardian_count(op) != 0
    {
        return Err(IdentityLogError::Signature(0));
    }
    Ok(State {
        roots: genesis.roots.clone(),
        recovery: genesis.recovery.clone(),
        recovery_kem: genesis.recovery_kem.clone(),
        nodes: BTreeMap::from([(
            genesis.node.sign,
            NodeState { kem: genesis.node.kem.clone(), retired: None },
        )]),
        domain: None,
        ended: false,
        frozen_at: None,
    })
}

/// Verifies an op against the state before it and returns the state after it.
fn apply_op(before: &State, op: &SignedOp, at: usize) -> Result<State, IdentityLogError> {
    if before.ended {
        return Err(IdentityLogError::Impossible(at));
    }
    let mut state = before.clone();
    let body = &op.op().body;
    let known = guardians(before, op).ok_or(IdentityLogError::Signature(at))?;
    // A recovery backed by guardian signatures that this program cannot verify is stored, but not
    // applied.
    let backed = enough(before, known + unknown_guardians(before, op));
    if backed && matches!(body, OpBody::Unknown { kind: RECOVER, .. }) && is_by_unknown_root(op) {
        state.frozen_at = Some(op.op().index);
        return Ok(state);
    }
    let signed = root_signers(op, at)?;
    let (may_sign, node) = match body {
        OpBody::Recover(roots) => (roots.first() == Some(&signed) && backed, None),
        OpBody::AddNode(card) => (before.roots.contains(&signed), Some(card)),
        _ => (before.roots.contains(&signed), None),
    };
    let countersigned = match (node, body) {
        (Some(card), _) => countersigned_by(op, card),
        (None, OpBody::Unknown { .. }) => true,
        (None, _) => {
            !op.signatures().iter().any(|signature| signature.role == Role::Node)
                && op.unknown_count(Role::Node) == 0
        }
    };
    if !may_sign || !countersigned {
        return Err(IdentityLogError::Signature(at));
    }
    match body {
        OpBody::Genesis(_) => return Err(IdentityLogError::Impossible(at)),
        OpBody::Rotate(roots) => state.roots = roots.clone(),
        OpBody::AddNode(card) => {
            let node = NodeState { kem: card.kem.clone(), retired: None };
            if state.nodes.insert(card.sign, node).is_some() {
                return Err(IdentityLogError::Impossible(at));
            }
        }
        OpBody::RetireNode(retire) => {
            let node = state.nodes.get_mut(&retire.node).filter(|node| node.retired.is_none());
            node.ok_or(IdentityLogError::Impossible(at))?.retired = Some(retire.cutoffs.clone());
        }
        OpBody::SetDomain(domain) => state.domain.clone_from(domain),
        OpBody::SetGuardians(recovery) => state.recovery = recovery.clone(),
        OpBody::Tombstone => state.ended = true,
        OpBody::Recover(_) | OpBody::Unknown { .. } => state.frozen_at = Some(op.op().index),
    }
    Ok(state)
}

/// The one root key that signed. Exactly one must have signed, and no unknown signature may claim
/// to be a second one.
pub(crate) fn root_signers(op: &SignedOp, at: usize) -> Result<PublicKey, IdentityLogError> {
    match op.verified(Role::Root).as_deref() {
        Some([one]) if op.unknown_count(Role::Root) == 0 => Ok(one.key),
        _ => Err(IdentityLogError::Signature(at)),
    }
}

/// True if the only root signature is one that this program cannot verify.
fn is_by_unknown_root(op: &SignedOp) -> bool {
    op.unknown_count(Role::Root) == 1
        && !op.signatures().iter().any(|signature| signature.role == Role::Root)
}

fn countersigned_by(op: &SignedOp, card: &NodeCard) -> bool {
    let is_signed =
        matches!(op.verified(Role::Node).as_deref(), Some([one]) if one.key == card.sign);
    is_signed && op.unknown_count(Role::Node) == 0
}

fn guardian_count(op: &SignedOp) -> usize {
    op.signatures().iter().filter(|signature| signature.role == Role::Guardian).count()
        + op.unknown_count(Role::Guardian)
}

/// The number of signatures that this program cannot verify and that open a guardian's commitment.
fn unknown_guardians(before: &State, op: &SignedOp) -> usize {
    let opens = |signature: &&UnknownSignature| {
        let (key, salt) = signature.opening();
        signature.is_of(Role::Guardian)
            && before.recovery.guardians.contains(&commitment_to(key, salt))
    };
    op.unknown_signatures().iter().filter(opens).count()
}

/// The number of guardians of `before` that countersigned; `None` when one of those signatures is
/// not valid or not by a guardian.
pub(crate) fn guardians(before: &State, op: &SignedOp) -> Option<usize> {
    let signed = op.verified(Role::Guardian)?;
    let known = |signature: &&OpSignature| {
        before
            .recovery
            .guardians
            .contains(&commitment(&signature.key, signature.salt.unwrap_or_default()))
    };
    signed.iter().all(known).then_some(signed.len())
}

/// True if this number of guardians is enough.
pub(crate) fn enough(before: &State, guardians: usize) -> bool {
    before.recovery.needed > 0 && guardians >= usize::from(before.recovery.needed)
}

/// The commitment to a guardian in a log: a hash that hides the guardian until the guardian signs.
pub fn commitment(guardian: &PublicKey, salt: [u8; 16]) -> [u8; 32] {
    commitment_to(guardian.as_bytes(), salt)
}

/// [`commitment`] to a public key of any suite, given as its bytes.
pub fn commitment_to(key: &[u8], salt: [u8; 16]) -> [u8; 32] {
    hash(domains::GUARDIAN, &[salt.as_slice(), key].concat())
}
