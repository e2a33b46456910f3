//! Proof that a node key has signed two entries at one place of one feed log. The log ends at the
//! last common entry; the person's other logs go on.

use minicbor::{Decode, Encode};

use super::VerifiedEntry;
use super::{EntryHeader, FeedLogId, RawEntry, jobs, rows};
use crate::identity::PersonId;
use crate::keys::Signature;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most proofs of one person that are read.
const LOOK_MAX: usize = 256;

/// Log → the two headers.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct ForkRow {
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
    /// True if the two sides have every earlier entry in common. If not, an earlier place proves
    /// the fork as well, and the log should end there.
    pub fn is_where_they_part(&self) -> bool {
        let before = |side: &RawEntry| {
            EntryHeader::from_canonical(&side.header).ok().and_then(|header| header.prev)
        };
        self.seq == 0 || before(&self.one) == before(&self.other)
    }
}

/// Stores the proof and ends the log before it. The entries from there on are undone by a job.
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
    // The places beyond stay readable, as part of the proof; the head is where the log ended.
    rows::put_log(tx, &log, &rows::LogRow { retired: true, ..*row })?;
    jobs::undo_from(tx, &log, seq, false)
}

/// The first place at which a log is known to have forked.
pub(super) fn fork_seq(rows: &impl Rows, log: &FeedLogId) -> Result<Option<u64>, StoreError> {
    Ok(row::get::<ForkRow>(rows, &rows::log_key(log))?.map(|fork| fork.seq))
}

/// Deletes the proof of a fork: a root key has vouched for one of its sides.
pub(super) fn forget(tx: &mut Tx<'_>, log: &FeedLogId) {
    row::delete::<ForkRow>(tx, &rows::log_key(log));
}

/// The generation of the last log of this node's lane that has forked, if any has. The next epoch
/// may continue from an entry beyond the fork, which is unknown here since no entry beyond a fork
/// is taken; its generation must not depend on other entries received meanwhile.
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
