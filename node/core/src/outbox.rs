//! The outbox: one record per entry of this node, in the order of their commits, numbered from 1
//! without gaps. Federation sends the entries to friends and has a cursor per friend here.
//!
//! A record is written in the same commit as its entry, so nothing is lost while federation does not
//! run. Only durable records are read: no entry may be sent that a power cut can still remove.

use minicbor::{Decode, Encode};

use freehold_proto::entry::{EntryId, FeedLogId, Lane};
use freehold_proto::identity::PersonId;

use crate::events::Event;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// The record of one entry of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxRecord {
    /// The entry.
    pub entry: EntryId,
    /// The log it is in.
    pub log: FeedLogId,
    /// Its sequence number in that log.
    pub seq: u64,
}

/// Under the record's number (8 bytes, big-endian).
#[derive(Encode, Decode)]
#[cbor(map)]
struct RecordRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    entry: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    person: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    node: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    lane: [u8; 16],
    #[n(4)]
    epoch: u64,
    #[n(5)]
    seq: u64,
}

impl Record for RecordRow {
    const TABLE: Table = Table::new("journal");
    const VERSION: u8 = 1;
}

/// The number of the last record.
#[derive(Encode, Decode)]
#[cbor(map)]
struct HeadRow {
    #[n(0)]
    last: u64,
}

impl Record for HeadRow {
    const TABLE: Table = Table::new("journal_head");
    const VERSION: u8 = 1;
}

/// Under a friend's id: the last record whose entry the friend's node has acknowledged as durable.
#[derive(Encode, Decode)]
#[cbor(map)]
struct CursorRow {
    #[n(0)]
    acknowledged: u64,
}

impl Record for CursorRow {
    const TABLE: Table = Table::new("journal_cursor");
    const VERSION: u8 = 1;
}

const HEAD: &[u8] = b"head";

/// Writes the next record, within the commit that writes its entry.
pub(crate) fn append(tx: &mut Tx<'_>, record: &OutboxRecord) -> Result<u64, StoreError> {
    let last = row::get::<HeadRow>(tx, HEAD)?.map_or(0, |head| head.last) + 1;
    row::put(tx, HEAD, &HeadRow { last })?;
    let OutboxRecord { entry, log, seq } = record;
    let value = RecordRow {
        entry: entry.0,
        person: log.person.0,
        node: *log.node.as_bytes(),
        lane: log.lane.0,
        epoch: log.epoch,
        seq: *seq,
    };
    row::put(tx, &last.to_be_bytes(), &value)?;
    tx.after(Event::Outbox);
    Ok(last)
}

/// Records with numbers above `after`, at most `limit`, each with its number.
///
/// # Errors
/// When the store is unavailable or a record is damaged.
pub fn read(node: &Node, after: u64, limit: usize) -> Result<Vec<(u64, OutboxRecord)>, StoreError> {
    let rows =
        row::scan::<RecordRow>(&node.store, &Scan::prefix(&[], limit).after(&after.to_be_bytes()))?;
    rows.into_iter()
        .map(|(key, row)| Ok((u64::from_be_bytes(row::key_part(&key, 0)), record(&key, &row)?)))
        .collect()
}

fn record(key: &[u8], row: &RecordRow) -> Result<OutboxRecord, StoreError> {
    let damaged =
        |_| StoreError::Corrupt { table: RecordRow::TABLE.name().to_owned(), key: key.to_vec() };
    let node = PublicKey::from_ed25519(row.node).map_err(damaged)?;
    let log =
        FeedLogId { person: PersonId(row.person), node, lane: Lane(row.lane), epoch: row.epoch };
    Ok(OutboxRecord { entry: EntryId(row.entry), log, seq: row.seq })
}

/// The number of the last durable record; 0 when there is none.
///
/// # Errors
/// As [`read`].
pub fn durable_head(node: &Node) -> Result<u64, StoreError> {
    Ok(row::get::<HeadRow>(&node.store, HEAD)?.map_or(0, |head| head.last))
}

/// The last number that a friend's node has acknowledged; 0 when there is none.
///
/// # Errors
/// As [`read`].
pub fn cursor(node: &Node, friend: &PersonId) -> Result<u64, StoreError> {
    Ok(row::get::<CursorRow>(&node.store, &friend.0)?.map_or(0, |cursor| cursor.acknowledged))
}

/// Moves a friend's cursor to an acknowledged record. The cursor never moves back, because
/// acknowledgements may arrive out of order.
///
/// # Errors
/// As [`read`], or when the store takes no changes.
pub async fn set_cursor(
    node: &Node,
    friend: &PersonId,
    acknowledged: u64,
) -> Result<(), StoreError> {
    let friend = *friend;
    let set = move |tx: &mut Tx<'_>| {
        let before = row::get::<CursorRow>(tx, &friend.0)?.map_or(0, |cursor| cursor.acknowledged);
        if acknowledged > before {
            row::put(tx, &friend.0, &CursorRow { acknowledged })?;
            tx.after(Event::DeliveryStatus);
        }
        Ok(())
    };
    node.store.commit(set).await
}

/// Broken invariants of the outbox, a sentence each: gaps, records without an entry, a wrong head.
///
/// # Errors
/// As [`read`].
pub fn check(
    node: &Node,
    has_entry: impl Fn(&EntryId) -> Result<bool, StoreError>,
) -> Result<Vec<String>, StoreError> {
    let head = durable_head(node)?;
    let (mut wrong, mut last) = (Vec::new(), 0);
    loop {
        let page = read(node, last, 256)?;
        if page.is_empty() {
            break;
        }
        for (number, record) in page {
            if number != last + 1 {
                wrong.push(format!("outbox: record {number} follows record {last}"));
            }
            if !has_entry(&record.entry)? {
                wrong.push(format!("outbox: record {number} has no entry"));
            }
            last = number;
        }
    }
    if last != head {
        wrong.push(format!("outbox: the last record is {last}, the head row says {head}"));
    }
    Ok(wrong)
}
