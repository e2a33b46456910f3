//! Expunging messages (RFC 9051 6.4.3): pages and details change at once, the rows of the messages
//! are deleted soon after ([`super::removals`]). Then their bytes are erased from blobs,
//! write-ahead log and snapshots too ([`crate::erasure`]), unless another folder has a copy.

use futures::future::join_all;

use super::change::ChangeRow;
use super::folders::{FolderId, load, save};
use super::metadata::MetadataRow;
use super::page::{self, PageChangeRow, PageRow};
use super::read::{MessageRow, uid_of};
use super::removals::{self, RemovalRow};
use super::remove::{self, MessageRows};
use super::summary::OldSummaryRow;
use super::{FlagError, Flags, columns, deliver, details, text_index, thread_members};
use crate::clock::Timestamp;
use crate::erasure;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{BlobId, Scan, StoreError, Tx};

/// How many messages of a deleted folder one commit removes.
const MESSAGES_PER_COMMIT: usize = 100;
/// How many rows of each table of the index of a deleted folder one commit removes.
const INDEX_ROWS_PER_COMMIT: usize = 70;

/// Expunges the messages with \Deleted, only those among `uids` if given (UID EXPUNGE, RFC 4315
/// 2.1), and returns their UIDs in order. Messages of several pages take several commits, each
/// atomic.
///
/// # Errors
/// When there is no such folder or the store refuses; messages of other commits stay expunged.
pub async fn expunge(
    node: &Node,
    folder: FolderId,
    uids: Option<&[u32]>,
) -> Result<Vec<u32>, FlagError> {
    let batches = deleted_uids(node, folder, uids)?;
    let mut expunged = Vec::new();
    for together in batches.chunks(super::COMMITS_TOGETHER) {
        let now = node.clock.now();
        let commit = |batch: Vec<u32>| {
            let work = move |tx: &mut Tx<'_>| {
                expunge_batch(tx, now, folder, &batch, |flags| flags.has(Flags::DELETED))
            };
            node.store.commit(work)
        };
        for result in join_all(together.iter().cloned().map(commit)).await {
            expunged.extend(result?);
        }
    }
    expunged.sort_unstable();
    Ok(expunged)
}

/// The UIDs with \Deleted, page by page. The folder is walked only if its row counts any.
fn deleted_uids(
    node: &Node,
    id: FolderId,
    among: Option<&[u32]>,
) -> Result<Vec<Vec<u32>>, FlagError> {
    let folder = load(&node.store, id)?.ok_or(FlagError::NoSuchFolder)?;
    let among: Option<Vec<u32>> = among.map(|uids| {
        let mut uids = uids.to_vec();
        uids.sort_unstable();
        uids
    });
    let is_named = |uid: u32| among.as_ref().is_none_or(|among| among.binary_search(&uid).is_ok());
    let (mut batches, mut left) = (Vec::new(), folder.deleted as usize);
    let from = among.as_ref().and_then(|among| among.first().copied()).unwrap_or(0);
    if left == 0 || among.as_ref().is_some_and(Vec::is_empty) {
        return Ok(batches);
    }
    page::walk(&node.store, id, from, |page| {
        let deleted = page.entries.iter().filter(|entry| entry.bits & Flags::DELETED != 0);
        let deleted: Vec<u32> = deleted.map(|entry| entry.uid).collect();
        left = left.saturating_sub(deleted.len());
        let named: Vec<u32> = deleted.into_iter().filter(|uid| is_named(*uid)).collect();
        if !named.is_empty() {
            batches.push(named);
        }
        left > 0
    })?;
    Ok(batches)
}

/// Expunges those messages of a page that are still `wanted`: their flags may have changed since
/// the walk.
pub(super) fn expunge_batch(
    tx: &mut Tx<'_>,
    now: Timestamp,
    id: FolderId,
    uids: &[u32],
    wanted: impl Fn(&Flags) -> bool,
) -> Result<Vec<u32>, FlagError> {
    tx.mark_essential();
    expunge_within(tx, now, id, uids, wanted)
}

/// As [`expunge_batch`], in a commit that also stores something.
pub(super) fn expunge_within(
    tx: &mut Tx<'_>,
    now: Timestamp,
    id: FolderId,
    uids: &[u32],
    wanted: impl Fn(&Flags) -> bool,
) -> Result<Vec<u32>, FlagError> {
    let mut folder = load(tx, id)?.ok_or(FlagError::NoSuchFolder)?;
    let mut messages = remove::states(tx, &folder, uids)?;
    messages.retain(|(_, flags)| wanted(flags));
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let removed: Vec<_> = messages.iter().map(|(entry, flags)| (entry, flags)).collect();
    remove::remove(tx, now, &mut folder, &removed, MessageRows::Keep)?;
    save(tx, &folder)?;
    let uids: Vec<u32> = messages.iter().map(|(entry, _)| entry.uid).collect();
    removals::record(tx, now, &folder, &uids)?;
    Ok(uids)
}

/// Removes some rows of a deleted folder and returns their number; 0 when none was left.
pub(super) fn remove_batch(
    tx: &mut Tx<'_>,
    now: Timestamp,
    folder: FolderId,
) -> Result<usize, StoreError> {
    let found = row::scan::<MessageRow>(tx, &Scan::prefix(&folder.key(), MESSAGES_PER_COMMIT))?;
    for (key, message) in &found {
        thread_members::remove(tx, folder, uid_of(key), message);
        row::delete::<MessageRow>(tx, key);
        row::delete::<OldSummaryRow>(tx, key);
    }
    if !found.is_empty() {
        let keys: Vec<_> = found
            .iter()
            .filter_map(|(key, message)| Some((uid_of(key), message.delivery?)))
            .collect();
        deliver::remember_expunged(tx, now, folder, &keys)?;
        let blobs: Vec<BlobId> = found.iter().map(|(_, message)| message.blob).collect();
        erasure::erase(tx, now, &blobs)?;
        return Ok(found.len());
    }
    Ok(delete_rows::<PageRow>(tx, folder)?
        + delete_rows::<PageChangeRow>(tx, folder)?
        + delete_rows::<details::ChunkRow>(tx, folder)?
        + delete_rows::<columns::ChunkRow>(tx, folder)?
        + delete_rows::<ChangeRow>(tx, folder)?
        + delete_rows::<RemovalRow>(tx, folder)?
        + delete_rows::<MetadataRow>(tx, folder)?
        + delete_rows::<text_index::IndexedRow>(tx, folder)?
        + delete_rows::<text_index::RunRow>(tx, folder)?
        + delete_rows::<text_index::PostingRow>(tx, folder)?
        + delete_rows::<text_index::DroppedRow>(tx, folder)?
        + delete_rows::<text_index::RemovedRow>(tx, folder)?)
}

/// Deletes some rows of one table of a deleted folder and returns their number.
pub(super) fn delete_rows<T: Record>(
    tx: &mut Tx<'_>,
    folder: FolderId,
) -> Result<usize, StoreError> {
    let found = tx.scan(T::TABLE, &Scan::prefix(&folder.key(), INDEX_ROWS_PER_COMMIT))?;
    for (key, _) in &found {
        row::delete::<T>(tx, key);
    }
    Ok(found.len())
}
