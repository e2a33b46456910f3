//! Delivering messages into folders: from SMTP, from APPEND (RFC 9051 6.3.12), from this node.

use minicbor::{Decode, Encode};

use super::append::{Appender, NewMessage};
use super::details::{self, Reading};
use super::flags;
use super::folders::FolderId;
use super::idempotency::IdempotencyKey;
use super::junk::{self, Judgement};
use super::read::{MESSAGE_LEN_MAX, Message, MessageId, MessageRow, message_in};
use super::thread::{self, ThreadId, ThreadKey};
use crate::blobs::Pinned;
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::mailbox::{FlagError, Flags};
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::shares::Share;
use crate::store::{BlobId, Scan, StoreError, Table, Tx};
use tokio::sync::Semaphore;

/// How long the key of an expunged message is remembered, in milliseconds. Senders give up earlier
/// (RFC 5321 4.5.4.1).
const KEY_REMEMBERED: u64 = 14 * 24 * 3_600_000;
/// How many expired keys one commit forgets: more than one commit adds.
const FORGOTTEN_PER_COMMIT: usize = 150;

/// A message to be stored in a folder.
#[derive(Debug)]
pub struct Delivery {
    /// The folder it is stored in.
    pub folder: FolderId,
    /// Its bytes.
    pub blob: Pinned,
    /// Its idempotency key.
    pub id: IdempotencyKey,
    /// When it arrived (INTERNALDATE).
    pub internal_date: Timestamp,
    /// Its initial flags.
    pub flags: Flags,
}

/// Why a message was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// There is no such folder.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// A keyword is not allowed.
    #[error(transparent)]
    Flags(FlagError),
    /// The folder has assigned its last UID.
    #[error("the folder is full")]
    FolderFull,
    /// A share of the disk that the delivery is charged to is used up for today.
    #[error("a share of the disk is used up for today")]
    ShareUsedUp(Share),
    /// A rule of the owner refuses the message.
    #[error("a rule of the owner refuses the message")]
    RefusedByRule,
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

/// Under the idempotency key: the message of that delivery.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct DeliveredRow {
    #[n(0)]
    pub(super) folder: FolderId,
    #[n(1)]
    pub(super) uid: u32,
    /// When the message was expunged.
    #[n(2)]
    pub(super) expunged: Option<Timestamp>,
}

impl DeliveredRow {
    /// Whether the message was expunged so long ago that no sender repeats its delivery any more.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expunged.is_some_and(|expunged| expunged.plus_millis(KEY_REMEMBERED) < now)
    }
}

impl Record for DeliveredRow {
    const TABLE: Table = Table::new("mailbox_delivered");
    const VERSION: u8 = 1;
}

/// Under `time of the expunge ‖ idempotency key`.
#[derive(Encode, Decode)]
#[cbor(map)]
struct ExpungedRow {}

impl Record for ExpungedRow {
    const TABLE: Table = Table::new("mailbox_removed");
    const VERSION: u8 = 1;
}

/// Remembers the keys of expunged messages, and forgets some expired keys.
pub(super) fn remember_expunged(
    tx: &mut Tx<'_>,
    now: Timestamp,
    folder: FolderId,
    expunged: &[(u32, IdempotencyKey)],
) -> Result<(), StoreError> {
    for (uid, idempotency) in expunged {
        row::put(tx, &idempotency.0, &DeliveredRow { folder, uid: *uid, expunged: Some(now) })?;
        row::put(tx, &row::key(&[&now.0.to_be_bytes(), &idempotency.0]), &ExpungedRow {})?;
    }
    for (found, _) in row::scan::<ExpungedRow>(tx, &Scan::prefix(&[], FORGOTTEN_PER_COMMIT))? {
        if Timestamp(u64::from_be_bytes(row::key_part(&found, 0))).plus_millis(KEY_REMEMBERED)
            >= now
        {
            break;
        }
        let idempotency: [u8; 16] = row::key_part(&found, 8);
        // The key may have been used again since.
        if row::get::<DeliveredRow>(tx, &idempotency)?
            .is_some_and(|earlier| earlier.is_expired(now))
        {
            row::delete::<DeliveredRow>(tx, &idempotency);
        }
        row::delete::<ExpungedRow>(tx, &found);
    }
    Ok(())
}

/// A delivery whose message was read, ready for a commit.
pub(super) struct PreparedDelivery {
    pub(super) delivery: Delivery,
    reading: Reading,
    thread_keys: Vec<ThreadKey>,
    /// The ids of the message and of its thread, if it begins one.
    message: MessageId,
    thread: ThreadId,
    now: Timestamp,
    pub(super) judgement: Option<Judgement>,
    /// The owner's addresses in its envelope; see [`super::addressed`].
    pub(super) addressed: Vec<String>,
}

/// Stores a message in a folder; once this returns, the message is durable.
///
/// # Errors
/// When there is no such folder or the store refuses; nothing is stored then.
pub async fn deliver(node: &Node, delivery: Delivery) -> Result<Message, DeliverError> {
    let prepared = prepare(node, delivery).await?;
    let commit = move |tx: &mut Tx<'_>| insert(tx, &prepared, prepared.delivery.folder);
    node.store.commit(commit).await
}

/// Deletes the blob of a message that was refused, or delivered before: a stranger could fill the
/// disk with them until the next collection. A blob that something refers to stays.
///
/// # Errors
/// The store's.
pub async fn discard(node: &Node, blob: BlobId) -> Result<(), StoreError> {
    let (blobs, store) = (node.blobs.clone(), node.store.clone());
    try_blocking(move || blobs.unlink_now(&store, &[blob]).map(drop)).await
}

