//! Proof that a key has signed two entries at one place of one log. The log ends at the last common
//! entry; the person goes on.

use minicbor::{Decode, Encode};

use super::VerifiedEntry;
use super::{EntryHeader, FeedLogId, RawEntry, jobs, rows};
use crate::identity::PersonId;
use crate::keys::Signature;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Proofs kept of one person, at most, in one look.
const LOOK_MAX: usize = 256;

/// Log → the two headers.
#[derive(Encode, Decode)]
#[cbor(map)]
struct ForkRow {
    #[n(0)]
    seq: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    header: Vec<u8>,
    #[cbor(n(2), with = "minicbor::bytes")]
    signature: [u8; 64],
    #[cbor(n(3), with = "minicbor::bytes")]
    other_header: Vec<u8>,
    #[cbor(n(4), with = "minicbor::bytes")]
    other_signature: [u8; 64],
}

impl Record for ForkRow {
    const TABLE: Table = Table::new("feed_forks");
    const VERSION: u8 = 1;
}

/// Two entries at one place of a log, each signed by the same node key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The log.
    pub log: FeedLogId,
    /// The place.
    pub seq: u64,
    /// One, without its body.
    pub one: RawEntry,
    /// The other, without its body.
    pub other: RawEntry,
}

impl Fork {
    /// Whether the two sides have all that came before in common. If not, an earlier place of the
    /// log proves the fork as well, and is where the log ought to end.
    pub fn is_where_they_part(&self) -> bool {
        let before = |side: &RawEntry| {
            EntryHeader::from_canonical(&side.header).ok().and_then(|header| header.prev)
        };
        self.seq == 0 || before(&self.one) == before(&self.other)
    }
}

/// Keeps the proof and ends the log before it, at once; what came from there on is undone step by
/// step.
pub(super) fn found(
    tx: &mut Tx<'_>,
    entry: &VerifiedEntry,
    row: &rows::LogRow,
) -> Result<(), StoreError> {
    let (log, seq) = (entry.header().log, entry.header().seq);
    let Some(held) = rows::at(tx, &log, seq)? else { return Ok(()) };
    let Some(held_row) = rows::entry(tx, &held)? else { return Ok(()) };
    let proof = ForkRow {
        seq,
        header: held_row.header,
        signature: held_row.signature,
        other_header: entry.raw().header.clone(),
        other_signature: entry.raw().signature.0,
    };
    row::put(tx, &rows::log_key(&log), &proof)?;
    // The places beyond stay readable, as part of the proof; the head says where the log ended.
    rows::put_log(tx, &log, &rows::LogRow { retired: true, ..*row })?;
    jobs::undo_from(tx, &log, seq, false)
}

/// Where a log has forked, as far as is known.
pub(super) fn place(rows: &impl Rows, log: &FeedLogId) -> Result<Option<u64>, StoreError> {
    Ok(row::get::<ForkRow>(rows, &rows::log_key(log))?.map(|fork| fork.seq))
}

/// Forgets that a log has forked: a root key has said which of its sides counts.
pub(super) fn forget(tx: &mut Tx<'_>, log: &FeedLogId) {
    row::delete::<ForkRow>(tx, &rows::log_key(log));
}

/// How many epochs came before the last log of this node's lane that has forked, if any has. What
/// the next epoch continues from may then be unknown here, for nothing is taken beyond a fork;
/// whatever else has come meanwhile must have no say in where it stands.
pub(super) fn generation(tx: &Tx<'_>, log: &FeedLogId) -> Result<Option<u64>, StoreError> {
    let mut last = None;
    for (key, _) in row::scan::<ForkRow>(tx, &Scan::prefix(&rows::lane_key(log), LOOK_MAX))? {
        let forked = rows::log(tx, &rows::log_of_key(&key)?)?;
        last = last.max(forked.map(|forked| forked.generation));
    }
    Ok(last)
}

/// The forks of a person's logs, each with its proof.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn forks(node: &Node, person: &PersonId) -> Result<Vec<Fork>, StoreError> {
    let rows = row::scan::<ForkRow>(&node.store, &Scan::prefix(&person.0, LOOK_MAX))?;
    let fork = |(key, row): (Vec<u8>, ForkRow)| {
        let one = RawEntry { header: row.header, signature: Signature(row.signature), body: None };
        let other = RawEntry {
            header: row.other_header,
            signature: Signature(row.other_signature),
            body: None,
        };
        Ok(Fork { log: rows::log_of_key(&key)?, seq: row.seq, one, other })
    };
    rows.into_iter().map(fork).collect()
}
