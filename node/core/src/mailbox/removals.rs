//! The rows of expunged messages, which are deleted soon after the expunge: each has the blob, its
//! references and the key of its delivery to change, so an EXPUNGE would wait for them longer than
//! for everything that a list reads.

use std::collections::BTreeSet;

use futures::future::join_all;
use minicbor::{Decode, Encode};

use super::deliver;
use super::folders::{Folder, FolderId};
use super::idempotency::IdempotencyKey;
use super::read::{MessageRow, key};
use super::thread_members;
use crate::clock::Timestamp;
use crate::erasure;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{BlobId, Scan, StoreError, Table, Tx};

/// Under `folder ‖ modseq of the expunge`: messages whose rows are still to be deleted.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct RemovalRow {
    /// When they were expunged.
    #[n(0)]
    at: Timestamp,
    /// In order; those of one page.
    #[n(1)]
    uids: Vec<u32>,
}

impl Record for RemovalRow {
    const TABLE: Table = Table::new("mailbox_removals");
    const VERSION: u8 = 1;
}

/// Records in the commit of an expunge, under the latest modseq of `folder`, that the rows of its
/// messages are to be deleted.
pub(super) fn record(
    tx: &mut Tx<'_>,
    at: Timestamp,
    folder: &Folder,
    uids: &[u32],
) -> Result<(), StoreError> {
    let key = row::key(&[&folder.id.key(), &folder.highest_modseq.to_be_bytes()]);
    row::put(tx, &key, &RemovalRow { at, uids: uids.to_vec() })?;
    // The content must be gone a day after the expunge, not after the deletion of the rows.
    erasure::erase(tx, at, &[])
}

/// Deletes the rows of expunged messages, and records their blobs for erasure.
///
/// # Errors
/// When the store refuses; the next call continues.
pub async fn remove_expunged(node: &Node) -> Result<(), StoreError> {
    loop {
        let found =
            row::scan::<RemovalRow>(&node.store, &Scan::prefix(&[], super::COMMITS_TOGETHER))?;
        if found.is_empty() {
            return Ok(());
        }
        let commit =
            |(key, _): (Vec<u8>, RemovalRow)| node.store.commit(move |tx| remove(tx, &key));
        join_all(found.into_iter().map(commit)).await.into_iter().collect::<Result<(), _>>()?;
    }
}

fn remove(tx: &mut Tx<'_>, recorded: &[u8]) -> Result<(), StoreError> {
    tx.mark_essential();
    // The folder may have been deleted meanwhile.
    let Some(removal) = row::get::<RemovalRow>(tx, recorded)? else { return Ok(()) };
    row::delete::<RemovalRow>(tx, recorded);
    let folder = FolderId(u32::from_be_bytes(row::key_part(recorded, 0)));
    let mut blobs: Vec<BlobId> = Vec::with_capacity(removal.uids.len());
    let mut deliveries: Vec<(u32, IdempotencyKey)> = Vec::new();
    for uid in removal.uids {
        let key = key(folder, uid);
        let Some(message) = row::get::<MessageRow>(tx, &key)? else { continue };
        row::delete::<MessageRow>(tx, &key);
        thread_members::remove(tx, folder, uid, &message);
        blobs.push(message.blob);
        deliveries.extend(message.delivery.map(|delivery| (uid, delivery)));
    }
    deliver::remember_expunged(tx, removal.at, folder, &deliveries)?;
    erasure::erase(tx, removal.at, &blobs)
}

/// The UIDs of expunged messages of a folder whose rows are still to be deleted.
pub(super) fn recorded(node: &Node, folder: FolderId) -> Result<BTreeSet<u32>, StoreError> {
    let found =
        row::scan::<RemovalRow>(&node.store, &Scan::prefix(&folder.key(), usize::MAX >> 1))?;
    Ok(found.into_iter().flat_map(|(_, removal)| removal.uids).collect())
}

#[cfg(test)]
mod tests;
