//! Which of two versions of a log counts: a pure function of the ops, without clocks, so that
//! everybody comes to the same answer.

use super::IdentityLog;
use super::log::{State, enough, guardians, root_signers};
use super::op::{OpBody, SignedOp};
use crate::keys::PublicKey;

/// The outcome of comparing two logs of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// They are the same.
    Same,
    /// The first counts: it continues the second, or wins where they part.
    First {
        /// Whether they part at all.
        forked: bool,
    },
    /// The second counts.
    Second,
    /// Nothing decides; the log is frozen before this op.
    Frozen {
        /// Which op, from 0.
        at: usize,
    },
}

/// Compares two valid logs of one person.
///
/// Where they part: (1) the side on which enough guardians have countersigned the removal of the
/// key that signed the other, there or further along; (2) the op of the root key with the higher
/// priority; (3) the op countersigned by enough guardians; (4) of two ops by the same key, the side
/// that takes its say from that key, if the other leaves the root keys alone; (5) nothing. The
/// guardians and priorities are those before the parting: what one side says of itself decides
/// nothing.
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

/// How many ops two logs begin with alike.
pub fn common(first: &IdentityLog, second: &IdentityLog) -> usize {
    first.ops().iter().zip(second.ops()).take_while(|(a, b)| a.op_bytes() == b.op_bytes()).count()
}

/// Whether the first side of a parting is better; `None` when nothing decides.
fn better(before: &State, a: &[SignedOp], b: &[SignedOp]) -> Option<bool> {
    let (first, second) = (a.first()?, b.first()?);
    let (by, other) = (signer(first)?, signer(second)?);
    let (x, y) = (priority(before, &by), priority(before, &other));
    either(is_removed(before, a, &other), is_removed(before, b, &by))
        .or(if x == y { None } else { Some(x < y) })
        .or_else(|| either(backed(before, first), backed(before, second)))
        .or_else(|| {
            either(
                is_renounced(before, a, &by) && is_plain(b, &by),
                is_renounced(before, b, &by) && is_plain(a, &by),
            )
        })
}

fn either(x: bool, y: bool) -> Option<bool> {
    if x == y { None } else { Some(x) }
}

/// The rotations of one side that take a key's say away. A recovery may be vetoed by a live root
/// key, so it removes nobody for good; neither it, nor what is not understood, nor anything after
/// them counts here.
fn removals<'a>(
    before: &'a State,
    side: &'a [SignedOp],
    key: &'a PublicKey,
) -> impl Iterator<Item = &'a SignedOp> {
    let mut had = &before.roots;
    side.iter()
        .take_while(|op| !matches!(op.op().body, OpBody::Recover(_) | OpBody::Unknown { .. }))
        .filter(move |op| {
            let OpBody::Rotate(has) = &op.op().body else { return false };
            std::mem::replace(&mut had, has).contains(key) && !has.contains(key)
        })
}

/// Whether enough guardians have countersigned the removal of a key.
fn is_removed(before: &State, side: &[SignedOp], key: &PublicKey) -> bool {
    removals(before, side, key).any(|op| backed(before, op))
}

/// Whether a key, or one above it, has taken that key's say away.
fn is_renounced(before: &State, side: &[SignedOp], key: &PublicKey) -> bool {
    let may = priority(before, key);
    may < usize::MAX
        && removals(before, side, key).filter_map(signer).any(|by| priority(before, &by) <= may)
}

/// Whether a side consists of ops by this key alone, which leave the root keys as they were.
fn is_plain(side: &[SignedOp], key: &PublicKey) -> bool {
    let changes = |op: &SignedOp| {
        matches!(op.op().body, OpBody::Rotate(_) | OpBody::Recover(_) | OpBody::Unknown { .. })
    };
    side.iter().all(|op| !changes(op) && signer(op).as_ref() == Some(key))
}

fn signer(op: &SignedOp) -> Option<PublicKey> {
    root_signers(op, 0).ok()
}

/// The place of a root key; one that has no say comes last.
fn priority(before: &State, key: &PublicKey) -> usize {
    before.roots.iter().position(|root| root == key).unwrap_or(usize::MAX)
}

fn backed(before: &State, op: &SignedOp) -> bool {
    guardians(before, op).is_some_and(|count| enough(before, count))
}
