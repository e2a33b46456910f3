//! The past that log and snapshots still hold, and its end: what was deleted for good leaves it
//! too.
//!
//! 1. A deletion notes, in its own commit, when it happened and which blobs it may have been the
//!    last to need ([`erase`]).
//! 2. Soon after, the files of those that no other row needs are removed ([`unlink`]).
//! 3. Before a day is over a new log segment is begun, two snapshots are made behind it, and older
//!    ones and the log before them are removed ([`compact`]). Both are remembered in rows, so a node
//!    that was down meanwhile does it at its next start.
//!
//! A snapshot is also made once a day, so that a start after a power cut never has much log to
//! read.

use minicbor::{Decode, Encode};

use crate::blobs::Collected;
use crate::clock::Timestamp;
use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError, Table, Tx};

/// After so long a deletion is made good in log and snapshots, in milliseconds: some hours before
/// the day within which it must be.
pub const COMPACT_AFTER: u64 = 20 * 3_600_000;
/// How often a snapshot is made, in milliseconds.
pub const SNAPSHOT_INTERVAL: u64 = 24 * 3_600_000;

/// So many blobs fit in a row.
const BLOBS_PER_ROW: usize = 100;
/// So many rows are made good at once.
const UNLINK_ROWS: usize = 500;

/// Position ‖ number → blobs whose files may have to go.
#[derive(Encode, Decode)]
#[cbor(map)]
struct UnlinkRow {
    #[n(0)]
    blobs: Vec<BlobId>,
}

impl Record for UnlinkRow {
    const TABLE: Table = Table::new("history_unlink");
    const VERSION: u8 = 1;
}

/// `waiting` or `doing` → the first deletion of which log and snapshots still tell.
#[derive(Encode, Decode)]
#[cbor(map)]
struct DueRow {
    #[n(0)]
    since: Timestamp,
}

impl Record for DueRow {
    const TABLE: Table = Table::new("history_due");
    const VERSION: u8 = 1;
}

/// What came since the last renewal began.
const WAITING: &[u8] = b"waiting";
/// What the renewal that has begun is for; it is there until that has succeeded.
const DOING: &[u8] = b"doing";

/// The last daily snapshot.
#[derive(Encode, Decode)]
#[cbor(map)]
struct KeptRow {
    #[n(0)]
    at: Timestamp,
    /// Where the log was when this was written.
    #[n(1)]
    position: u64,
}

impl Record for KeptRow {
    const TABLE: Table = Table::new("history_kept");
    const VERSION: u8 = 1;
}

const LAST: &[u8] = b"last";

/// Notes in a deletion's commit that what it deletes is to vanish for good, with those of `blobs`
/// that no other row refers to.
///
/// # Errors
/// When the change is over its limits.
pub fn erase(tx: &mut Tx<'_>, now: Timestamp, blobs: &[BlobId]) -> Result<(), StoreError> {
    if row::get::<DueRow>(tx, WAITING)?.is_none() {
        row::put(tx, WAITING, &DueRow { since: now })?;
    }
    let position = tx.position().to_be_bytes();
    // Several nouns may note something in one change.
    let noted = tx.scan(UnlinkRow::TABLE, &Scan::prefix(&position, UNLINK_ROWS))?.len();
    for (number, blobs) in (noted as u64..).zip(blobs.chunks(BLOBS_PER_ROW)) {
        row::put(
            tx,
            &row::key(&[&position, &number.to_be_bytes()]),
            &UnlinkRow { blobs: blobs.to_vec() },
        )?;
    }
    tx.after(Event::Erased);
    Ok(())
}

