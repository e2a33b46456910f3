//! Which of two versions of a log counts: a pure function of the ops, without clocks, so that everybody comes to the same answer.

use super::IdentityLog;
use super::log::{State, enough, guardians, root_signers};
use super::op::{OpBody, SignedOp};

/// The outcome of comparing two logs of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// They are the same.
    Same,
    /// The first counts: it continues the second, or wins where they part.
    First {
        /// Whether they part at all.
        parted: bool,
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
/// Where they part: (1) an op countersigned by enough guardians that removes the key that signed the other wins; (2) the op of the root
/// key with the higher priority; (3) the op countersigned by enough guardians; (4) nothing.
pub fn choose(first: &IdentityLog, second: &IdentityLog) -> Choice {
    let common = first.ops().iter().zip(second.ops()).take_while(|(a, b)| a.op_bytes() == b.op_bytes()).count();
    match (first.ops().get(common), second.ops().get(common)) {
        (None, None) => Choice::Same,
        (Some(_), None) => Choice::First { parted: false },
        (None, Some(_)) => Choice::Second,
        (Some(a), Some(b)) => {
            let before = IdentityLog::from_ops(first.ops().iter().take(common).cloned().collect());
            match before.ok().and_then(|before| better(before.next_state(), a, b)) {
                Some(true) => Choice::First { parted: true },
                Some(false) => Choice::Second,
                None => Choice::Frozen { at: common },
            }
        }
    }
}

/// Whether the first op is better; `None` when nothing decides.
pub(super) fn better(before: &State, a: &SignedOp, b: &SignedOp) -> Option<bool> {
    let removes = |op: &SignedOp, other: &SignedOp| {
        let removed = |roots: &Vec<_>| root_signers(other, 0).is_ok_and(|key| before.roots.contains(&key) && !roots.contains(&key));
        let roots = match &op.op().body {
            OpBody::Rotate(roots) | OpBody::Recover(roots) => Some(roots),
            _ => None,
        };
        // A recovery may be vetoed by a live root key, so only a rotation by a root key removes for good.
        roots.is_some_and(removed) && matches!(op.op().body, OpBody::Rotate(_)) && backed(before, op)
    };
    let by = |better: fn(bool, bool) -> Option<bool>, x: bool, y: bool| better(x, y);
    let either = |x: bool, y: bool| if x == y { None } else { Some(x) };
    by(either, removes(a, b), removes(b, a))
        .or_else(|| {
            let (x, y) = (priority(before, a), priority(before, b));
            if x == y { None } else { Some(x < y) }
        })
        .or_else(|| by(either, backed(before, a), backed(before, b)))
}

/// The place of the signing root key; an op signed by none of them comes last.
fn priority(before: &State, op: &SignedOp) -> usize {
    let key = root_signers(op, 0).ok();
    before.roots.iter().position(|root| Some(*root) == key).unwrap_or(usize::MAX)
}

fn backed(before: &State, op: &SignedOp) -> bool {
    guardians(before, op).is_some_and(|count| enough(before, count))
}
