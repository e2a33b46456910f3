//! Erasure of deleted data from blobs, write-ahead log and snapshots.
//!
//! 1. A deletion records, in its own commit, its time and the blobs that it referred to
//!    ([`erase`]).
//! 2. Soon after, those blobs that no other row refers to are removed ([`unlink`]): they cannot be
//!    read any more, and the files of large ones are gone.
//! 3. Within a day the packs that held small ones are rewritten, a new log segment is begun, two
//!    snapshots are made after it, and the older snapshots and the log before them are removed
//!    ([`compact`]). Steps 2 and 3 are due by rows, so a node that was down meanwhile does them at
//!    its next start.
//!
//! A snapshot is also made once a day, so that a start after a power cut has little log to replay.

use minicbor::{Decode, Encode};

use crate::blobs::Collected;
use crate::clock::Timestamp;
use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError, Table, Tx};

/// The time from a deletion to the compaction that erases it from log and snapshots, in
/// milliseconds: some hours less than the day within which the data must be gone.
pub const COMPACT_AFTER: u64 = 20 * 3_600_000;
/// The interval of the daily snapshots, in milliseconds.
pub const SNAPSHOT_INTERVAL: u64 = 24 * 3_600_000;

/// The most blobs of one row.
const BLOBS_PER_ROW: usize = 100;
/// How many rows are processed in one commit.
const UNLINK_ROWS: usize = 500;

/// Under `log position ‖ number`: blobs that may have lost their last reference.
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

/// Under `waiting` or `doing`: the time of the first deletion that log and snapshots still have.
/// Under `packs`: of the first one that packs still have.
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

/// The key for deletions since the last compaction began.
const PENDING: &[u8] = b"waiting";
/// The key for deletions that the current compaction erases; removed when it succeeds.
const IN_PROGRESS: &[u8] = b"doing";
/// The key for packs with dead bytes that are to be rewritten; removed when all were.
const PACKS: &[u8] = b"packs";

/// The last daily snapshot.
#[derive(Encode, Decode)]
#[cbor(map)]
struct LastSnapshotRow {
    #[n(0)]
    at: Timestamp,
    /// The position of the log at that time.
    #[n(1)]
    position: u64,
}

impl Record for LastSnapshotRow {
    const TABLE: Table = Table::new("history_kept");
    const VERSION: u8 = 1;
}

const LAST: &[u8] = b"last";

/// Records in a deletion's commit that the deleted rows are to be erased, and those of `blobs` that
/// no other row refers to.
///
/// # Errors
/// When the change is over its limits.
pub fn erase(tx: &mut Tx<'_>, now: Timestamp, blobs: &[BlobId]) -> Result<(), StoreError> {
    if row::get::<DueRow>(tx, PENDING)?.is_none() {
        row::put(tx, PENDING, &DueRow { since: now })?;
    }
    let position = tx.position().to_be_bytes();
    // One commit may delete rows of several nouns.
    let recorded = tx.scan(UnlinkRow::TABLE, &Scan::prefix(&position, UNLINK_ROWS))?.len();
    for (number, blobs) in (recorded as u64..).zip(blobs.chunks(BLOBS_PER_ROW)) {
        row::put(
            tx,
            &row::key(&[&position, &number.to_be_bytes()]),
            &UnlinkRow { blobs: blobs.to_vec() },
        )?;
    }
    tx.after(Event::Erased);
    Ok(())
}

/// Removes the blobs of deleted rows, except those that another row refers to. A pinned blob stays
/// recorded. If space is short, packs with dead bytes are rewritten at once. Blocks.
///
/// # Errors
/// Errors of the store or the disk; the next call continues.
pub fn unlink(node: &Node) -> Result<Collected, StoreError> {
    let (mut all, mut after) = (Collected::default(), None::<Vec<u8>>);
    loop {
        let scan = Scan::prefix(&[], UNLINK_ROWS);
        let mut recorded = row::scan::<UnlinkRow>(
            &node.store,
            &after.map_or(scan.clone(), |key| scan.after(&key)),
        )?;
        let Some((last, _)) = recorded.last() else { break };
        after = Some(last.clone());
        let blobs: Vec<BlobId> =
            recorded.iter().flat_map(|(_, row)| row.blobs.iter().copied()).collect();
        let removed = node.blobs.unlink_now(&node.store, &blobs)?;
        recorded.retain(|(_, row)| !row.blobs.iter().any(|blob| removed.pinned.contains(blob)));
        let (in_packs, now) = (removed.packed > 0, node.clock.now());
        all.add(removed);
        node.store.commit_blocking(move |tx| {
            recorded.iter().for_each(|(key, _)| row::delete::<UnlinkRow>(tx, key));
            // The compaction of the deletion may have run while a blob was pinned.
            if in_packs && due_since(tx)?.is_none() {
                row::put(tx, PENDING, &DueRow { since: now })?;
            }
            Ok::<_, StoreError>(())
        })?;
    }
    if all.packed > 0 && node.blobs.check_space_for(0).is_err() {
        node.blobs.rewrite_packs(&node.store, 0)?;
    }
    Ok(all)
}

