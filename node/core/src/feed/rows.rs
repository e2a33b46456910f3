//! The rows of entries. A row holds the exact bytes of an entry; a body over 2 KiB is cut into rows
//! of its own, so that the commit that records a deletion also deletes the body.

use minicbor::{Decode, Encode};

use super::{EntryHeader, EntryId, FeedLogHead, FeedLogId, Lane, RawEntry, VerifiedEntry};
use crate::clock::Timestamp;
use crate::hlc::Hlc;
use crate::identity::PersonId;
use crate::keys::{PublicKey, Signature};
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The longest body in the entry's own row, in bytes.
const INLINE_LEN_MAX: usize = 2 * 1024;
/// Bytes of body in each further row.
const PIECE_LEN: usize = 3_800;
/// Length of a log's key: person 32, node 32, lane 16, epoch 8.
const LOG_KEY_LEN: usize = 88;

/// Entry id → the entry.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct EntryRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) header: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) signature: [u8; 64],
    #[cbor(n(2), with = "minicbor::bytes")]
    body: Option<Vec<u8>>,
    #[n(3)]
    pieces: u32,
    /// When this node first stored it.
    #[n(4)]
    pub(super) seen: Timestamp,
    /// Retracted, expired or void: its body is deleted and is not stored again while that is so.
    #[n(5)]
    pub(super) dead: bool,
    /// How many epochs of this node's lane came before.
    #[n(6)]
    pub(super) generation: u64,
    /// Beyond a fork or a retired node's cut-off: it has no effect.
    #[n(7)]
    pub(super) void: bool,
    /// From a retired node, and no cut-off held here vouches for it yet: stored without effect.
    #[cbor(n(8), default)]
    pub(super) waits: bool,
}

impl EntryRow {
    pub(super) fn has_body(&self) -> bool {
        self.body.is_some() || self.pieces > 0
    }
}

impl Record for EntryRow {
    const TABLE: Table = Table::new("feed_entries");
    const VERSION: u8 = 1;
}

/// Entry id ‖ number (two bytes) → a piece of its body.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct PieceRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

impl Record for PieceRow {
    const TABLE: Table = Table::new("feed_bodies");
    const VERSION: u8 = 1;
}

/// Log → its last entry.
#[derive(Clone, Copy, Encode, Decode)]
#[cbor(map)]
pub(super) struct LogRow {
    #[n(0)]
    pub(super) hi: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) head: [u8; 32],
    /// How many epochs of this node's lane came before.
    #[n(2)]
    pub(super) generation: u64,
    /// Forked: nothing more is taken.
    #[n(3)]
    pub(super) retired: bool,
}

impl Record for LogRow {
    const TABLE: Table = Table::new("feed_logs");
    const VERSION: u8 = 1;
}

/// Log ‖ seq → entry id.
#[derive(Encode, Decode)]
#[cbor(map)]
struct PlaceRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    entry: [u8; 32],
}

impl Record for PlaceRow {
    const TABLE: Table = Table::new("feed_places");
    const VERSION: u8 = 1;
}

/// Log key without its epoch → the last epoch's last entry.
#[derive(Clone, Copy, Encode, Decode)]
#[cbor(map)]
pub(super) struct TipRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) head: [u8; 32],
    #[n(1)]
    pub(super) generation: u64,
}

impl Record for TipRow {
    const TABLE: Table = Table::new("feed_tips");
    const VERSION: u8 = 1;
}

/// `own` → the last moment of this person's hybrid clock.
#[derive(Encode, Decode)]
#[cbor(map)]
struct ClockRow {
    #[n(0)]
    last: u64,
}

impl Record for ClockRow {
    const TABLE: Table = Table::new("feed_clock");
    const VERSION: u8 = 1;
}

const OWN: &[u8] = b"own";

pub(super) fn log_key(log: &FeedLogId) -> Vec<u8> {
    row::key(&[&log.person.0, log.node.as_bytes(), &log.lane.0, &log.epoch.to_be_bytes()])
}

fn place_key(log: &FeedLogId, seq: u64) -> Vec<u8> {
    row::key(&[&log_key(log), &seq.to_be_bytes()])
}

/// The key of a node's lane, which begins the keys of all its logs.
pub(super) fn lane_key(log: &FeedLogId) -> Vec<u8> {
    row::key(&[&log.person.0, log.node.as_bytes(), &log.lane.0])
}

pub(super) fn log_of_key(key: &[u8]) -> Result<FeedLogId, StoreError> {
    let damaged =
        || StoreError::Corrupt { table: LogRow::TABLE.name().to_owned(), key: key.to_vec() };
    if key.len() != LOG_KEY_LEN {
        return Err(damaged());
    }
    let node = PublicKey::from_ed25519(row::key_part(key, 32)).map_err(|_| damaged())?;
    let epoch = u64::from_be_bytes(row::key_part(key, 80));
    Ok(FeedLogId {
        person: PersonId(row::key_part(key, 0)),
        node,
        lane: Lane(row::key_part(key, 64)),
        epoch,
    })
}

