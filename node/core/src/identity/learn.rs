//! Other people's logs, and one's own as it grows: the longest valid one is kept, and of two that
//! part the better one.

use super::fork::{Choice, choose, common};
use super::{IdentityLog, IdentityLogError, PersonId, log_in, put_log, recovery};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed;
use crate::node::Node;
use crate::row::{self, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Person ‖ 0 or 1 ‖ index (two bytes) → a signed op of one of the two sides that nothing decides
/// between, from where they part.
const SIDES: Table = Table::new("identity_disputes");
/// How much of a side is kept: with the log itself both fit into one change. What comes later
/// decides nothing.
const SIDE_OPS_MAX: usize = 64;
/// Where the index stands in a key.
const INDEX_AT: usize = 33;

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
    Log(#[from] IdentityLogError),
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
    let first = node.store.rows(SIDES, &Scan::prefix(&side_key(person, 0), 1))?;
    Ok(first.first().map(|(key, _)| u16::from_be_bytes(row::key_part(key, INDEX_AT))))
}

/// Writes a person's log if it is better than the one held; what became of it.
pub(super) fn keep_better(
    tx: &mut Tx<'_>,
    offered: IdentityLog,
    now: Timestamp,
) -> Result<Learned, LearnError> {
    let person = offered.person();
    let Some(held) = log_in(tx, &person, now)? else {
        keep(tx, None, &offered, now)?;
        return Ok(Learned::Newer);
    };
    let rivals = rivals(tx, &held)?;
    if !rivals.is_empty() && continues(&held, &offered) {
        // A side counts as its own, for it may come back with what decides.
        let is_own = |rival: &IdentityLog| common(rival, &offered) > held.ops().len();
        if rivals
            .iter()
            .all(|rival| is_own(rival) || matches!(choose(&offered, rival), Choice::First { .. }))
        {
            keep(tx, Some(&held), &offered, now)?;
            return Ok(Learned::Newer);
        }
        for (number, rival) in (0..).zip(&rivals) {
            if is_own(rival) && choose(rival, &offered) == Choice::Second {
                put_side(tx, number, &offered, held.ops().len())?;
            }
        }
        return Ok(Learned::Disputed);
    }
    match choose(&held, &offered) {
        Choice::Same | Choice::First { forked: false } => Ok(Learned::Known),
        Choice::First { forked: true } => Ok(Learned::Worse),
        // The time in which a root key could veto a recovery is over, there and before.
        Choice::Second | Choice::Frozen { .. } if undoes_recovery(&held, &offered) => {
            Ok(Learned::Worse)
        }
        Choice::Second => {
            keep(tx, Some(&held), &offered, now)?;
            Ok(Learned::Newer)
        }
        Choice::Frozen { at } => {
            let shared = IdentityLog::from_ops(held.ops().iter().take(at).cloned().collect())?;
            keep(tx, Some(&held), &shared, now)?;
            put_side(tx, 0, &held, at)?;
            put_side(tx, 1, &offered, at)?;
            Ok(Learned::Disputed)
        }
    }
}

/// Whether a log goes on where the one held ends.
fn continues(held: &IdentityLog, offered: &IdentityLog) -> bool {
    let len = held.ops().len();
    offered.ops().len() > len && common(held, offered) == len
}

/// Whether a log leaves out a recovery that has taken effect: it parts from the one held there or
/// before.
fn undoes_recovery(held: &IdentityLog, offered: &IdentityLog) -> bool {
    let same = common(held, offered);
    held.recovered_at().is_some_and(|at| usize::from(at) >= same) && offered.ops().len() > same
}

/// Writes the log that holds from now on; whatever was disputed before is not any more.
fn keep(
    tx: &mut Tx<'_>,
    before: Option<&IdentityLog>,
    kept: &IdentityLog,
    now: Timestamp,
) -> Result<(), StoreError> {
    for (key, _) in tx.scan(SIDES, &Scan::prefix(&kept.person().0, 2 * SIDE_OPS_MAX))? {
        tx.delete(SIDES, &key);
    }
    put_log(tx, kept, now)?;
    tx.after(Event::Identity);
    if recovery::is_over(tx, kept, now)? {
        return feed::follow_log(tx, before, &kept.clone().recovered());
    }
    feed::follow_log(tx, before, kept)
}

/// The two logs between which nothing has decided so far; none where nothing is disputed.
fn rivals(rows: &impl Rows, held: &IdentityLog) -> Result<Vec<IdentityLog>, StoreError> {
    let mut found = Vec::new();
    for number in 0..2 {
        let key = side_key(&held.person(), number);
        let side = rows.rows(SIDES, &Scan::prefix(&key, SIDE_OPS_MAX))?;
        if side.is_empty() {
            return Ok(Vec::new());
        }
        let ops = held
            .to_bytes()
            .into_iter()
            .chain(side.into_iter().map(|(_, row)| row.value))
            .collect::<Vec<_>>();
        let damaged = |_| StoreError::Corrupt { table: SIDES.name().to_owned(), key: key.clone() };
        found.push(IdentityLog::verify(&ops).map_err(damaged)?);
    }
    Ok(found)
}

/// Writes what one side says from where the two part.
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
