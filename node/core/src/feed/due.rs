//! The schedule of entries that something happens to at a certain time: an entry from the future is
//! shown, an expired one loses its body, a delayed tombstone or edit takes effect. This module writes
//! and reads the schedule; `steps` does what is due.

use minicbor::{Decode, Encode};

use super::refs::Rank;
use super::{EntryId, jobs};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// Milliseconds ‖ generation ‖ seq ‖ entry → what is due.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct DueRow {
    #[n(0)]
    pub(super) what: What,
}

/// What happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(super) enum What {
    /// It takes effect: it was from the future.
    #[n(0)]
    Release,
    /// Its body is dropped.
    #[n(1)]
    Expire,
    /// A tombstone takes back what it has hidden so far, an edit replaces what was shown so far.
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

/// When the next entry is due, or the beginning of time while there is work left over; `None` when
/// nothing waits.
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
