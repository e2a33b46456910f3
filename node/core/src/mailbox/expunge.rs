//! Expunging messages (RFC 9051 6.4.3). Their bytes are erased from blobs, write-ahead log and
//! snapshots too ([`crate::erasure`]), unless another folder has a copy.

use super::folders::{Folder, FolderId, load, save};
use super::read::{MessageRow, from_uid, key, uid_of};
use super::summary::Summary;
use super::{FlagError, Flags, MESSAGES_PER_COMMIT, change, deliver, flags, recent};
use crate::clock::Timestamp;
use crate::erasure;
use crate::node::Node;
use crate::row;
use crate::store::{BlobId, Scan, StoreError, Tx};

/// Expunges the messages with \Deleted, only those among `uids` if given (UID EXPUNGE, RFC 4315
/// 2.1), and returns their UIDs in order. Many messages take several commits, each atomic.
///
/// # Errors
/// When there is no such folder or the store refuses; messages of earlier commits stay expunged.
pub async fn expunge(
    node: &Node,
    folder: FolderId,
    uids: Option<&[u32]>,
) -> Result<Vec<u32>, FlagError> {
    let wanted = match uids {
        Some(uids) => uids.to_vec(),
        None => deleted_uids(node, folder)?,
    };
    let mut expunged = Vec::new();
    for batch in wanted.chunks(MESSAGES_PER_COMMIT) {
        let batch = batch.to_vec();
        let now = node.clock.now();
        expunged.extend(node.store.commit(move |tx| expunge_batch(tx, now, folder, &batch)).await?);
    }
    expunged.sort_unstable();
    Ok(expunged)
}

/// The UIDs with \Deleted; scans the folder only if its row counts any.
fn deleted_uids(node: &Node, id: FolderId) -> Result<Vec<u32>, FlagError> {
    let folder = load(&node.store, id)?.ok_or(FlagError::NoSuchFolder)?;
    let (mut uids, mut first) = (Vec::new(), 0);
    while uids.len() < folder.deleted as usize {
        let page = row::scan::<MessageRow>(&node.store, &from_uid(id, first, 1000))?;
        uids.extend(
            page.iter().filter(|(_, m)| m.flags.has(Flags::DELETED)).map(|(key, _)| uid_of(key)),
        );
        match page.last() {
            Some((last, _)) => first = uid_of(last).saturating_add(1),
            None => break,
        }
    }
    Ok(uids)
}

fn expunge_batch(
    tx: &mut Tx<'_>,
    now: Timestamp,
    id: FolderId,
    uids: &[u32],
) -> Result<Vec<u32>, FlagError> {
    tx.mark_essential();
    let mut folder = load(tx, id)?.ok_or(FlagError::NoSuchFolder)?;
    let (mut expunged, mut blobs, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for uid in uids.iter().copied() {
        // \Deleted may have been removed since the scan.
        let Some(message) =
            row::get::<MessageRow>(tx, &key(id, uid))?.filter(|m| m.flags.has(Flags::DELETED))
        else {
            continue;
        };
        remove(tx, &mut folder, uid, &message)?;
        keys.extend(message.delivery.map(|idempotency| (uid, idempotency)));
        expunged.push(uid);
        blobs.push(message.blob);
    }
    if !expunged.is_empty() {
        save(tx, &folder)?;
        deliver::remember_expunged(tx, now, id, &keys)?;
        erasure::erase(tx, now, &blobs)?;
    }
    Ok(expunged)
}

/// Removes a message's rows, subtracts it from the counts of `folder`, which the caller saves, and
/// records the expunge.
pub(super) fn remove(
    tx: &mut Tx<'_>,
    folder: &mut Folder,
    uid: u32,
    message: &MessageRow,
) -> Result<(), StoreError> {
    row::delete::<MessageRow>(tx, &key(folder.id, uid));
    row::delete::<Summary>(tx, &key(folder.id, uid));
    recent::subtract(folder, uid);
    flags::subtract(folder, &message.flags);
    folder.total = folder.total.saturating_sub(1);
    folder.size = folder.size.saturating_sub(message.size);
    change::record_change(tx, folder, uid, Some(message.modseq), true)?;
    Ok(())
}

/// Removes a batch of messages of a deleted folder and returns their number; 0 when none was left.
pub(super) fn remove_batch(
    tx: &mut Tx<'_>,
    now: Timestamp,
    folder: FolderId,
) -> Result<usize, StoreError> {
    let found = row::scan::<MessageRow>(tx, &Scan::prefix(&folder.key(), MESSAGES_PER_COMMIT))?;
    for (key, _) in &found {
        row::delete::<MessageRow>(tx, key);
        row::delete::<Summary>(tx, key);
    }
    if !found.is_empty() {
        let keys: Vec<_> = found
            .iter()
            .filter_map(|(key, message)| Some((uid_of(key), message.delivery?)))
            .collect();
        deliver::remember_expunged(tx, now, folder, &keys)?;
        let blobs: Vec<BlobId> = found.iter().map(|(_, message)| message.blob).collect();
        erasure::erase(tx, now, &blobs)?;
    }
    Ok(found.len())
}
