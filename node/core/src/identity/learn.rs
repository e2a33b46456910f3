//! Other people's logs, and one's own as it grows: the longest valid one is kept, and of two that part the better one.

use minicbor::{Decode, Encode};

use super::fork::{Choice, better, choose};
use super::op::SignedOp;
use super::{IdentityLog, LogError, PersonId, log_in, put_log, recovery};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table, Tx};

/// Person ‖ 0 or 1 → one of the two ops that nothing decides between.
#[derive(Encode, Decode)]
#[cbor(map)]
struct DisputeRow {
    /// Where the logs part.
    #[n(0)]
    at: u16,
    #[cbor(n(1), with = "minicbor::bytes")]
    op: Vec<u8>,
}

impl Record for DisputeRow {
    const TABLE: Table = Table::new("identity_disputes");
    const VERSION: u8 = 2;
}

/// What became of a log that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It is new, longer, or better than the one held before.
    Newer,
    /// Nothing in it is new.
    Known,
    /// It parts from the one held before, which is better.
    Worse,
    /// It parts from the one held before and nothing decides: the log is frozen before that op.
    Disputed,
}

/// Why a log was not taken.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LearnError {
    /// It is not valid.
    #[error("the identity log is not valid: {0}")]
    Log(#[from] LogError),
    /// It is another person's than expected.
    #[error("this is the log of {0}")]
    AnotherPerson(PersonId),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A person's log as held here.
///
/// # Errors
/// When the store is unavailable or a stored log is damaged.
pub fn log_of(node: &Node, person: &PersonId) -> Result<Option<IdentityLog>, StoreError> {
    if let Some(own) = node.identity.log().filter(|log| log.person() == *person) {
        return Ok(Some((*own).clone()));
    }
    log_in(&node.store, person, node.clock.now())
}

/// Verifies a log from its exact bytes and keeps it if it is better than the one held.
///
/// # Errors
/// When it is not valid, or the store takes no changes.
pub async fn learn(node: &Node, ops: Vec<Vec<u8>>) -> Result<(PersonId, Learned), LearnError> {
    let offered = IdentityLog::verify(&ops)?;
    let person = offered.person();
    let now = node.clock.now();
    let learned = node.store.commit(move |tx| keep_better(tx, offered, now)).await?;
    if node.identity.person() == Some(person) {
        node.identity.follow_store(&node.store, &person, now)?;
    }
    Ok((person, learned))
}

/// Whether nothing decides between two versions of a person's log; where they part.
///
/// # Errors
/// As [`log_of`].
pub fn dispute(node: &Node, person: &PersonId) -> Result<Option<u16>, StoreError> {
    Ok(row::get::<DisputeRow>(&node.store, &rival_key(person, 0))?.map(|row| row.at))
}

/// Writes a person's log if it is better than the one held; what became of it.
pub(super) fn keep_better(tx: &mut Tx<'_>, offered: IdentityLog, now: Timestamp) -> Result<Learned, LearnError> {
    let person = offered.person();
    let Some(held) = log_in(tx, &person, now)? else {
        keep(tx, None, &offered, now)?;
        return Ok(Learned::Newer);
    };
    if let Some((at, rivals)) = rivals(tx, &person)?
        && let Some(op) = offered.ops().get(at)
        && held.ops().iter().zip(offered.ops()).all(|(a, b)| a.op_bytes() == b.op_bytes())
    {
        // The same op counts as its own, for it may come back with the countersignatures that decide.
        let beats = |rival: &SignedOp| op.op_bytes() == rival.op_bytes() || better(held.next_state(), op, rival) == Some(true);
        if !rivals.iter().all(beats) {
            return Ok(Learned::Disputed);
        }
        keep(tx, Some(&held), &offered, now)?;
        return Ok(Learned::Newer);
    }
    match choose(&held, &offered) {
        Choice::Same | Choice::First { parted: false } => Ok(Learned::Known),
        Choice::First { parted: true } => Ok(Learned::Worse),
        // The time in which a root key could veto a recovery is over.
        Choice::Second | Choice::Frozen { .. } if parts_at(&held, &offered, held.recovered_at()) => Ok(Learned::Worse),
        Choice::Second => {
            keep(tx, Some(&held), &offered, now)?;
            Ok(Learned::Newer)
        }
        Choice::Frozen { at } => {
            let common = IdentityLog::from_ops(held.ops().iter().take(at).cloned().collect())?;
            keep(tx, Some(&held), &common, now)?;
            for (number, log) in (0..).zip([&held, &offered]) {
                let op = log.ops().get(at).map(|op| op.as_bytes().to_vec()).unwrap_or_default();
                row::put(tx, &rival_key(&person, number), &DisputeRow { at: u16::try_from(at).unwrap_or(u16::MAX), op })?;
            }
            Ok(Learned::Disputed)
        }
    }
}

/// Whether one log has another op than the other at this place, and the same before it.
fn parts_at(held: &IdentityLog, offered: &IdentityLog, at: Option<u16>) -> bool {
    let same = held.ops().iter().zip(offered.ops()).take_while(|(a, b)| a.op_bytes() == b.op_bytes()).count();
    at.is_some_and(|at| usize::from(at) == same) && offered.ops().len() > same
}

/// Writes the log that holds from now on; whatever was disputed before is not any more.
fn keep(tx: &mut Tx<'_>, before: Option<&IdentityLog>, kept: &IdentityLog, now: Timestamp) -> Result<(), StoreError> {
    for number in 0..2 {
        row::delete::<DisputeRow>(tx, &rival_key(&kept.person(), number));
    }
    put_log(tx, kept, now)?;
    tx.after(Event::Identity);
    if recovery::is_over(tx, kept, now)? {
        return feed::follow_log(tx, before, &kept.clone().recovered());
    }
    feed::follow_log(tx, before, kept)
}

/// Where a log is frozen, and between which ops nothing has decided so far.
fn rivals(rows: &impl Rows, person: &PersonId) -> Result<Option<(usize, Vec<SignedOp>)>, StoreError> {
    let mut found = (0, Vec::new());
    for number in 0..2 {
        let key = rival_key(person, number);
        let Some(row) = row::get::<DisputeRow>(rows, &key)? else { return Ok(None) };
        let damaged = |_| StoreError::Corrupt { table: DisputeRow::TABLE.name().to_owned(), key: key.clone() };
        found.0 = usize::from(row.at);
        found.1.push(SignedOp::from_canonical(&row.op).map_err(damaged)?);
    }
    Ok(Some(found))
}

fn rival_key(person: &PersonId, number: u8) -> Vec<u8> {
    row::key(&[&person.0, &[number]])
}
