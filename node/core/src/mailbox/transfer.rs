//! COPY and MOVE between folders (RFC 9051 6.4.7, 6.4.8).

use super::deliver::{self, DeliverError};
use super::folders::{FolderId, load, save};
use super::read::{MessageRow, key};
use super::summary::Summary;
use super::{FlagChange, FlagError, Flags, expunge, store_flags};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row;
use crate::store::{StoreError, Tx};

/// Fewer messages per commit than elsewhere: a moved one writes two summary rows of up to 4 KiB and
/// two folder rows.
const MESSAGES_PER_COMMIT: usize = 50;

/// Why messages were not copied or moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The source folder does not exist.
    #[error("the source folder does not exist")]
    NoSource,
    /// The target folder does not exist; a mail program may create it and retry (TRYCREATE, RFC
    /// 9051 7.1).
    #[error("the target folder does not exist")]
    NoTarget,
    /// The target folder accepts no more messages or keywords.
    #[error("the target folder accepts no more messages or keywords")]
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

/// Copies messages and returns (old UID, new UID) in order; UIDs that don't exist are skipped.
/// Either all are copied or none: a failure expunges the copies made before it (RFC 9051 6.4.7).
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
    for batch in batches(uids) {
        let now = node.clock.now();
        match node.store.commit(move |tx| copy_batch(tx, from, &batch, to, now)).await {
            Ok(part) => copied.extend(part),
            Err(error) => {
                expunge_copies(node, to, &copied).await;
                return Err(error);
            }
        }
    }
    Ok(copied)
}

/// The UIDs in batches of one commit each; a single empty batch when there are none, so that the
/// folders are still checked.
fn batches(uids: &[u32]) -> Vec<Vec<u32>> {
    if uids.is_empty() {
        vec![Vec::new()]
    } else {
        uids.chunks(MESSAGES_PER_COMMIT).map(<[u32]>::to_vec).collect()
    }
}

async fn expunge_copies(node: &Node, folder: FolderId, copied: &[(u32, u32)]) {
    let uids: Vec<u32> = copied.iter().map(|(_, new)| *new).collect();
    let expunged = async {
        store_flags(node, folder, &uids, FlagChange::Add(Flags::of(Flags::DELETED)), None).await?;
        expunge(node, folder, Some(&uids)).await.map(drop)
    };
    let expunged: Result<(), FlagError> = expunged.await;
    if let Err(error) = expunged {
        tracing::warn!(%error, "the copies made before a failed COPY could not be expunged");
    }
}

/// Moves messages and returns (old UID, new UID) in order (RFC 6851). Many messages take several
/// commits; after a failure each message is in exactly one of the two folders.
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
    for batch in batches(uids) {
        let now = node.clock.now();
        moved.extend(node.store.commit(move |tx| move_batch(tx, from, &batch, to, now)).await?);
    }
    Ok(moved)
}

fn copy_batch(
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
        let Some((message, summary)) = message_and_summary(tx, from, uid)? else { continue };
        let copy = deliver::append(
            tx,
            to,
            MessageRow { delivery: None, saved: now, ..message },
            &summary,
        )?;
        copied.push((uid, copy.uid));
    }
    Ok(copied)
}

fn move_batch(
    tx: &mut Tx<'_>,
    from: FolderId,
    uids: &[u32],
    to: FolderId,
    now: Timestamp,
) -> Result<Vec<(u32, u32)>, TransferError> {
    // Most messages are deleted by moving them to the trash.
    tx.mark_essential();
    load(tx, to)?.ok_or(TransferError::NoTarget)?;
    let mut moved = Vec::new();
    for uid in uids.iter().copied() {
        let mut source = load(tx, from)?.ok_or(TransferError::NoSource)?;
        let Some((message, summary)) = message_and_summary(tx, from, uid)? else { continue };
        expunge::remove(tx, &mut source, uid, &message)?;
        save(tx, &source)?;
        let new = deliver::append(tx, to, MessageRow { saved: now, ..message }, &summary)?;
        moved.push((uid, new.uid));
    }
    if moved.is_empty() {
        load(tx, from)?.ok_or(TransferError::NoSource)?;
    }
    Ok(moved)
}

fn message_and_summary(
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
