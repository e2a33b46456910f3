//! The limit of deletions: with a stolen node key an attacker could delete all posts in a minute,
//! or empty them by edits. Beyond 50 a day, the tombstones and edits of one node take effect after
//! 72 hours, which leaves time to retire the node. Meanwhile the target of such a tombstone is
//! hidden, and the target of such an edit stays as it was. Entries that a cut-off vouches for do
//! not wait.

use minicbor::{Decode, Encode};

use super::VerifiedEntry;
use super::refs::{self, Rank, RefKind};
use super::{EntryId, FeedLogId, Kind, rows};
use crate::clock::Timestamp;
use crate::identity::PersonId;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table, Tx};

/// Tombstones and edits of one node that take effect at once in any 24 hours.
pub(super) const A_DAY: usize = 50;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const DELAY_MS: u64 = 72 * 60 * 60 * 1000;

/// Person ‖ node → the times at which its last tombstones and edits took effect at once, oldest
/// first, on this node's clock: the author could set theirs back. The fields 0 and 1 were a count
/// that restarted each day, which let twice as many through around midnight.
#[derive(Default, Encode, Decode)]
#[cbor(map)]
pub(super) struct RetractionRow {
    #[cbor(n(2), default)]
    at_once: Vec<Timestamp>,
}

impl Record for RetractionRow {
    const TABLE: Table = Table::new("feed_brakes");
    const VERSION: u8 = 1;
}

/// Counts a tombstone. Returns the time until which it must wait, or `None` if it takes effect now.
pub(super) fn until(
    tx: &mut Tx<'_>,
    node: &Node,
    tombstone: &VerifiedEntry,
) -> Result<Option<Timestamp>, StoreError> {
    if tombstone.is_vouched() || loses_nothing(tx, tombstone)? {
        return Ok(None);
    }
    count(tx, node, &tombstone.header().log)
}

/// [`until`] for an edit, which drops the version it replaces even if the edit itself was deleted
/// meanwhile.
pub(super) fn until_edited(
    tx: &mut Tx<'_>,
    node: &Node,
    log: &FeedLogId,
    post: &EntryId,
    edit: &Rank,
) -> Result<Option<Timestamp>, StoreError> {
    if replaces_nothing(tx, &log.person, post, edit)? { Ok(None) } else { count(tx, node, log) }
}

fn count(tx: &mut Tx<'_>, node: &Node, log: &FeedLogId) -> Result<Option<Timestamp>, StoreError> {
    let now = node.clock.now();
    let key = row::key(&[&log.person.0, log.node.as_bytes()]);
    let mut row = row::get::<RetractionRow>(tx, &key)?.unwrap_or_default();
    row.at_once.retain(|at| now.millis_since(*at) < DAY_MS);
    // This node's clock may have been ahead: its counts of that time would otherwise stay until
    // that time comes.
    row.at_once.iter_mut().for_each(|at| *at = now.min(*at));
    let is_full = row.at_once.len() >= A_DAY;
    if !is_full {
        row.at_once.push(now);
    }
    row::put(tx, &key, &row)?;
    Ok(is_full.then(|| now.plus_millis(DELAY_MS)))
}

/// True if the target is held and has no body left to lose. A node that receives a long history
/// gets bare headers with their old tombstones.
fn loses_nothing(rows: &impl Rows, tombstone: &VerifiedEntry) -> Result<bool, StoreError> {
    let Some(of) = tombstone.header().refs.first() else { return Ok(true) };
    let Some(target) = rows::entry(rows, of)? else { return Ok(false) };
    let author = tombstone.header().log.person;
    if target.has_body() {
        return Ok(rows::header(of, &target)?.log.person != author);
    }
    let newest = refs::last(rows, of, &author, RefKind::Replaces)?;
    Ok(match newest {
        Some(newest) => rows::entry(rows, &newest.id)?.is_none_or(|row| !row.has_body()),
        None => true,
    })
}

/// True if the target of an edit is held and loses no body by it.
fn replaces_nothing(
    rows: &impl Rows,
    author: &PersonId,
    post: &EntryId,
    edit: &Rank,
) -> Result<bool, StoreError> {
    let Some(target) = rows::entry(rows, post)? else { return Ok(false) };
    let header = rows::header(post, &target)?;
    if header.log.person != *author || header.kind != Kind::Post {
        return Ok(true);
    }
    Ok(match refs::last(rows, post, author, RefKind::Replaces)? {
        Some(newest) if newest >= *edit => true,
        Some(older) => rows::entry(rows, &older.id)?.is_none_or(|row| !row.has_body()),
        None => !target.has_body(),
    })
}
