//! Reading messages, summaries and message bytes.

use minicbor::{Decode, Encode};

use super::flags::Flags;
use super::folders::{FolderId, load};
use super::idempotency::IdempotencyKey;
use super::summary::Summary;
use crate::blobs::BlobReader;
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError, Table};

/// The longest message, in bytes.
pub const MESSAGE_LEN_MAX: u64 = 64 * 1024 * 1024;
const PAGE: usize = 1000;

id16! {
    /// The id of a message, shared by its copies in other folders (EMAILID, RFC 8474 5.1).
    MessageId
}

/// A message in a folder, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The folder.
    pub folder: FolderId,
    /// Its UID in the folder.
    pub uid: u32,
    /// The modseq of its latest change (RFC 7162).
    pub modseq: u64,
    /// Its flags and keywords.
    pub flags: Flags,
    /// When it arrived (INTERNALDATE).
    pub internal_date: Timestamp,
    /// When it was added to this folder (SAVEDATE, RFC 8514).
    pub saved: Timestamp,
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes, as they arrived.
    pub blob: BlobId,
    /// Its id, equal in every folder that has a copy.
    pub id: MessageId,
}

#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub(super) struct MessageRow {
    #[n(0)]
    pub(super) modseq: u64,
    #[n(1)]
    pub(super) flags: Flags,
    #[n(2)]
    pub(super) internal_date: Timestamp,
    #[n(3)]
    pub(super) saved: Timestamp,
    #[n(4)]
    pub(super) size: u64,
    #[n(5)]
    pub(super) blob: BlobId,
    #[n(6)]
    pub(super) id: MessageId,
    /// The key of its delivery; a move keeps it, a copy has none.
    #[n(7)]
    pub(super) delivery: Option<IdempotencyKey>,
}

impl Record for MessageRow {
    const TABLE: Table = Table::new("mailbox_messages");
    const VERSION: u8 = 1;
}

impl MessageRow {
    pub(super) fn into_message(self, folder: FolderId, uid: u32) -> Message {
        Message {
            folder,
            uid,
            modseq: self.modseq,
            flags: self.flags,
            internal_date: self.internal_date,
            saved: self.saved,
            size: self.size,
            blob: self.blob,
            id: self.id,
        }
    }
}

pub(super) fn key(folder: FolderId, uid: u32) -> Vec<u8> {
    row::key(&[&folder.key(), &uid.to_be_bytes()])
}

pub(super) fn uid_of(key: &[u8]) -> u32 {
    u32::from_be_bytes(row::key_part(key, 4))
}

/// The scan of a folder's rows from UID `first` on.
pub(super) fn from_uid(folder: FolderId, first: u32, limit: usize) -> Scan {
    let scan = Scan::prefix(&folder.key(), limit);
    match first.checked_sub(1) {
        Some(before) => scan.after(&key(folder, before)),
        None => scan,
    }
}

/// Messages with a UID from `first` to `last`, at most `limit`, in the order of UIDs.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn messages(
    node: &Node,
    folder: FolderId,
    first: u32,
    last: u32,
    limit: usize,
) -> Result<Vec<Message>, StoreError> {
    messages_in(&node.store, folder, first, last, limit)
}

/// [`messages`] as seen by `rows`.
///
/// # Errors
/// As [`messages`].
pub fn messages_in(
    rows: &impl Rows,
    folder: FolderId,
    first: u32,
    last: u32,
    limit: usize,
) -> Result<Vec<Message>, StoreError> {
    let span = usize::try_from(last.saturating_sub(first)).unwrap_or(usize::MAX).saturating_add(1);
    if last < first {
        return Ok(Vec::new());
    }
    let found = row::scan::<MessageRow>(rows, &from_uid(folder, first, limit.min(span)))?;
    Ok(found
        .into_iter()
        .map(|(key, row)| row.into_message(folder, uid_of(&key)))
        .take_while(|m| m.uid <= last)
        .collect())
}

/// One message.
///
/// # Errors
/// As [`messages`].
pub fn message(node: &Node, folder: FolderId, uid: u32) -> Result<Option<Message>, StoreError> {
    Ok(row::get::<MessageRow>(&node.store, &key(folder, uid))?
        .map(|row| row.into_message(folder, uid)))
}

/// Messages with their summaries, the newest first: those with a UID below `before` (all for
/// `None`), at most `limit`.
///
/// # Errors
/// As [`messages`].
pub fn summaries(
    node: &Node,
    folder: FolderId,
    before: Option<u32>,
    limit: usize,
) -> Result<Vec<(Message, Summary)>, StoreError> {
    let scan = Scan::prefix(&folder.key(), limit).reversed();
    let scan = match before {
        Some(uid) => scan.after(&key(folder, uid)),
        None => scan,
    };
    let mut listed = Vec::new();
    for (found, row) in row::scan::<MessageRow>(&node.store, &scan)? {
        // A message that is expunged between the two reads is not listed.
        if let Some(summary) = row::get::<Summary>(&node.store, &found)? {
            listed.push((row.into_message(folder, uid_of(&found)), summary));
        }
    }
    Ok(listed)
}

/// The summary of one message.
///
/// # Errors
/// As [`messages`].
pub fn summary(node: &Node, folder: FolderId, uid: u32) -> Result<Option<Summary>, StoreError> {
    row::get(&node.store, &key(folder, uid))
}

/// The UIDs of a folder in order, from `first` on, at most `limit`. Only keys are read, so that
/// SELECT of a large folder is fast.
///
/// # Errors
/// When the store is unavailable.
pub fn uids(
    node: &Node,
    folder: FolderId,
    first: u32,
    limit: usize,
) -> Result<Vec<u32>, StoreError> {
    let keys = node.store.keys(MessageRow::TABLE, &from_uid(folder, first, limit))?;
    Ok(keys.iter().map(|key| uid_of(key)).collect())
}

/// The lowest UID without \Seen (UNSEEN in the response to SELECT, RFC 3501 7.1). Scans from the
/// newest message down until it has seen as many as the folder counts, since most unseen messages
/// are new.
///
/// # Errors
/// As [`messages`].
pub fn first_unseen(node: &Node, folder: FolderId) -> Result<Option<u32>, StoreError> {
    let mut unseen_left = load(&node.store, folder)?.map_or(0, |folder| folder.unseen);
    let mut oldest = None;
    let mut scan = Scan::prefix(&folder.key(), PAGE).reversed();
    while unseen_left > 0 {
        let page = row::scan::<MessageRow>(&node.store, &scan)?;
        for (key, _) in
            page.iter().filter(|(_, row)| !row.flags.has(Flags::SEEN)).take(unseen_left as usize)
        {
            oldest = Some(uid_of(key));
            unseen_left -= 1;
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => {
                scan = Scan::prefix(&folder.key(), PAGE).reversed().after(last)
            }
            _ => break,
        }
    }
    Ok(oldest)
}

/// The bytes of a message, as they arrived.
///
/// # Errors
/// When they are damaged, or the message was expunged since `message` was read.
pub fn body(node: &Node, message: &Message) -> Result<BlobReader, StoreError> {
    node.blobs.open(&message.blob)
}