/// When [`compact`] is due next.
///
/// # Errors
/// When the store is unavailable.
pub fn next_due(node: &Node) -> Result<Timestamp, StoreError> {
    let daily = row::get::<LastSnapshotRow>(&node.store, LAST)?
        .map_or(node.clock.now(), |last| last.at.plus_millis(SNAPSHOT_INTERVAL));
    let packs = row::get::<DueRow>(&node.store, PACKS)?.map(|row| row.since);
    let due = due_since(&node.store)?.into_iter().chain(packs);
    Ok(due.map(|since| since.plus_millis(COMPACT_AFTER)).fold(daily, Timestamp::min))
}

fn due_since(rows: &impl Rows) -> Result<Option<Timestamp>, StoreError> {
    let due = [row::get::<DueRow>(rows, PENDING)?, row::get::<DueRow>(rows, IN_PROGRESS)?];
    Ok(due.into_iter().flatten().map(|row| row.since).min())
}

/// Returns true if `after` milliseconds have passed since `since`, or if `since` is in the future:
/// it was written before the clock was set back.
fn has_passed(since: Timestamp, after: u64, now: Timestamp) -> bool {
    since > now || now.millis_since(since) >= after
}

/// What [`compact`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compaction {
    /// Nothing was due.
    Nothing,
    /// The daily snapshot.
    Snapshot,
    /// The packs with dead bytes, both snapshots and the log before them were replaced.
    Full,
}

/// Makes the daily snapshot, or replaces packs with dead bytes, both snapshots and the log before
/// them, if one is due. Blocks, possibly for long.
///
/// # Errors
/// Errors of the store or the disk; the compaction stays due.
pub fn compact(node: &Node) -> Result<Compaction, StoreError> {
    let now = node.clock.now();
    let is_due = due_since(&node.store)?.is_some_and(|since| has_passed(since, COMPACT_AFTER, now));
    let before = is_due.then(|| begin(node)).transpose()?;
    // A damaged pack must not keep deleted data in log and snapshots, nor have them replaced again.
    let packs = rewrite_due_packs(node);
    let done = match before {
        Some(before) => replace_log(node, now, before).map(|()| Compaction::Full),
        None => snapshot_daily(node, now),
    }?;
    packs.map(|()| done)
}

fn snapshot_daily(node: &Node, now: Timestamp) -> Result<Compaction, StoreError> {
    match row::get::<LastSnapshotRow>(&node.store, LAST)? {
        // A new node has so little log that no snapshot is needed yet.
        None => record_snapshot(node, now).map(|()| Compaction::Nothing),
        Some(last)
            if !has_passed(last.at, SNAPSHOT_INTERVAL, now)
                || last.position == node.store.position() =>
        {
            Ok(Compaction::Nothing)
        }
        Some(_) => {
            node.store.snapshot()?;
            record_snapshot(node, now).map(|()| Compaction::Snapshot)
        }
    }
}

/// Records that a compaction began. Deletions from here on are erased by the next one. Returns the
/// position of the log.
fn begin(node: &Node) -> Result<u64, StoreError> {
    node.store.commit_blocking(|tx| {
        if let Some(since) = due_since(tx)? {
            row::put(tx, IN_PROGRESS, &DueRow { since })?;
            if row::get::<DueRow>(tx, PACKS)?.is_none() {
                row::put(tx, PACKS, &DueRow { since })?;
            }
        }
        row::delete::<DueRow>(tx, PENDING);
        Ok::<_, StoreError>(tx.position())
    })
}

fn rewrite_due_packs(node: &Node) -> Result<(), StoreError> {
    if row::get::<DueRow>(&node.store, PACKS)?.is_none() {
        return Ok(());
    }
    node.blobs.rewrite_packs(&node.store, 0)?;
    node.store.commit_blocking(|tx| {
        row::delete::<DueRow>(tx, PACKS);
        Ok(())
    })
}

/// Replaces both snapshots and the log up to `before`.
fn replace_log(node: &Node, now: Timestamp, before: u64) -> Result<(), StoreError> {
    node.store.begin_segment();
    // Two snapshots of different times, both after the beginning of the segment.
    for _ in 0..2 {
        record_snapshot(node, now)?;
        node.store.snapshot()?;
    }
    if node.store.oldest()? <= before {
        // The most likely cause: a new snapshot was found damaged, so the old one was not removed.
        return Err(StoreError::Unavailable(
            "a snapshot or the log still has deleted data; compaction will be retried".into(),
        ));
    }
    node.store.commit_blocking(|tx| {
        row::delete::<DueRow>(tx, IN_PROGRESS);
        Ok(())
    })
}

fn record_snapshot(node: &Node, at: Timestamp) -> Result<(), StoreError> {
    node.store.commit_blocking(move |tx| {
        // A compaction frees space in the end, so a full disk must not stop it.
        tx.frees_space_later();
        let position = tx.position();
        row::put(tx, LAST, &LastSnapshotRow { at, position })
    })
}

#[cfg(test)]
mod tests;