/// Removes the files of what was deleted, except those that another row needs; what somebody has
/// pinned stays noted. Blocks: all rows are read if there is anything to do.
///
/// # Errors
/// The store's or the disk's; it goes on where it was the next time.
pub fn unlink(node: &Node) -> Result<Collected, StoreError> {
    let (mut all, mut after) = (Collected::default(), None::<Vec<u8>>);
    loop {
        let scan = Scan::prefix(&[], UNLINK_ROWS);
        let mut noted = row::scan::<UnlinkRow>(
            &node.store,
            &after.map_or(scan.clone(), |key| scan.after(&key)),
        )?;
        let Some((last, _)) = noted.last() else { return Ok(all) };
        after = Some(last.clone());
        let gone: Vec<BlobId> =
            noted.iter().flat_map(|(_, row)| row.blobs.iter().copied()).collect();
        let removed = node.blobs.unlink_now(&node.store, &gone)?;
        noted.retain(|(_, row)| !row.blobs.iter().any(|blob| removed.pinned.contains(blob)));
        all.files += removed.files;
        all.small += removed.small;
        all.pinned.extend(removed.pinned);
        node.store.commit_blocking(move |tx| {
            noted.iter().for_each(|(key, _)| row::delete::<UnlinkRow>(tx, key));
            Ok::<_, StoreError>(())
        })?;
    }
}

/// When [`compact`] has something to do.
///
/// # Errors
/// When the store is unavailable.
pub fn next_due(node: &Node) -> Result<Timestamp, StoreError> {
    let daily = row::get::<KeptRow>(&node.store, LAST)?
        .map_or(node.clock.now(), |kept| kept.at.plus_millis(SNAPSHOT_INTERVAL));
    Ok(due_since(&node.store)?.map_or(daily, |since| daily.min(since.plus_millis(COMPACT_AFTER))))
}

fn due_since(rows: &impl Rows) -> Result<Option<Timestamp>, StoreError> {
    let due = [row::get::<DueRow>(rows, WAITING)?, row::get::<DueRow>(rows, DOING)?];
    Ok(due.into_iter().flatten().map(|row| row.since).min())
}

/// Whether `after` has passed since; a time that lies ahead was written by a clock that has been
/// set back since.
fn is_over(since: Timestamp, after: u64, now: Timestamp) -> bool {
    since > now || now.millis_since(since) >= after
}

/// What [`compact`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compaction {
    /// Nothing was due.
    Nothing,
    /// The daily snapshot.
    Snapshot,
    /// Both snapshots and the log before them were replaced.
    Everything,
}

/// Makes the daily snapshot, or replaces both snapshots and the log before them, if it is time.
/// Blocks, perhaps for long.
///
/// # Errors
/// The store's or the disk's; it is still due then.
pub fn compact(node: &Node) -> Result<Compaction, StoreError> {
    let now = node.clock.now();
    if due_since(&node.store)?.is_some_and(|since| is_over(since, COMPACT_AFTER, now)) {
        renew_everything(node)?;
        return Ok(Compaction::Everything);
    }
    match row::get::<KeptRow>(&node.store, LAST)? {
        // A new node has nothing yet that would be slow to read.
        None => keep(node, now).map(|()| Compaction::Nothing),
        Some(kept)
            if !is_over(kept.at, SNAPSHOT_INTERVAL, now)
                || kept.position == node.store.position() =>
        {
            Ok(Compaction::Nothing)
        }
        Some(_) => {
            node.store.snapshot()?;
            keep(node, now).map(|()| Compaction::Snapshot)
        }
    }
}

fn renew_everything(node: &Node) -> Result<(), StoreError> {
    let now = node.clock.now();
    // Deletions that come from here on wait for the next time.
    let before = node.store.commit_blocking(|tx| {
        if let Some(since) = due_since(tx)? {
            row::put(tx, DOING, &DueRow { since })?;
        }
        row::delete::<DueRow>(tx, WAITING);
        Ok::<_, StoreError>(tx.position())
    })?;
    node.store.begin_segment();
    // Two snapshots of two moments, each behind the beginning of the segment.
    for _ in 0..2 {
        keep(node, now)?;
        node.store.snapshot()?;
    }
    if node.store.oldest()? <= before {
        // One of them was found damaged, most likely: what it replaces is still there.
        return Err(StoreError::Unavailable(
            "what was deleted is still in a snapshot or in the log".into(),
        ));
    }
    node.store.commit_blocking(|tx| {
        row::delete::<DueRow>(tx, DOING);
        Ok(())
    })
}

fn keep(node: &Node, at: Timestamp) -> Result<(), StoreError> {
    node.store.commit_blocking(move |tx| {
        // A renewal removes the log of what was deleted, and with a full disk it is due more than
        // ever.
        tx.makes_room_later();
        let position = tx.position();
        row::put(tx, LAST, &KeptRow { at, position })
    })
}

#[cfg(test)]
mod tests;
