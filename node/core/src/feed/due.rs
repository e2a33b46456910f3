//! The schedule of entries that something happens to at a certain time: an entry from the future is
//! shown, an expired one loses its body, a delayed tombstone or edit takes effect. This module
//! writes and reads the schedule; `steps` does what is due.

use minicbor::{Decode, Encode};

use super::refs::Rank;
use super::{EntryId, jobs};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// Milliseconds ‖ generation ‖ seq ‖ entry → the action that is due.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct DueRow {
    #[n(0)]
    pub(super) what: What,
}

/// The action that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(super) enum What {
    /// An entry from the future takes effect.
    #[n(0)]
    Release,
    /// The body of an expired entry is deleted.
    #[n(1)]
    Expire,
    /// A delayed tombstone or edit takes effect.
    #[n(2)]
    Confirm,
}

impl Record for DueRow {
    const TABLE: Table = Table::new("feed_due");
    const VERSION: u8 = 1;
}

pub(super) fn release_at(tx: &mut Tx<'_>, at: Timestamp, rank: &Rank) -> Result<(), StoreError> {
    row::put(tx, &key(at, rank), &DueRow { what: What::Release })
}

pub(super) fn confirm_at(tx: &mut Tx<'_>, at: Timestamp, rank: &Rank) -> Result<(), StoreError> {
    row::put(tx, &key(at, rank), &DueRow { what: What::Confirm })
}

fn key(at: Timestamp, rank: &Rank) -> Vec<u8> {
    row::key(&[
        &at.0.to_be_bytes(),
        &rank.generation.to_be_bytes(),
        &rank.seq.to_be_bytes(),
        &rank.id.0,
    ])
}

pub(super) fn expire_at(tx: &mut Tx<'_>, at: Timestamp, id: &EntryId) -> Result<(), StoreError> {
    // After everything that is released in the same millisecond.
    let last = u64::MAX.to_be_bytes();
    row::put(
        tx,
        &row::key(&[&at.0.to_be_bytes(), &last, &last, &id.0]),
        &DueRow { what: What::Expire },
    )
}

/// The time at which the next entry is due, or zero while a job is left; `None` if nothing waits.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn next_due(node: &Node) -> Result<Option<Timestamp>, StoreError> {
    if jobs::any(&node.store)? {
        return Ok(Some(Timestamp(0)));
    }
    let first = node.store.scan(DueRow::TABLE, &Scan::prefix(&[], 1))?;
    Ok(first.first().map(|(key, _)| Timestamp(u64::from_be_bytes(row::key_part(key, 0)))))
}
