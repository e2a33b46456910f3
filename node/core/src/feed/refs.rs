//! Which entries say something about another: edits replace it, tombstones take it back. Kept per
//! author, so that what others say about an entry can neither hide nor delay what its own author
//! says, and ordered, so that one look finds the version that counts.

use minicbor::{Decode, Encode};

use super::{EntryHeader, EntryId, Kind, rows};
use crate::clock::Timestamp;
use crate::identity::PersonId;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Target entry ‖ author ‖ what the referring entry does (one byte) ‖ generation ‖ seq ‖ referring
/// entry.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RefRow {}

impl Record for RefRow {
    const TABLE: Table = Table::new("feed_refs");
    const VERSION: u8 = 2;
}

/// Where what orders referring entries begins in a key.
const RANK_AT: usize = 65;

/// What an entry does to the one it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefKind {
    /// A tombstone in effect.
    TakesBack,
    /// A tombstone that waits out its delay: what it is about is hidden.
    Hides,
    /// An edit in effect, also one that was taken back since: what it replaced does not return.
    Replaces,
    /// An edit from the future: held until it is due.
    WillReplace,
}

/// Where an entry stands among those of its author: the order of versions, which no clock decides.
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

fn prefix(of: &EntryId, author: &PersonId, does: RefKind) -> Vec<u8> {
    let byte = match does {
        RefKind::TakesBack => 0,
        RefKind::Hides => 1,
        RefKind::Replaces => 2,
        RefKind::WillReplace => 3,
    };
    row::key(&[&of.0, &author.0, &[byte]])
}

fn key(of: &EntryId, author: &PersonId, does: RefKind, rank: &Rank) -> Vec<u8> {
    row::key(&[
        &prefix(of, author, does),
        &rank.generation.to_be_bytes(),
        &rank.seq.to_be_bytes(),
        &rank.id.0,
    ])
}

pub(super) fn put(
    tx: &mut Tx<'_>,
    of: &EntryId,
    author: &PersonId,
    does: RefKind,
    rank: &Rank,
) -> Result<(), StoreError> {
    row::put(tx, &key(of, author, does, rank), &RefRow {})
}

pub(super) fn delete(tx: &mut Tx<'_>, of: &EntryId, author: &PersonId, does: RefKind, rank: &Rank) {
    row::delete::<RefRow>(tx, &key(of, author, does, rank));
}

/// Whether this very entry does that.
pub(super) fn has(
    rows: &impl Rows,
    of: &EntryId,
    author: &PersonId,
    does: RefKind,
    rank: &Rank,
) -> Result<bool, StoreError> {
    Ok(row::get::<RefRow>(rows, &key(of, author, does, rank))?.is_some())
}

/// The first entry of an author that does something to another.
pub(super) fn first(
    rows: &impl Rows,
    of: &EntryId,
    author: &PersonId,
    does: RefKind,
) -> Result<Option<Rank>, StoreError> {
    end(rows, Scan::prefix(&prefix(of, author, does), 1))
}

/// The last one.
pub(super) fn last(
    rows: &impl Rows,
    of: &EntryId,
    author: &PersonId,
    does: RefKind,
) -> Result<Option<Rank>, StoreError> {
    end(rows, Scan::prefix(&prefix(of, author, does), 1).reversed())
}

fn end(rows: &impl Rows, scan: Scan) -> Result<Option<Rank>, StoreError> {
    let found = row::scan::<RefRow>(rows, &scan)?;
    Ok(found.first().map(|(key, _)| Rank {
        generation: u64::from_be_bytes(row::key_part(key, RANK_AT)),
        seq: u64::from_be_bytes(row::key_part(key, RANK_AT + 8)),
        id: EntryId(row::key_part(key, RANK_AT + 16)),
    }))
}

/// Whether the author has taken an entry back.
pub(super) fn is_taken_back(
    rows: &impl Rows,
    author: &PersonId,
    of: &EntryId,
) -> Result<bool, StoreError> {
    Ok(first(rows, of, author, RefKind::TakesBack)?.is_some())
}

/// Whether a post of an author is gone for good: taken back (even before it came), expired or void.
pub(super) fn is_gone(
    rows: &impl Rows,
    author: &PersonId,
    post: &EntryId,
) -> Result<bool, StoreError> {
    Ok(is_taken_back(rows, author, post)? || rows::entry(rows, post)?.is_some_and(|row| row.dead))
}

/// Whether an entry is over: taken back, or past its time. A tombstone never is: what it took back
/// does not return.
pub(super) fn is_over(
    rows: &impl Rows,
    id: &EntryId,
    header: &EntryHeader,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if header.kind == Kind::Tombstone {
        return Ok(false);
    }
    Ok(header.expires.is_some_and(|at| at <= now) || is_taken_back(rows, &header.log.person, id)?)
}

/// Whether what an entry says would ever be shown again if it were kept: a version that a later one
/// has replaced, or of a post that is gone, would not.
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
