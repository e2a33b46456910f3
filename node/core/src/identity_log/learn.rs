//! Learning an identity log: of two valid logs the longer one is stored, and of two that fork the
//! better one. While nothing decides between two sides of a fork, both are stored and the log is
//! frozen before it.

use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed;
use crate::identity::fork::{Choice, choose, common};
use crate::identity::{self, IdentityLog, IdentityLogError, PersonId, stored_log};
use crate::node::{self, Node};
use crate::row::{self, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Person ‖ 0 or 1 (the side) ‖ index (two bytes) → a signed op of one side of an undecided fork,
/// from the first op that differs.
const SIDES: Table = Table::new("identity_disputes");
/// Ops stored of each side, at most: both sides and the log itself fit into one commit. Later ops
/// do not decide a fork.
const SIDE_OPS_MAX: usize = 64;
/// The offset of the index in a key, in bytes.
const INDEX_AT: usize = 33;

/// The outcome of learning an offered log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The log is new, longer, or better than the stored one, and replaces it.
    Newer,
    /// The log has no op that is not stored.
    Known,
    /// The log forks from the stored one, which is better.
    Worse,
    /// The log forks from the stored one and nothing decides: the log is frozen before the fork.
    Disputed,
}

/// Why an offered log was refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LearnError {
    /// The log is not valid.
    #[error("the identity log is not valid: {0}")]
    Log(#[from] IdentityLogError),
    /// The log is another person's than expected.
    #[error("this is the log of {0}")]
    AnotherPerson(PersonId),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Verifies a log from its exact bytes and stores it if it is better than the stored one.
///
/// # Errors
/// When the log is not valid, or the store takes no changes.
pub async fn learn(node: &Node, ops: Vec<Vec<u8>>) -> Result<(PersonId, Learned), LearnError> {
    let offered = IdentityLog::verify(&ops)?;
    let person = offered.person();
    let now = node.clock.now();
    let learned = node.store.commit(move |tx| store_if_better(tx, offered, now)).await?;
    if node.identity.person() == Some(person) {
        identity::reload_own_log(node, &person, now)?;
    }
    Ok((person, learned))
}

/// The index of the first op on which two sides of an undecided fork of a person's log differ;
/// `None` when the log is not disputed.
///
/// # Errors
/// When the store is unavailable.
pub fn dispute(node: &Node, person: &PersonId) -> Result<Option<u16>, StoreError> {
    let first = node.store.rows(SIDES, &Scan::prefix(&side_key(person, 0), 1))?;
    Ok(first.first().map(|(key, _)| u16::from_be_bytes(row::key_part(key, INDEX_AT))))
}

/// Writes a person's log if it is better than the stored one.
pub(super) fn store_if_better(
    tx: &mut Tx<'_>,
    offered: IdentityLog,
    now: Timestamp,
) -> Result<Learned, LearnError> {
    let person = offered.person();
    let Some(stored) = stored_log(tx, &person, now)? else {
        store_log(tx, None, &offered, now)?;
        return Ok(Learned::Newer);
    };
    let sides = disputed_sides(tx, &stored)?;
    if !sides.is_empty() && extends(&stored, &offered) {
        // A side may grow: the ops it gains can decide the fork.
        let is_own = |side: &IdentityLog| common(side, &offered) > stored.ops().len();
        if sides
            .iter()
            .all(|side| is_own(side) || matches!(choose(&offered, side), Choice::First { .. }))
        {
            store_log(tx, Some(&stored), &offered, now)?;
            return Ok(Learned::Newer);
        }
        for (number, side) in (0..).zip(&sides) {
            if is_own(side) && choose(side, &offered) == Choice::Second {
                put_side(tx, number, &offered, stored.ops().len())?;
            }
        }
        return Ok(Learned::Disputed);
    }
    match choose(&stored, &offered) {
        Choice::Same | Choice::First { forked: false } => Ok(Learned::Known),
        Choice::First { forked: true } => Ok(Learned::Worse),
        // A root key can no longer veto a recovery that has taken effect, by an op at its place or
        // before.
        Choice::Second | Choice::Frozen { .. } if undoes_recovery(&stored, &offered) => {
            Ok(Learned::Worse)
        }
        Choice::Second => {
            store_log(tx, Some(&stored), &offered, now)?;
            Ok(Learned::Newer)
        }
        Choice::Frozen { at } => {
            let shared = IdentityLog::from_ops(stored.ops().iter().take(at).cloned().collect())?;
            store_log(tx, Some(&stored), &shared, now)?;
            put_side(tx, 0, &stored, at)?;
            put_side(tx, 1, &offered, at)?;
            Ok(Learned::Disputed)
        }
    }
}

/// True if `offered` continues `stored`.
fn extends(stored: &IdentityLog, offered: &IdentityLog) -> bool {
    let len = stored.ops().len();
    offered.ops().len() > len && common(stored, offered) == len
}

/// True if `offered` lacks a recovery that has taken effect: it forks from `stored` at that op or
/// before.
fn undoes_recovery(stored: &IdentityLog, offered: &IdentityLog) -> bool {
    let same = common(stored, offered);
    stored.recovered_at().is_some_and(|at| usize::from(at) >= same) && offered.ops().len() > same
}

/// Writes the log that counts from now on, ends any dispute, and lets the feed re-evaluate the
/// entries of the nodes that the log certifies or retires.
fn store_log(
    tx: &mut Tx<'_>,
    before: Option<&IdentityLog>,
    log: &IdentityLog,
    now: Timestamp,
) -> Result<(), StoreError> {
    for (key, _) in tx.scan(SIDES, &Scan::prefix(&log.person().0, 2 * SIDE_OPS_MAX))? {
        tx.delete(SIDES, &key);
    }
    node::put_log(tx, log, now)?;
    tx.after(Event::Identity);
    if node::is_over(tx, log, now)? {
        return feed::follow_log(tx, before, &log.clone().recovered());
    }
    feed::follow_log(tx, before, log)
}

/// The two sides of an undecided fork as whole logs; empty when the log is not disputed.
fn disputed_sides(rows: &impl Rows, stored: &IdentityLog) -> Result<Vec<IdentityLog>, StoreError> {
    let mut found = Vec::new();
    for number in 0..2 {
        let key = side_key(&stored.person(), number);
        let side = rows.rows(SIDES, &Scan::prefix(&key, SIDE_OPS_MAX))?;
        if side.is_empty() {
            return Ok(Vec::new());
        }
        let ops = stored
            .to_bytes()
            .into_iter()
            .chain(side.into_iter().map(|(_, row)| row.value))
            .collect::<Vec<_>>();
        let damaged = |_| StoreError::Corrupt { table: SIDES.name().to_owned(), key: key.clone() };
        found.push(IdentityLog::verify(&ops).map_err(damaged)?);
    }
    Ok(found)
}

/// Writes the ops of one side from the fork on.
fn put_side(tx: &mut Tx<'_>, number: u8, log: &IdentityLog, from: usize) -> Result<(), StoreError> {
    for (index, op) in (0u16..).zip(log.ops()).skip(from).take(SIDE_OPS_MAX) {
        tx.put(
            SIDES,
            &[side_key(&log.person(), number).as_slice(), &index.to_be_bytes()].concat(),
            op.as_bytes(),
        )?;
    }
    Ok(())
}

fn side_key(person: &PersonId, number: u8) -> Vec<u8> {
    row::key(&[&person.0, &[number]])
}
