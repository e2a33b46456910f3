//! Fork choice: which of two versions of an identity log counts. A pure function of the ops,
//! without clocks, so that every node computes the same answer.

use super::IdentityLog;
use super::log::{State, enough, guardians, root_signers};
use super::op::{OpBody, SignedOp};
use crate::keys::PublicKey;

/// The outcome of comparing two logs of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// They are the same.
    Same,
    /// The first counts: it continues the second, or is better after the fork.
    First {
        /// True if the two logs fork.
        forked: bool,
    },
    /// The second counts.
    Second,
    /// No rule decides; the log is frozen before this op.
    Frozen {
        /// Index of the op, from 0.
        at: usize,
    },
}

/// Compares two valid logs of one person.
///
/// The first rule that applies decides. The guardians and the priorities are those before the fork,
/// because a side could name its own. A side wins if:
///
/// 1. enough guardians have countersigned, at the fork or later, an op that removes the key which
///    signed the other side's first op;
/// 2. its first op is signed by the root key with the higher priority;
/// 3. its first op is countersigned by enough guardians;
/// 4. both first ops are by the same key, it removes that key, and the other side leaves the root
///    keys alone.
///
/// Otherwise the log is frozen at the fork.
pub fn choose(first: &IdentityLog, second: &IdentityLog) -> Choice {
    let common = common(first, second);
    match (first.ops().split_at_checked(common), second.ops().split_at_checked(common)) {
        (Some((_, [])), Some((_, []))) | (None, _) | (_, None) => Choice::Same,
        (Some(_), Some((_, []))) => Choice::First { forked: false },
        (Some((_, [])), Some(_)) => Choice::Second,
        (Some((before, a)), Some((_, b))) => {
            let before = IdentityLog::from_ops(before.to_vec());
            match before.ok().and_then(|before| better(before.next_state(), a, b)) {
                Some(true) => Choice::First { forked: true },
                Some(false) => Choice::Second,
                None => Choice::Frozen { at: common },
            }
        }
    }
}

/// The number of ops that two logs have in common, from the first.
pub fn common(first: &IdentityLog, second: &IdentityLog) -> usize {
    first.ops().iter().zip(second.ops()).take_while(|(a, b)| a.op_bytes() == b.op_bytes()).count()
}

/// True if side `a` of a fork is better; `None` when no rule decides.
fn better(before: &State, a: &[SignedOp], b: &[SignedOp]) -> Option<bool> {
    let (first, second) = (a.first()?, b.first()?);
    let (by_a, by_b) = (signer(first)?, signer(second)?);
    let (x, y) = (priority(before, &by_a), priority(before, &by_b));
    either(is_removed(before, a, &by_b), is_removed(before, b, &by_a))
        .or(if x == y { None } else { Some(x < y) })
        .or_else(|| either(backed(before, first), backed(before, second)))
        .or_else(|| {
            either(
                is_renounced(before, a, &by_a) && is_plain(b, &by_a),
                is_renounced(before, b, &by_a) && is_plain(a, &by_a),
            )
        })
}

fn either(x: bool, y: bool) -> Option<bool> {
    if x == y { None } else { Some(x) }
}

/// The Rotate ops of one side that remove a root key. A recovery can be vetoed by a live root key,
/// so it removes no key for good: a Recover op, an unknown op and all ops after them do not count.
fn removals<'a>(
    before: &'a State,
    side: &'a [SignedOp],
    key: &'a PublicKey,
) -> impl Iterator<Item = &'a SignedOp> {
    let mut roots_before = &before.roots;
    side.iter()
        .take_while(|op| !matches!(op.op().body, OpBody::Recover(_) | OpBody::Unknown { .. }))
        .filter(move |op| {
            let OpBody::Rotate(roots) = &op.op().body else { return false };
            std::mem::replace(&mut roots_before, roots).contains(key) && !roots.contains(key)
        })
}

/// True if enough guardians have countersigned the removal of a key.
fn is_removed(before: &State, side: &[SignedOp], key: &PublicKey) -> bool {
    removals(before, side, key).any(|op| backed(before, op))
}

/// True if a key, or one of higher priority, has removed that key.
fn is_renounced(before: &State, side: &[SignedOp], key: &PublicKey) -> bool {
    let own = priority(before, key);
    own < usize::MAX
        && removals(before, side, key).filter_map(signer).any(|by| priority(before, &by) <= own)
}

/// True if all ops of a side are by this key and leave the root keys as they were.
fn is_plain(side: &[SignedOp], key: &PublicKey) -> bool {
    let changes = |op: &SignedOp| {
        matches!(op.op().body, OpBody::Rotate(_) | OpBody::Recover(_) | OpBody::Unknown { .. })
    };
    side.iter().all(|op| !changes(op) && signer(op).as_ref() == Some(key))
}

fn signer(op: &SignedOp) -> Option<PublicKey> {
    root_signers(op, 0).ok()
}

/// The priority of a root key, 0 the highest; `usize::MAX` for a key that is not a root key.
fn priority(before: &State, key: &PublicKey) -> usize {
    before.roots.iter().position(|root| root == key).unwrap_or(usize::MAX)
}

fn backed(before: &State, op: &SignedOp) -> bool {
    guardians(before, op).is_some_and(|count| enough(before, count))
}
