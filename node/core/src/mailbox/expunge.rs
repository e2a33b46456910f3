//! Removing messages for good: their texts leave files, log and snapshots too, if no copy lies in
//! another folder.

use super::folders::{Folder, FolderId, load, save};
use super::read::{MessageRow, from_uid, key, uid_of};
use super::summary::Summary;
use super::{FlagError, Flags, MESSAGES_PER_COMMIT, change, deliver, flags};
use crate::clock::Timestamp;
use crate::erasure;
use crate::node::Node;
use crate::row;
use crate::store::{BlobId, Scan, StoreError, Tx};

/// Removes the messages marked \Deleted, of `uids` only if given (UID EXPUNGE, RFC 4315), and
/// returns their UIDs in order. Many messages take several commits, each whole.
///
/// # Errors
/// When there is no such folder or the store refuses; what was removed before stays removed.
pub async fn expunge(
    node: &Node,
    folder: FolderId,
    uids: Option<&[u32]>,
) -> Result<Vec<u32>, FlagError> {
    let wanted = match uids {
        Some(uids) => uids.to_vec(),
        None => marked(node, folder)?,
    };
    let mut gone = Vec::new();
    for some in wanted.chunks(MESSAGES_PER_COMMIT) {
        let some = some.to_vec();
        let now = node.clock.now();
        gone.extend(node.store.commit(move |tx| expunge_some(tx, now, folder, &some)).await?);
    }
    gone.sort_unstable();
    Ok(gone)
}

/// The UIDs marked \Deleted; reads the folder only if its row says there are any.
fn marked(node: &Node, id: FolderId) -> Result<Vec<u32>, FlagError> {
    let folder = load(&node.store, id)?.ok_or(FlagError::NoSuchFolder)?;
    let (mut marked, mut first) = (Vec::new(), 0);
    while marked.len() < folder.deleted as usize {
        let page = row::scan::<MessageRow>(&node.store, &from_uid(id, first, 1000))?;
        marked.extend(
            page.iter().filter(|(_, m)| m.flags.has(Flags::DELETED)).map(|(key, _)| uid_of(key)),
        );
        match page.last() {
            Some((last, _)) => first = uid_of(last).saturating_add(1),
            None => break,
        }
    }
    Ok(marked)
}

fn expunge_some(
    tx: &mut Tx<'_>,
    now: Timestamp,
    id: FolderId,
    uids: &[u32],
) -> Result<Vec<u32>, FlagError> {
    let mut folder = load(tx, id)?.ok_or(FlagError::NoSuchFolder)?;
    let (mut gone, mut blobs, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
    for uid in uids.iter().copied() {
        // The flag may have been taken away since it was looked at.
        let Some(message) =
            row::get::<MessageRow>(tx, &key(id, uid))?.filter(|m| m.flags.has(Flags::DELETED))
        else {
            continue;
        };
        take_out(tx, &mut folder, uid, &message)?;
        deliveries.extend(message.delivery.map(|delivery| (uid, delivery)));
        gone.push(uid);
        blobs.push(message.blob);
    }
    if !gone.is_empty() {
        save(tx, &folder)?;
        deliver::removed(tx, now, id, &deliveries)?;
        erasure::erase(tx, now, &blobs)?;
    }
    Ok(gone)
}

/// Removes a message's rows, counts it out of `folder` (which the caller saves) and notes that it
/// is gone.
pub(super) fn take_out(
    tx: &mut Tx<'_>,
    folder: &mut Folder,
    uid: u32,
    message: &MessageRow,
) -> Result<(), StoreError> {
    row::delete::<MessageRow>(tx, &key(folder.id, uid));
    row::delete::<Summary>(tx, &key(folder.id, uid));
    flags::count_out(folder, &message.flags);
    folder.total = folder.total.saturating_sub(1);
    folder.size = folder.size.saturating_sub(message.size);
    change::note(tx, folder, uid, Some(message.modseq), true)?;
    Ok(())
}

/// Removes some messages of a folder that is itself gone; how many there were, 0 when none is left.
pub(super) fn forget_some(
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
        let deliveries: Vec<_> = found
            .iter()
            .filter_map(|(key, message)| Some((uid_of(key), message.delivery?)))
            .collect();
        deliver::removed(tx, now, folder, &deliveries)?;
        let blobs: Vec<BlobId> = found.iter().map(|(_, message)| message.blob).collect();
        erasure::erase(tx, now, &blobs)?;
    }
    Ok(found.len())
}
