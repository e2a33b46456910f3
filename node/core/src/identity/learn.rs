//! Other people's logs, and one's own as it grows: the longest valid one is kept, and of two that part the better one.

use std::sync::Arc;

use minicbor::{Decode, Encode};

use super::fork::{Choice, choose};
use super::{IdentityLog, LogError, OPS, PersonId, put_log, stored_log};
use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{StoreError, Table, Tx};

/// Person → the two ops that nothing decides between.
#[derive(Encode, Decode)]
#[cbor(map)]
struct DisputeRow {
    /// Where the logs part.
    #[n(0)]
    at: u16,
    #[cbor(n(1), with = "minicbor::bytes")]
    one: Vec<u8>,
    /// How long the other is: both may not fit one row.
    #[n(2)]
    other_len: u32,
}

impl Record for DisputeRow {
    const TABLE: Table = Table::new("identity_disputes");
    const VERSION: u8 = 1;
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
    #[error(transparent)]
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
    stored_log(person, |scan| node.store.scan(OPS, scan))
}

/// Verifies a log from its exact bytes and keeps it if it is better than the one held.
///
/// # Errors
/// When it is not valid, or the store takes no changes.
pub async fn learn(node: &Node, ops: Vec<Vec<u8>>) -> Result<(PersonId, Learned), LearnError> {
    let offered = IdentityLog::verify(&ops)?;
    let person = offered.person();
    let (learned, log) = node.store.commit(move |tx| keep_better(tx, offered)).await?;
    if node.identity.person() == Some(person) {
        node.identity.become_of(Arc::new(log));
    }
    Ok((person, learned))
}

/// Whether nothing decides between two versions of a person's log; where they part.
///
/// # Errors
/// As [`log_of`].
pub fn dispute(node: &Node, person: &PersonId) -> Result<Option<u16>, StoreError> {
    Ok(row::get::<DisputeRow>(&node.store, &person.0)?.map(|row| row.at))
}

fn keep_better(tx: &mut Tx<'_>, offered: IdentityLog) -> Result<(Learned, IdentityLog), LearnError> {
    let person = offered.person();
    let Some(held) = stored_log(&person, |scan| tx.scan(OPS, scan))? else {
        put_log(tx, &offered)?;
        tx.after(Event::Identity);
        return Ok((Learned::Newer, offered));
    };
    let disputed = row::get::<DisputeRow>(tx, &person.0)?;
    if disputed.is_some_and(|row| offered.ops().len() > usize::from(row.at)) {
        return Ok((Learned::Disputed, held));
    }
    let (learned, kept) = match choose(&held, &offered) {
        Choice::Same | Choice::First { parted: false } => (Learned::Known, held),
        Choice::First { parted: true } => (Learned::Worse, held),
        Choice::Second => (Learned::Newer, offered),
        Choice::Frozen { at } => {
            let one = held.ops().get(at).map(|op| op.as_bytes().to_vec()).unwrap_or_default();
            let other_len = offered.ops().get(at).map_or(0, |op| u32::try_from(op.as_bytes().len()).unwrap_or(u32::MAX));
            let row = DisputeRow { at: u16::try_from(at).unwrap_or(u16::MAX), one, other_len };
            row::put(tx, &person.0, &row)?;
            (Learned::Disputed, IdentityLog::from_ops(held.ops().iter().take(at).cloned().collect())?)
        }
    };
    if matches!(learned, Learned::Newer | Learned::Disputed) {
        put_log(tx, &kept)?;
        tx.after(Event::Identity);
    }
    Ok((learned, kept))
}
