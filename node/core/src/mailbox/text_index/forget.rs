//! Taking removed messages out of the index. An expunge or a move records them in its commit. Some
//! time later, so that the removals of a while take one commit for each run, the runs are written
//! anew.

use minicbor::{Decode, Encode};

use super::indexer::replace;
use super::run::{self, Run};
use super::{IndexedRow, indexed};
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::erasure;
use crate::mailbox::folders::{FolderId, load};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// The time from a removal to its end, in milliseconds. The log and the snapshots are erased some
/// hours later.
pub(super) const DELAY: u64 = 1_800_000;
/// After this time, in milliseconds, the erasure may be over: the node was not running.
const LATE: u64 = erasure::COMPACT_AFTER / 2;
/// The most UIDs in one row.
const UIDS_PER_ROW: usize = 500;
/// The most rows read, and ended, at a time.
const ROWS_EACH: usize = 200;

/// Under `folder ‖ modseq ‖ number`: messages that were removed from the folder.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(in crate::mailbox) struct RemovedRow {
    /// When.
    #[n(0)]
    at: Timestamp,
    /// In order.
    #[n(1)]
    uids: Vec<u32>,
}

impl Record for RemovedRow {
    const TABLE: Table = Table::new("mailbox_text_removed");
    const VERSION: u8 = 1;
}

impl RemovedRow {
    pub(super) fn uids(&self) -> &[u32] {
        &self.uids
    }
}

/// Records within the commit of an expunge or move at `modseq` that messages, in order, were
/// removed from the folder. Those that were not indexed need no record.
pub(in crate::mailbox) fn record_removed(
    tx: &mut Tx<'_>,
    at: Timestamp,
    folder: FolderId,
    modseq: u64,
    uids: &[u32],
) -> Result<(), StoreError> {
    let indexed = indexed(tx, folder)?;
    let last = if indexed.has_gaps { u32::MAX } else { indexed.last };
    let known = uids.get(..uids.partition_point(|uid| *uid <= last)).unwrap_or_default();
    for (number, uids) in (0u8..).zip(known.chunks(UIDS_PER_ROW)) {
        let key = row::key(&[&folder.key(), &modseq.to_be_bytes(), &[number]]);
        row::put(tx, &key, &RemovedRow { at, uids: uids.to_vec() })?;
    }
    Ok(())
}

/// Takes some removed messages of one folder out of the index. False if none is due.
pub(super) async fn forget_some(node: &Node, now: Timestamp) -> Result<bool, StoreError> {
    let due = due(node, now)?;
    let Some((key, _)) = due.first() else { return Ok(false) };
    let folder = FolderId(u32::from_be_bytes(row::key_part(key, 0)));
    let mut uids: Vec<u32> = due.iter().flat_map(|(_, row)| row.uids.iter().copied()).collect();
    uids.sort_unstable();
    let is_removed = |uid: u32| uids.binary_search(&uid).is_ok();
    for run in run::all(&node.store, folder)? {
        if run.uids.iter().any(|uid| is_removed(*uid)) {
            rewrite(node, folder, run).await?;
        }
    }
    let is_late = due.iter().any(|(_, row)| now.millis_since(row.at) >= LATE);
    node.store
        .commit(move |tx| {
            tx.mark_essential();
            due.iter().for_each(|(key, _)| row::delete::<RemovedRow>(tx, key));
            if is_late { erasure::erase(tx, now, &[]) } else { Ok(()) }
        })
        .await?;
    Ok(true)
}

/// The rows of one folder that are due.
fn due(node: &Node, now: Timestamp) -> Result<Vec<(Vec<u8>, RemovedRow)>, StoreError> {
    let mut scan = Scan::prefix(&[], ROWS_EACH);
    loop {
        let mut found = row::scan::<RemovedRow>(&node.store, &scan)?;
        let is_last = found.len() < ROWS_EACH;
        scan.after = found.last().map(|(key, _)| key.clone());
        // A clock that was set back keeps no text on the disk.
        found.retain(|(_, row)| row.at > now || now.millis_since(row.at) >= DELAY);
        if let Some((first, _)) = found.first() {
            let folder: [u8; 4] = row::key_part(first, 0);
            found.retain(|(key, _)| row::key_part(key, 0) == folder);
        }
        if is_last || !found.is_empty() {
            return Ok(found);
        }
    }
}

/// Writes a run without the messages that are gone, or deletes it.
async fn rewrite(node: &Node, folder: FolderId, run: Run) -> Result<(), StoreError> {
    let reading = node.clone();
    let load = move || {
        // The content of a damaged run is not known.
        let content = match run.load(&reading.store) {
            Err(StoreError::Corrupt { .. }) => None,
            content => content?,
        };
        Ok::<_, StoreError>((run, content))
    };
    let (run, content) = try_blocking(load).await?;
    if let Some(content) = content {
        match replace(node, folder, vec![run.clone()], vec![content]).await {
            Ok(_) | Err(StoreError::Full) => {}
            Err(error) => return Err(error),
        }
    }
    // The run is damaged, the disk is full, or another message of it was removed just now.
    node.store.commit(move |tx| drop_unreplaced(tx, folder, &run)).await
}

/// Deletes a run if it was not replaced. Those of its messages that are left are read again.
fn drop_unreplaced(tx: &mut Tx<'_>, folder: FolderId, run: &Run) -> Result<(), StoreError> {
    tx.mark_essential();
    if load(tx, folder)?.is_some() && run.drop_in(tx)? {
        let first = run.uids.first().copied().unwrap_or(0);
        let last = indexed(tx, folder)?.last.min(first.saturating_sub(1));
        row::put(tx, &folder.key(), &IndexedRow { last, has_gaps: true })?;
    }
    Ok(())
}