/// Checks a delivery's flags and reads its message.
pub(super) async fn prepare(
    node: &Node,
    delivery: Delivery,
) -> Result<PreparedDelivery, DeliverError> {
    flags::check_keywords(&delivery.flags)?;
    let reading = read(node, delivery.blob.id, delivery.blob.len).await?;
    PreparedDelivery::new(node, delivery, reading).map_err(Into::into)
}

/// Longer messages are read one at a time, because a message is in memory while it is read; bytes.
const READ_TOGETHER_LEN_MAX: u64 = 256 * 1024;
static LONG_READS: Semaphore = Semaphore::const_new(1);

/// Reads what lists need of a stored message.
pub(super) async fn read(node: &Node, blob: BlobId, len: u64) -> Result<Reading, StoreError> {
    read_bytes(node, blob, len, details::read).await
}

/// Calls `work` with the bytes of a stored message of length `len`.
pub(super) async fn read_bytes<T: Send + 'static>(
    node: &Node,
    blob: BlobId,
    len: u64,
    work: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T, StoreError> {
    let _permit = match len > READ_TOGETHER_LEN_MAX {
        true => LONG_READS.acquire().await.ok(),
        false => None,
    };
    let blobs = node.blobs.clone();
    let len_max = usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX);
    try_blocking(move || Ok(work(&blobs.open(&blob)?.read_all(len_max)?))).await
}

/// Stores a message within a commit, or returns the message of an earlier delivery with the same
/// key. An expunged one is not stored again: a sender that repeats the delivery only missed our
/// reply.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    prepared: &PreparedDelivery,
    folder: FolderId,
) -> Result<Message, DeliverError> {
    let idempotency = prepared.delivery.id;
    let earlier = row::get::<DeliveredRow>(tx, &idempotency.0)?;
    if let Some(earlier) = earlier.filter(|earlier| !earlier.is_expired(prepared.now)) {
        let message = message_in(tx, earlier.folder, earlier.uid)?;
        return Ok(message.unwrap_or_else(|| prepared.expunged(earlier.folder, earlier.uid)));
    }
    tx.attach(&prepared.delivery.blob);
    let mut appender = Appender::open(tx, folder)?;
    let new = prepared.message(tx)?;
    junk::record_known(tx, &new.row)?;
    let message = appender.push(tx, new)?;
    appender.finish(tx)?;
    Ok(message)
}

impl PreparedDelivery {
    /// A delivery whose message was read.
    pub(super) fn new(
        node: &Node,
        delivery: Delivery,
        reading: Reading,
    ) -> Result<Self, StoreError> {
        let thread_keys = thread::keys(node, &reading.summary)?;
        Ok(Self {
            delivery,
            reading,
            thread_keys,
            message: MessageId(node.random.array()),
            thread: ThreadId(node.random.array()),
            now: node.clock.now(),
            judgement: None,
            addressed: Vec::new(),
        })
    }

    /// When it was prepared.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The message's Message-ID, without brackets.
    pub(super) fn message_id(&self) -> Option<&str> {
        self.reading.summary.message_id.as_deref()
    }

    /// The message as it is added to a folder, in its thread.
    pub(super) fn message(&self, tx: &mut Tx<'_>) -> Result<NewMessage, StoreError> {
        let thread = thread::join(tx, &self.thread_keys, self.thread, self.now)?;
        Ok(NewMessage {
            flags: self.delivery.flags.clone(),
            internal_date: self.delivery.internal_date,
            sent_day: self.reading.sent_day,
            size: self.delivery.blob.len,
            row: MessageRow {
                saved: self.now,
                blob: self.delivery.blob.id,
                id: self.message,
                delivery: Some(self.delivery.id),
                thread: Some(thread),
                judgement: self.judgement.clone(),
                addressed: Some(self.addressed.clone()).filter(|all| !all.is_empty()),
            },
            details: self.reading.details.clone(),
        })
    }

    /// The message as the answer to a repeated delivery, after it was expunged.
    fn expunged(&self, folder: FolderId, uid: u32) -> Message {
        Message {
            folder,
            uid,
            modseq: 0,
            flags: self.delivery.flags.clone(),
            internal_date: self.delivery.internal_date,
            sent_day: self.reading.sent_day,
            size: self.delivery.blob.len,
        }
    }
}

/// Where the message of the delivery with this key was stored.
pub(super) fn place_of(
    rows: &impl Rows,
    idempotency: IdempotencyKey,
) -> Result<Option<(FolderId, u32)>, StoreError> {
    let delivered = row::get::<DeliveredRow>(rows, &idempotency.0)?;
    Ok(delivered.filter(|row| row.expunged.is_none()).map(|row| (row.folder, row.uid)))
}

/// Where the message of the delivery with this key was stored; `None` if there was none or the
/// message is gone. A form that is sent twice finds what it stored the first time.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn delivered_to(
    node: &Node,
    idempotency: IdempotencyKey,
) -> Result<Option<(FolderId, u32)>, StoreError> {
    place_of(&node.store, idempotency)
}

/// Forgets a delivery: the same message may be delivered again.
pub(super) fn forget(tx: &mut Tx<'_>, idempotency: IdempotencyKey) {
    row::delete::<DeliveredRow>(tx, &idempotency.0);
}

/// Whether there was a delivery with this key, also if its message was expunged since.
pub(super) fn was_delivered(
    rows: &impl Rows,
    idempotency: IdempotencyKey,
) -> Result<bool, StoreError> {
    Ok(row::get::<DeliveredRow>(rows, &idempotency.0)?.is_some())
}

#[cfg(test)]
mod tests;