pub(super) fn entry(rows: &impl Rows, id: &EntryId) -> Result<Option<EntryRow>, StoreError> {
    row::get(rows, &id.0)
}

/// The header of a stored entry; a stored header that cannot be read is damage.
pub(super) fn header(id: &EntryId, entry: &EntryRow) -> Result<EntryHeader, StoreError> {
    EntryHeader::from_canonical(&entry.header).map_err(|_| StoreError::Corrupt {
        table: EntryRow::TABLE.name().to_owned(),
        key: id.0.to_vec(),
    })
}

/// The entry in its wire form, with its body if that is still stored.
pub(super) fn raw(rows: &impl Rows, id: &EntryId, entry: EntryRow) -> Result<RawEntry, StoreError> {
    let body = match entry.body {
        Some(body) => Some(body),
        None if entry.pieces > 0 => {
            let pieces = row::scan::<PieceRow>(rows, &Scan::prefix(&id.0, entry.pieces as usize))?;
            if pieces.len() != entry.pieces as usize {
                return Err(StoreError::Corrupt {
                    table: PieceRow::TABLE.name().to_owned(),
                    key: id.0.to_vec(),
                });
            }
            Some(pieces.into_iter().flat_map(|(_, piece)| piece.bytes).collect())
        }
        None => None,
    };
    Ok(RawEntry { header: entry.header, signature: Signature(entry.signature), body })
}

/// The fields of an entry's row beside its bytes.
#[derive(Clone, Copy)]
pub(super) struct Circumstances {
    pub(super) seen: Timestamp,
    pub(super) with_body: bool,
    pub(super) generation: u64,
    pub(super) waits: bool,
}

/// Writes an entry's bytes.
pub(super) fn put_entry(
    tx: &mut Tx<'_>,
    id: &EntryId,
    raw: &RawEntry,
    how: Circumstances,
) -> Result<(), StoreError> {
    let body = raw.body.as_deref().filter(|_| how.with_body);
    let mut pieces = 0u32;
    if let Some(long) = body.filter(|body| body.len() > INLINE_LEN_MAX) {
        for (number, piece) in (0u16..).zip(long.chunks(PIECE_LEN)) {
            row::put(
                tx,
                &row::key(&[&id.0, &number.to_be_bytes()]),
                &PieceRow { bytes: piece.to_vec() },
            )?;
            pieces += 1;
        }
    }
    let value = EntryRow {
        header: raw.header.clone(),
        signature: raw.signature.0,
        body: body.filter(|body| body.len() <= INLINE_LEN_MAX).map(<[u8]>::to_vec),
        pieces,
        seen: how.seen,
        dead: false,
        generation: how.generation,
        void: false,
        waits: how.waits,
    };
    row::put(tx, &id.0, &value)
}

/// Lets a waiting entry take effect.
pub(super) fn release(tx: &mut Tx<'_>, id: &EntryId, entry: EntryRow) -> Result<(), StoreError> {
    row::put(tx, &id.0, &EntryRow { waits: false, ..entry })
}

/// Deletes an entry's body, if it has one; the header stays.
pub(super) fn drop_body(tx: &mut Tx<'_>, id: &EntryId) -> Result<(), StoreError> {
    match entry(tx, id)?.filter(EntryRow::has_body) {
        Some(row) => put_bare(tx, id, row),
        None => Ok(()),
    }
}

/// Writes an entry's row without its body.
pub(super) fn put_bare(tx: &mut Tx<'_>, id: &EntryId, entry: EntryRow) -> Result<(), StoreError> {
    if entry.pieces > 0 {
        for (key, _) in row::scan::<PieceRow>(tx, &Scan::prefix(&id.0, usize::from(u16::MAX)))? {
            row::delete::<PieceRow>(tx, &key);
        }
    }
    row::put(tx, &id.0, &EntryRow { body: None, pieces: 0, ..entry })
}

pub(super) fn log(rows: &impl Rows, log: &FeedLogId) -> Result<Option<LogRow>, StoreError> {
    row::get(rows, &log_key(log))
}

pub(super) fn put_log(tx: &mut Tx<'_>, log: &FeedLogId, value: &LogRow) -> Result<(), StoreError> {
    row::put(tx, &log_key(log), value)
}

