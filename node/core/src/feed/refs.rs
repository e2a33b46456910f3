//! Back-references: the edits and tombstones that refer to an entry. They are stored by author, so
//! that the entries of others can neither hide nor delay the author's own, and in order, so that
//! one read finds the version that counts.

use minicbor::{Decode, Encode};

use super::{EntryHeader, EntryId, Kind, rows};
use crate::clock::Timestamp;
use crate::identity::PersonId;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Target entry ‖ author ‖ kind of reference (one byte) ‖ generation ‖ seq ‖ referring entry.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RefRow {}

impl Record for RefRow {
    const TABLE: Table = Table::new("feed_refs");
    const VERSION: u8 = 2;
}

/// The offset of the rank in a key.
const RANK_AT: usize = 65;

/// The effect of an entry on the one it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefKind {
    /// A tombstone in effect.
    Retracts,
    /// A delayed tombstone: its target is hidden.
    Hides,
    /// An edit in effect, also one that was deleted since: the version it replaced does not return.
    Replaces,
    /// An edit from the future: held until it is due.
    WillReplace,
}

/// The place of an entry among those of its author: the order of versions. No clock decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) generation: u64,
    pub(super) seq: u64,
    pub(super) id: EntryId,
}

impl Rank {
    pub(super) fn of(id: &EntryId, header: &EntryHeader, generation: u64) -> Self {
        Self { generation, seq: header.seq, id: *id }
    }
}

impl RefKind {
    /// Every effect.
    pub(super) const ALL: [Self; 4] =
        [Self::Retracts, Self::Hides, Self::Replaces, Self::WillReplace];
}

fn prefix(of: &EntryId, author: &PersonId, kind: RefKind) -> Vec<u8> {
    let byte = match kind {
        RefKind::Retracts => 0,
        RefKind::Hides => 1,
        RefKind::Replaces => 2,
        RefKind::WillReplace => 3,
    };
    row::key(&[&of.0, &author.0, &[byte]])
}

fn key(of: &EntryId, author: &PersonId, kind: RefKind, rank: &Rank) -> Vec<u8> {
    row::key(&[
        &prefix(of, author, kind),
        &rank.generation.to_be_bytes(),
        &rank.seq.to_be_bytes(),
        &rank.id.0,
    ])
}

pub(super) fn put(
    tx: &mut Tx<'_>,
    of: &EntryId,
    author: &PersonId,
    kind: RefKind,
    rank: &Rank,
) -> Result<(), StoreError> {
    row::put(tx, &key(of, author, kind, rank), &RefRow {})
}

pub(super) fn delete(tx: &mut Tx<'_>, of: &EntryId, author: &PersonId, kind: RefKind, rank: &Rank) {
    row::delete::<RefRow>(tx, &key(of, author, kind, rank));
}

/// True if this very entry has this effect.
pub(super) fn has(
    rows: &impl Rows,
    of: &EntryId,
    author: &PersonId,
    kind: RefKind,
    rank: &Rank,
) -> Result<bool, StoreError> {
    Ok(row::get::<RefRow>(rows, &key(of, author, kind, rank))?.is_some())
}

/// The first entry of an author with this effect on another.
pub(super) fn first(
    rows: &impl Rows,
    of: &EntryId,
    author: &PersonId,
    kind: RefKind,
) -> Result<Option<Rank>, StoreError> {
    end(rows, Scan::prefix(&prefix(of, author, kind), 1))
}

/// The last one.
pub(super) fn last(
    rows: &impl Rows,
    of: &EntryId,
    author: &PersonId,
    kind: RefKind,
) -> Result<Option<Rank>, StoreError> {
    end(rows, Scan::prefix(&prefix(of, author, kind), 1).reversed())
}

fn end(rows: &impl Rows, scan: Scan) -> Result<Option<Rank>, StoreError> {
    let found = row::scan::<RefRow>(rows, &scan)?;
    Ok(found.first().map(|(key, _)| Rank {
        generation: u64::from_be_bytes(row::key_part(key, RANK_AT)),
        seq: u64::from_be_bytes(row::key_part(key, RANK_AT + 8)),
        id: EntryId(row::key_part(key, RANK_AT + 16)),
    }))
}

/// True if the author has deleted an entry.
pub(super) fn is_retracted(
    rows: &impl Rows,
    author: &PersonId,
    of: &EntryId,
) -> Result<bool, StoreError> {
    Ok(first(rows, of, author, RefKind::Retracts)?.is_some())
}

/// True if a post of an author is gone: deleted (even before it was received), expired or void.
pub(super) fn is_gone(
    rows: &impl Rows,
    author: &PersonId,
    post: &EntryId,
) -> Result<bool, StoreError> {
    Ok(is_retracted(rows, author, post)? || rows::entry(rows, post)?.is_some_and(|row| row.dead))
}

/// True if an entry is over: deleted, or expired. A tombstone never is, so that its target does not
/// return.
pub(super) fn is_over(
    rows: &impl Rows,
    id: &EntryId,
    header: &EntryHeader,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if header.kind == Kind::Tombstone {
        return Ok(false);
    }
    Ok(header.expires.is_some_and(|at| at <= now) || is_retracted(rows, &header.log.person, id)?)
}

/// True if the body of an entry would never be shown: a later version has replaced it, or its post
/// is gone.
pub(super) fn is_past(
    rows: &impl Rows,
    header: &EntryHeader,
    rank: &Rank,
) -> Result<bool, StoreError> {
    let author = &header.log.person;
    match (header.kind, header.refs.first()) {
        (Kind::Post, _) => Ok(last(rows, &rank.id, author, RefKind::Replaces)?.is_some()),
        (Kind::Edit, Some(of)) => Ok(is_gone(rows, author, of)?
            || last(rows, of, author, RefKind::Replaces)?.is_some_and(|newest| newest > *rank)),
        _ => Ok(false),
    }
}
