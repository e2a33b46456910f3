//! A stolen node key could take back a whole life in a minute. More than 50 tombstones a day from one node take effect after 72 hours,
//! which leaves time to retire the node; what they are about is hidden meanwhile. What a root key's cut-off vouches for does not wait.

use minicbor::{Decode, Encode};

use super::refs::{self, Does};
use super::rows;
use super::verify::VerifiedEntry;
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table, Tx};

/// Tombstones of one node that take effect at once in one day.
pub(super) const A_DAY: u32 = 50;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const DELAY_MS: u64 = 72 * 60 * 60 * 1000;

/// Person ‖ node → since when how many tombstones have been counted. By this node's clock: the author's could be set back.
#[derive(Encode, Decode)]
#[cbor(map)]
struct BrakeRow {
    #[n(0)]
    since: Timestamp,
    #[n(1)]
    count: u32,
}

impl Record for BrakeRow {
    const TABLE: Table = Table::new("feed_brakes");
    const VERSION: u8 = 1;
}

/// Until when a tombstone must wait; `None` if it takes effect now. Counts it.
pub(super) fn until(tx: &mut Tx<'_>, node: &Node, tombstone: &VerifiedEntry) -> Result<Option<Timestamp>, StoreError> {
    if tombstone.is_vouched() || takes_nothing(tx, tombstone)? {
        return Ok(None);
    }
    let (log, now) = (tombstone.header().log, node.clock.now());
    let key = row::key(&[&log.person.0, log.node.as_bytes()]);
    let today = row::get::<BrakeRow>(tx, &key)?.filter(|row| now.millis_since(row.since) < DAY_MS);
    let mut row = today.unwrap_or(BrakeRow { since: now, count: 0 });
    row.count = row.count.saturating_add(1);
    row::put(tx, &key, &row)?;
    Ok((row.count > A_DAY).then(|| now.plus_millis(DELAY_MS)))
}

/// Whether what it is about is here and has nothing left to lose: who meets a long history gets bare headers and old tombstones.
fn takes_nothing(rows: &impl Rows, tombstone: &VerifiedEntry) -> Result<bool, StoreError> {
    let Some(of) = tombstone.header().refs.first() else { return Ok(true) };
    let Some(target) = rows::entry(rows, of)? else { return Ok(false) };
    let author = tombstone.header().log.person;
    if target.has_body() {
        return Ok(rows::header(of, &target)?.log.person != author);
    }
    let newest = refs::last(rows, of, &author, Does::Replaces)?;
    Ok(match newest {
        Some(newest) => rows::entry(rows, &newest.id)?.is_none_or(|row| !row.has_body()),
        None => true,
    })
}