/// Makes `id` the last entry of its log, and of its node's lane unless a later epoch is known.
pub(super) fn advance(
    tx: &mut Tx<'_>,
    log: &FeedLogId,
    seq: u64,
    id: &EntryId,
    generation: u64,
) -> Result<(), StoreError> {
    put_log(tx, log, &LogRow { hi: seq, head: id.0, generation, retired: false })?;
    row::put(tx, &place_key(log, seq), &PlaceRow { entry: id.0 })?;
    if tip(tx, log)?.is_none_or(|tip| generation >= tip.generation) {
        row::put(tx, &lane_key(log), &TipRow { head: id.0, generation })?;
    }
    Ok(())
}

/// Ends a log at the entry before `from`, or removes the log if there is none.
pub(super) fn cut_log(
    tx: &mut Tx<'_>,
    log: &FeedLogId,
    held: &LogRow,
    from: u64,
) -> Result<(), StoreError> {
    let last = match from.checked_sub(1) {
        Some(hi) => at(tx, log, hi)?.map(|head| LogRow { hi, head: head.0, ..*held }),
        None => None,
    };
    match last {
        Some(last) => put_log(tx, log, &last),
        None => {
            row::delete::<LogRow>(tx, &log_key(log));
            Ok(())
        }
    }
}

/// Deletes the place of an entry in its log; the entry itself stays.
pub(super) fn forget_place(tx: &mut Tx<'_>, log: &FeedLogId, seq: u64) {
    row::delete::<PlaceRow>(tx, &place_key(log, seq));
}

pub(super) fn tip(rows: &impl Rows, log: &FeedLogId) -> Result<Option<TipRow>, StoreError> {
    row::get(rows, &lane_key(log))
}

pub(super) fn at(
    rows: &impl Rows,
    log: &FeedLogId,
    seq: u64,
) -> Result<Option<EntryId>, StoreError> {
    Ok(row::get::<PlaceRow>(rows, &place_key(log, seq))?.map(|place| EntryId(place.entry)))
}

/// At most `limit` entry ids of a log, from the place `from` on.
pub(super) fn places(
    rows: &impl Rows,
    log: &FeedLogId,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, EntryId)>, StoreError> {
    let mut scan = Scan::prefix(&log_key(log), limit);
    if let Some(before) = from.checked_sub(1) {
        scan = scan.after(&place_key(log, before));
    }
    let rows = row::scan::<PlaceRow>(rows, &scan)?;
    Ok(rows
        .into_iter()
        .map(|(key, place)| {
            (u64::from_be_bytes(row::key_part(&key, LOG_KEY_LEN)), EntryId(place.entry))
        })
        .collect())
}

/// Logs of one of a person's nodes, past the one of the key `after`.
pub(super) fn logs_of_node(
    rows: &impl Rows,
    person: &PersonId,
    node: &PublicKey,
    after: &[u8],
    limit: usize,
) -> Result<Vec<(FeedLogId, LogRow)>, StoreError> {
    let scan = Scan::prefix(&row::key(&[&person.0, node.as_bytes()]), limit);
    let rows = row::scan::<LogRow>(rows, &if after.is_empty() { scan } else { scan.after(after) })?;
    rows.into_iter().map(|(key, row)| Ok((log_of_key(&key)?, row))).collect()
}

/// The logs of a person.
pub(super) fn logs(
    rows: &impl Rows,
    person: &PersonId,
    limit: usize,
) -> Result<Vec<(FeedLogId, LogRow)>, StoreError> {
    let rows = row::scan::<LogRow>(rows, &Scan::prefix(&person.0, limit))?;
    rows.into_iter().map(|(key, row)| Ok((log_of_key(&key)?, row))).collect()
}

pub(super) fn log_head(log: FeedLogId, row: &LogRow) -> FeedLogHead {
    FeedLogHead { log, lo: 0, hi: row.hi, head: EntryId(row.head) }
}

pub(super) fn clock(rows: &impl Rows) -> Result<Hlc, StoreError> {
    Ok(row::get::<ClockRow>(rows, OWN)?.map_or(Hlc::default(), |clock| Hlc(clock.last)))
}

pub(super) fn put_clock(tx: &mut Tx<'_>, last: Hlc) -> Result<(), StoreError> {
    row::put(tx, OWN, &ClockRow { last: last.0 })
}

/// An entry as stored, with its generation. Rows hold verified entries alone, and the store notices
/// a row that was changed.
pub(super) fn verified(
    rows: &impl Rows,
    id: &EntryId,
) -> Result<Option<(VerifiedEntry, u64)>, StoreError> {
    let Some(row) = entry(rows, id)? else { return Ok(None) };
    let header = header(id, &row)?;
    let (seen, generation) = (row.seen, row.generation);
    let raw = raw(rows, id, row)?;
    Ok(Some((VerifiedEntry::reload(*id, header, raw, seen), generation)))
}
