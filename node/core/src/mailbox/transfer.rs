//! COPY and MOVE between folders (RFC 9051 6.4.7, 6.4.8).

mod unfinished;

use futures::future::join_all;

use super::append::{Appender, NewMessage};
use super::deliver::DeliverError;
use super::folders::{FolderId, load, save};
use super::index_older;
use super::junk;
use super::read::MessageRow;
use super::remove::{self, MessageRows, Stored};
use super::thread_members;
use crate::clock::Timestamp;
use crate::node::Node;
use crate::store::{StoreError, Tx};

use unfinished::Part;
pub use unfinished::undo_failed_copies;
pub(super) use unfinished::{check, undo_interrupted};

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
    /// A message does not exist, and [`Missing::Refuse`] was given.
    #[error("a message does not exist any more")]
    Expunged,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<DeliverError> for TransferError {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::NoSuchFolder => Self::NoTarget,
            DeliverError::Flags(_)
            | DeliverError::FolderFull
            | DeliverError::ShareUsedUp(_)
            | DeliverError::RefusedByRule => Self::TargetFull,
            DeliverError::Store(error) => Self::Store(error),
        }
    }
}

/// The treatment of UIDs that don't exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// They are skipped.
    Skip,
    /// Nothing is copied or moved (RFC 2180 4.4.1).
    Refuse,
}

impl Missing {
    fn check(self, wanted: usize, found: usize) -> Result<(), TransferError> {
        if self == Self::Refuse && found < wanted {
            return Err(TransferError::Expunged);
        }
        Ok(())
    }
}

/// As [`copy_named`]; UIDs that don't exist are skipped.
///
/// # Errors
/// When a folder does not exist or the store refuses.
pub async fn copy_messages(
    node: &Node,
    from: FolderId,
    uids: &[u32],
    to: FolderId,
) -> Result<Vec<(u32, u32)>, TransferError> {
    copy_named(node, from, uids, to, Missing::Skip).await
}

/// Copies messages and returns (old UID, new UID) in order. Either all are copied or none (RFC 9051
/// 6.4.7): after a failure or a power cut the copies made before it are expunged.
///
/// # Errors
/// When a folder does not exist, a message is missing, or the store refuses.
pub async fn copy_named(
    node: &Node,
    from: FolderId,
    uids: &[u32],
    to: FolderId,
    missing: Missing,
) -> Result<Vec<(u32, u32)>, TransferError> {
    let batches = batches(node, from, uids, missing).await?;
    let copy = node.random.array();
    let parts: Vec<(Part, Vec<u32>)> = Part::all(copy, batches.len()).zip(batches).collect();
    let mut copied = Vec::new();
    for together in parts.chunks(super::COMMITS_TOGETHER) {
        let now = node.clock.now();
        let commit = |(part, batch): (Part, Vec<u32>)| {
            node.store.commit(move |tx| copy_batch(tx, part, from, (&batch, missing), to, now))
        };
        let results = join_all(together.iter().cloned().map(commit)).await;
        match results.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(pairs) => copied.extend(pairs.into_iter().flatten()),
            Err(error) => {
                if let Err(error) = unfinished::undo(node, copy).await {
                    tracing::warn!(%error, "copies of a failed COPY are expunged later");
                }
                return Err(error);
            }
        }
    }
    Ok(copied)
}

/// The UIDs in batches of one commit each; a single empty batch when there are none, so that the
/// folders are still checked. Their details are read if they never were.
async fn batches(
    node: &Node,
    folder: FolderId,
    uids: &[u32],
    missing: Missing,
) -> Result<Vec<Vec<u32>>, TransferError> {
    let mut uids = uids.to_vec();
    uids.sort_unstable();
    uids.dedup();
    index_older::read_details_of(node, folder, &uids).await?;
    let mut batches = remove::by_page(node, folder, &uids)?;
    missing.check(uids.len(), batches.iter().map(Vec::len).sum())?;
    if batches.is_empty() {
        batches.push(Vec::new());
    }
    Ok(batches)
}

/// As [`move_named`]; UIDs that don't exist are skipped.
///
/// # Errors
/// As [`copy_messages`].
pub async fn move_messages(
    node: &Node,
    from: FolderId,
    uids: &[u32],
    to: FolderId,
) -> Result<Vec<(u32, u32)>, TransferError> {
    move_named(node, from, uids, to, Missing::Skip).await
}

/// Moves messages and returns (old UID, new UID) in order (RFC 6851). Many messages take several
/// commits; after a failure each message is in exactly one of the two folders.
///
/// # Errors
/// As [`copy_named`].
pub async fn move_named(
    node: &Node,
    from: FolderId,
    uids: &[u32],
    to: FolderId,
    missing: Missing,
) -> Result<Vec<(u32, u32)>, TransferError> {
    let mut moved = Vec::new();
    let batches = batches(node, from, uids, missing).await?;
    for together in batches.chunks(super::COMMITS_TOGETHER) {
        let now = node.clock.now();
        let commit = |batch: Vec<u32>| {
            node.store.commit(move |tx| move_batch(tx, from, (&batch, missing), to, now))
        };
        for result in join_all(together.iter().cloned().map(commit)).await {
            moved.extend(result?);
        }
    }
    Ok(moved)
}

fn copy_batch(
    tx: &mut Tx<'_>,
    part: Part,
    from: FolderId,
    (uids, missing): (&[u32], Missing),
    to: FolderId,
    now: Timestamp,
) -> Result<Vec<(u32, u32)>, TransferError> {
    let source = load(tx, from)?.ok_or(TransferError::NoSource)?;
    let target = load(tx, to)?.ok_or(TransferError::NoTarget)?;
    let messages = remove::stored(tx, &source, uids)?;
    missing.check(uids.len(), messages.len())?;
    let mut appender = Appender::open(tx, to)?;
    let mut copied = Vec::new();
    for message in messages {
        let old = message.entry.uid;
        junk::record_transfer(tx, &source, &target, &message.row)?;
        let row = MessageRow { delivery: None, saved: now, ..message.row.clone() };
        copied.push((old, appender.push(tx, moved(message, row))?.uid));
    }
    if !copied.is_empty() {
        appender.finish(tx)?;
    }
    unfinished::record(tx, part, now, to, &copied)?;
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
    (uids, missing): (&[u32], Missing),
    to: FolderId,
    now: Timestamp,
) -> Result<Vec<(u32, u32)>, TransferError> {
    // Most messages are deleted by moving them to the trash.
    tx.mark_essential();
    let mut source = load(tx, from)?.ok_or(TransferError::NoSource)?;
    let target = load(tx, to)?.ok_or(TransferError::NoTarget)?;
    let messages = remove::stored(tx, &source, uids)?;
    missing.check(uids.len(), messages.len())?;
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let removed: Vec<_> = messages.iter().map(|moved| (&moved.entry, &moved.flags)).collect();
    remove::remove(tx, now, &mut source, &removed, MessageRows::Delete)?;
    for message in &messages {
        thread_members::remove(tx, from, message.entry.uid, &message.row);
    }
    save(tx, &source)?;
    let mut appender = Appender::open(tx, to)?;
    let mut uids = Vec::new();
    for message in messages {
        let old = message.entry.uid;
        junk::record_transfer(tx, &source, &target, &message.row)?;
        let row = MessageRow { saved: now, ..message.row.clone() };
        uids.push((old, appender.push(tx, moved(message, row))?.uid));
    }
    appender.finish(tx)?;
    Ok(uids)
}

#[cfg(test)]
mod tests;
