//! Copying and moving messages between folders.

use super::deliver::{self, DeliverError};
use super::folders::{FolderId, load, save};
use super::read::{MessageRow, key};
use super::summary::Summary;
use super::{FlagChange, FlagError, Flags, expunge, store_flags};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row;
use crate::store::{StoreError, Tx};

/// A moved message is two of a row that may be 4 KiB and a folder's twice: fewer fit a commit than
/// elsewhere.
const MESSAGES_PER_COMMIT: usize = 50;

/// Why messages were not copied or moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// There is no folder to take from.
    #[error("there is no such folder to take from")]
    NoSource,
    /// There is no folder to put into; a mail program may make it and try again (TRYCREATE, RFC
    /// 9051 7.1).
    #[error("there is no such folder to put into")]
    NoTarget,
    /// The target takes no more messages or keywords.
    #[error("the folder takes no more")]
    TargetFull,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<DeliverError> for TransferError {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::NoSuchFolder => Self::NoTarget,
            DeliverError::Flags(_) | DeliverError::FolderFull => Self::TargetFull,
            DeliverError::Store(error) => Self::Store(error),
        }
    }
}

/// Copies messages and returns (old UID, new UID) in order; UIDs that don't exist are passed over.
/// All or none: what was copied before a failure is taken back (RFC 9051 6.4.7).
///
/// # Errors
/// When a folder does not exist or the store refuses.
pub async fn copy_messages(
    node: &Node,
    from: FolderId,
    uids: &[u32],
    to: FolderId,
) -> Result<Vec<(u32, u32)>, TransferError> {
    let mut copied = Vec::new();
    for some in chunks(uids) {
        let now = node.clock.now();
        match node.store.commit(move |tx| copy_some(tx, from, &some, to, now)).await {
            Ok(part) => copied.extend(part),
            Err(error) => {
                take_back(node, to, &copied).await;
                return Err(error);
            }
        }
    }
    Ok(copied)
}

/// The UIDs in parts of one commit each; one empty part when there are none, so that folders are
/// still checked.
fn chunks(uids: &[u32]) -> Vec<Vec<u32>> {
    if uids.is_empty() {
        vec![Vec::new()]
    } else {
        uids.chunks(MESSAGES_PER_COMMIT).map(<[u32]>::to_vec).collect()
    }
}

async fn take_back(node: &Node, folder: FolderId, copied: &[(u32, u32)]) {
    let uids: Vec<u32> = copied.iter().map(|(_, new)| *new).collect();
    let undone = async {
        store_flags(node, folder, &uids, FlagChange::Add(Flags::of(Flags::DELETED)), None).await?;
        expunge(node, folder, Some(&uids)).await.map(drop)
    };
    let undone: Result<(), FlagError> = undone.await;
    if let Err(error) = undone {
        tracing::warn!(%error, "a copy that failed half way could not be taken back");
    }
}

/// Moves messages and returns (old UID, new UID) in order (RFC 6851). Many messages take several
/// commits; a failure leaves each message in one folder or the other.
///
/// # Errors
/// As [`copy_messages`].
pub async fn move_messages(
    node: &Node,
    from: FolderId,
    uids: &[u32],
    to: FolderId,
) -> Result<Vec<(u32, u32)>, TransferError> {
    let mut moved = Vec::new();
    for some in chunks(uids) {
        let now = node.clock.now();
        moved.extend(node.store.commit(move |tx| move_some(tx, from, &some, to, now)).await?);
    }
    Ok(moved)
}

fn copy_some(
    tx: &mut Tx<'_>,
    from: FolderId,
    uids: &[u32],
    to: FolderId,
    now: Timestamp,
) -> Result<Vec<(u32, u32)>, TransferError> {
    load(tx, from)?.ok_or(TransferError::NoSource)?;
    load(tx, to)?.ok_or(TransferError::NoTarget)?;
    let mut copied = Vec::new();
    for uid in uids.iter().copied() {
        let Some((message, summary)) = whole(tx, from, uid)? else { continue };
        let copy =
            deliver::add(tx, to, MessageRow { delivery: None, saved: now, ..message }, &summary)?;
        copied.push((uid, copy.uid));
    }
    Ok(copied)
}

fn move_some(
    tx: &mut Tx<'_>,
    from: FolderId,
    uids: &[u32],
    to: FolderId,
    now: Timestamp,
) -> Result<Vec<(u32, u32)>, TransferError> {
    load(tx, to)?.ok_or(TransferError::NoTarget)?;
    let mut moved = Vec::new();
    for uid in uids.iter().copied() {
        let mut source = load(tx, from)?.ok_or(TransferError::NoSource)?;
        let Some((message, summary)) = whole(tx, from, uid)? else { continue };
        expunge::take_out(tx, &mut source, uid, &message)?;
        save(tx, &source)?;
        let new = deliver::add(tx, to, MessageRow { saved: now, ..message }, &summary)?;
        moved.push((uid, new.uid));
    }
    if moved.is_empty() {
        load(tx, from)?.ok_or(TransferError::NoSource)?;
    }
    Ok(moved)
}

fn whole(
    tx: &Tx<'_>,
    folder: FolderId,
    uid: u32,
) -> Result<Option<(MessageRow, Summary)>, StoreError> {
    let message = row::get::<MessageRow>(tx, &key(folder, uid))?;
    let summary = row::get::<Summary>(tx, &key(folder, uid))?;
    Ok(message.zip(summary))
}

#[cfg(test)]
mod tests;
