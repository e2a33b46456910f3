//! Messages coming in: from SMTP, from a mail program's APPEND, from ourselves.

use minicbor::{Decode, Encode};

use super::folders::{FolderId, load, save};
use super::read::{Message, MessageId, MessageRow, key};
use super::summary::{self, Summary};
use super::{change, flags};
use crate::blobs::Pinned;
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::mailbox::{FlagError, Flags};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// How long a message that was removed is not taken a second time, in milliseconds: senders give up
/// sooner (RFC 5321 4.5.4.1).
const REMEMBERED: u64 = 14 * 24 * 3_600_000;
/// So many of those past that are forgotten in one commit: more than it removes.
const FORGOTTEN_AT_ONCE: usize = 150;

id16! {
    /// Names one delivery: handing in the same one again gives the message it made, not a second
    /// one.
    IdempotencyKey
}

impl IdempotencyKey {
    /// The id of a delivery that is the same whenever `parts` are.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(row::key_part(hasher.finalize().as_bytes(), 0))
    }

    /// An id of its own, for what is never handed in twice.
    pub fn new(node: &Node) -> Self {
        Self(node.random.array())
    }
}

/// A message to be kept.
#[derive(Debug)]
pub struct Delivery {
    /// Where it goes.
    pub folder: FolderId,
    /// Its text, stored as [`crate::blobs::AtRest::Sealed`].
    pub blob: Pinned,
    /// What makes handing it in twice harmless.
    pub id: IdempotencyKey,
    /// When it arrived.
    pub internal_date: Timestamp,
    /// Its first flags.
    pub flags: Flags,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// There is no such folder.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// A flag is not allowed.
    #[error(transparent)]
    Flags(FlagError),
    /// The folder has given out its last UID.
    #[error("the folder is full")]
    FolderFull,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<FlagError> for DeliverError {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::Store(error) => Self::Store(error),
            FlagError::NoSuchFolder => Self::NoSuchFolder,
            refused => Self::Flags(refused),
        }
    }
}

/// Under the delivery's id: the message it made.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct DeliveredRow {
    #[n(0)]
    pub(super) folder: FolderId,
    #[n(1)]
    pub(super) uid: u32,
    /// When the message was removed.
    #[n(2)]
    pub(super) removed: Option<Timestamp>,
}

impl DeliveredRow {
    /// Whether the message was removed so long ago that nobody still hands it in for want of an
    /// answer.
    fn is_past(&self, now: Timestamp) -> bool {
        self.removed.is_some_and(|removed| removed.plus_millis(REMEMBERED) < now)
    }
}

impl Record for DeliveredRow {
    const TABLE: Table = Table::new("mailbox_delivered");
    const VERSION: u8 = 1;
}

/// Under `when ‖ delivery`: its message was removed then.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RemovedRow {}

impl Record for RemovedRow {
    const TABLE: Table = Table::new("mailbox_removed");
    const VERSION: u8 = 1;
}

/// Remembers a message's delivery beyond its removal, and forgets some that are past.
pub(super) fn removed(
    tx: &mut Tx<'_>,
    now: Timestamp,
    folder: FolderId,
    gone: &[(u32, IdempotencyKey)],
) -> Result<(), StoreError> {
    for (uid, delivery) in gone {
        row::put(tx, &delivery.0, &DeliveredRow { folder, uid: *uid, removed: Some(now) })?;
        row::put(tx, &row::key(&[&now.0.to_be_bytes(), &delivery.0]), &RemovedRow {})?;
    }
    for (found, _) in row::scan::<RemovedRow>(tx, &Scan::prefix(&[], FORGOTTEN_AT_ONCE))? {
        if Timestamp(u64::from_be_bytes(row::key_part(&found, 0))).plus_millis(REMEMBERED) >= now {
            break;
        }
        let delivery: [u8; 16] = row::key_part(&found, 8);
        // The message may have been taken once more since.
        if row::get::<DeliveredRow>(tx, &delivery)?.is_some_and(|made| made.is_past(now)) {
            row::delete::<DeliveredRow>(tx, &delivery);
        }
        row::delete::<RemovedRow>(tx, &found);
    }
    Ok(())
}

/// A delivery read and ready for a commit.
pub(super) struct Ready {
    pub(super) delivery: Delivery,
    summary: Summary,
    message: MessageId,
    now: Timestamp,
}

/// Keeps a message; once this returns it is durable.
///
/// # Errors
/// When there is no such folder or the store refuses; nothing is kept then.
pub async fn deliver(node: &Node, delivery: Delivery) -> Result<Message, DeliverError> {
    let ready = read(node, delivery).await?;
    node.store
        .commit(move |tx| {
            let folder = ready.delivery.folder;
            keep(tx, &ready, folder)
        })
        .await
}

/// Reads what a delivery's lists will show of it.
pub(super) async fn read(node: &Node, delivery: Delivery) -> Result<Ready, DeliverError> {
    flags::checked(&delivery.flags)?;
    let summary = summary::of(node, delivery.blob.id, delivery.blob.len).await?;
    Ok(Ready { delivery, summary, message: MessageId(node.random.array()), now: node.clock.now() })
}

/// Writes a message inside a commit, or finds the one this delivery made before. One that was
/// removed since stays so: whoever hands it in again has only missed our answer.
pub(super) fn keep(
    tx: &mut Tx<'_>,
    ready: &Ready,
    folder: FolderId,
) -> Result<Message, DeliverError> {
    let delivery = ready.delivery.id;
    let row = MessageRow {
        modseq: 0,
        flags: ready.delivery.flags.clone(),
        internal_date: ready.delivery.internal_date,
        saved: ready.now,
        size: ready.delivery.blob.len,
        blob: ready.delivery.blob.id,
        id: ready.message,
        delivery: Some(delivery),
    };
    if let Some(made) =
        row::get::<DeliveredRow>(tx, &delivery.0)?.filter(|made| !made.is_past(ready.now))
    {
        let message = row::get::<MessageRow>(tx, &key(made.folder, made.uid))?;
        return Ok(message.unwrap_or(row).shown(made.folder, made.uid));
    }
    tx.attach(&ready.delivery.blob);
    add(tx, folder, row, &ready.summary)
}

/// Whether a delivery was taken before, also if its message has been removed since.
pub(super) fn was_taken(tx: &Tx<'_>, delivery: IdempotencyKey) -> Result<bool, StoreError> {
    Ok(row::get::<DeliveredRow>(tx, &delivery.0)?.is_some())
}

/// Gives a message the folder's next UID and modseq and writes its rows.
pub(super) fn add(
    tx: &mut Tx<'_>,
    id: FolderId,
    mut message: MessageRow,
    summary: &Summary,
) -> Result<Message, DeliverError> {
    let mut folder = load(tx, id)?.ok_or(DeliverError::NoSuchFolder)?;
    let uid = folder.uid_next;
    folder.uid_next = uid.checked_add(1).ok_or(DeliverError::FolderFull)?;
    folder.total = folder.total.saturating_add(1);
    folder.size = folder.size.saturating_add(message.size);
    flags::count_in(&mut folder, &message.flags)?;
    message.modseq = change::note(tx, &mut folder, uid, None, false)?;
    row::put_referring(tx, &key(id, uid), &message, &[message.blob])?;
    row::put(tx, &key(id, uid), summary)?;
    if let Some(delivery) = message.delivery {
        row::put(tx, &delivery.0, &DeliveredRow { folder: id, uid, removed: None })?;
    }
    save(tx, &folder)?;
    Ok(message.shown(id, uid))
}

#[cfg(test)]
mod tests;
