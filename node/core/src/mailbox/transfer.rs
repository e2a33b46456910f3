//! COPY and MOVE between folders (RFC 9051 6.4.7, 6.4.8).

use futures::future::join_all;

use super::append::{Appender, NewMessage};
use super::deliver::DeliverError;
use super::folders::{FolderId, load, save};
use super::read::MessageRow;
use super::remove::{self, MessageRows, Stored};
use super::{FlagChange, FlagError, Flags, expunge, index_older, store_flags};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::store::{StoreError, Tx};

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
            DeliverError::Flags(_) | DeliverError::FolderFull | DeliverError::ShareUsedUp(_) => {
                Self::TargetFull
            }
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
    for together in batches(node, from, uids).await?.chunks(super::COMMITS_TOGETHER) {
        let now = node.clock.now();
        let commit =
            |batch: Vec<u32>| node.store.commit(move |tx| copy_batch(tx, from, &batch, to, now));
        let mut failed = None;
        for result in join_all(together.iter().cloned().map(commit)).await {
            match result {
                Ok(part) => copied.extend(part),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            expunge_copies(node, to, &copied).await;
            return Err(error);
        }
    }
    Ok(copied)
}

/// The UIDs in batches of one commit each; a single empty batch when there are none, so that the
/// folders are still checked. Their details are read if they never were.
async fn batches(node: &Node, folder: FolderId, uids: &[u32]) -> Result<Vec<Vec<u32>>, StoreError> {
    let mut uids = uids.to_vec();
    uids.sort_unstable();
    uids.dedup();
    index_older::read_details_of(node, folder, &uids).await?;
    let mut batches = remove::by_page(node, folder, &uids)?;
    if batches.is_empty() {
        batches.push(Vec::new());
    }
    Ok(batches)
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
    for together in batches(node, from, uids).await?.chunks(super::COMMITS_TOGETHER) {
        let now = node.clock.now();
        let commit =
            |batch: Vec<u32>| node.store.commit(move |tx| move_batch(tx, from, &batch, to, now));
        for result in join_all(together.iter().cloned().map(commit)).await {
            moved.extend(result?);
        }
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
    let source = load(tx, from)?.ok_or(TransferError::NoSource)?;
    load(tx, to)?.ok_or(TransferError::NoTarget)?;
    let messages = remove::stored(tx, &source, uids)?;
    let mut appender = Appender::open(tx, to)?;
    let mut copied = Vec::new();
    for message in messages {
        let old = message.entry.uid;
        let row = MessageRow { delivery: None, saved: now, ..message.row.clone() };
        copied.push((old, appender.push(tx, moved(message, row))?.uid));
    }
    if !copied.is_empty() {
        appender.finish(tx)?;
    }
    Ok(copied)
}

fn moved(message: Stored, row: MessageRow) -> NewMessage {
    NewMessage {
        flags: message.flags,
        internal_date: message.entry.internal_date,
        sent_day: message.entry.sent_day,
        size: message.entry.size,
        row,
        details: message.details,
    }
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
    let mut source = load(tx, from)?.ok_or(TransferError::NoSource)?;
    load(tx, to)?.ok_or(TransferError::NoTarget)?;
    let messages = remove::stored(tx, &source, uids)?;
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let removed: Vec<_> = messages.iter().map(|moved| (&moved.entry, &moved.flags)).collect();
    remove::remove(tx, &mut source, &removed, MessageRows::Delete)?;
    save(tx, &source)?;
    let mut appender = Appender::open(tx, to)?;
    let mut uids = Vec::new();
    for message in messages {
        let old = message.entry.uid;
        let row = MessageRow { saved: now, ..message.row.clone() };
        uids.push((old, appender.push(tx, moved(message, row))?.uid));
    }
    appender.finish(tx)?;
    Ok(uids)
}

#[cfg(test)]
mod tests;
