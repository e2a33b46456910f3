//! Deleting messages for good: one by one, all of the bin or of junk, and, if the owner chose so,
//! those that were put there some days ago.

use futures::future::join_all;

use super::expunge::expunge_batch;
use super::folders::FolderId;
use super::read::{MessageRow, from_uid, uid_of};
use super::remove;
use super::settings::bin_days;
use super::{FlagError, SpecialUse, page, special_folder};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row;
use crate::store::Tx;

const DAY_MS: u64 = 24 * 3_600_000;
/// Messages read at once.
const PAGE: usize = 500;

/// Deletes messages of a folder for good and returns their UIDs; UIDs that don't exist are skipped.
///
/// # Errors
/// When there is no such folder or the store refuses; messages of other commits stay deleted.
pub async fn delete_for_good(
    node: &Node,
    folder: FolderId,
    uids: &[u32],
) -> Result<Vec<u32>, FlagError> {
    let mut uids = uids.to_vec();
    uids.sort_unstable();
    delete(node, folder, remove::by_page(node, folder, &uids)?).await
}

/// Deletes all messages of a folder for good and returns their number.
///
/// # Errors
/// As [`delete_for_good`].
pub async fn empty_folder(node: &Node, folder: FolderId) -> Result<usize, FlagError> {
    let mut batches = Vec::new();
    page::walk(&node.store, folder, 0, |page| {
        batches.push(page.entries.iter().map(|entry| entry.uid).collect());
        true
    })?;
    Ok(delete(node, folder, batches).await?.len())
}

/// Deletes for good what was put into bin and junk longer ago than [`bin_days`]; returns the number
/// of messages. Does nothing unless the owner has set it.
///
/// # Errors
/// As [`delete_for_good`].
pub async fn purge_old_messages(node: &Node) -> Result<usize, FlagError> {
    let Some(days) = bin_days(node)? else { return Ok(0) };
    let now = node.clock.now();
    let is_old = move |saved: Timestamp| saved.plus_millis(u64::from(days) * DAY_MS) <= now;
    let mut deleted = 0;
    for special in [SpecialUse::Trash, SpecialUse::Junk] {
        let Some(folder) = special_folder(node, special)? else { continue };
        let mut old = Vec::new();
        let mut next = 0;
        loop {
            let found = row::scan::<MessageRow>(&node.store, &from_uid(folder.id, next, PAGE))?;
            let Some((last, _)) = found.last() else { break };
            next = uid_of(last).saturating_add(1);
            let is_last = found.len() < PAGE || next == u32::MAX;
            old.extend(
                found.iter().filter(|(_, row)| is_old(row.saved)).map(|(key, _)| uid_of(key)),
            );
            if is_last {
                break;
            }
        }
        let batches = remove::by_page(node, folder.id, &old)?;
        deleted += delete(node, folder.id, batches).await?.len();
    }
    Ok(deleted)
}

/// Deletes messages, batch by batch.
async fn delete(
    node: &Node,
    folder: FolderId,
    batches: Vec<Vec<u32>>,
) -> Result<Vec<u32>, FlagError> {
    let mut deleted = Vec::new();
    for together in batches.chunks(super::COMMITS_TOGETHER) {
        let now = node.clock.now();
        let commit = |batch: Vec<u32>| {
            let work = move |tx: &mut Tx<'_>| expunge_batch(tx, now, folder, &batch, |_| true);
            node.store.commit(work)
        };
        for result in join_all(together.iter().cloned().map(commit)).await {
            deleted.extend(result?);
        }
    }
    deleted.sort_unstable();
    Ok(deleted)
}

#[cfg(test)]
mod tests;
