//! Reading messages: their state from pages, their summaries from details, their bytes from blobs.

use minicbor::{Decode, Encode};

use super::columns::{self, Values};
use super::details::Column;
use super::flags::Flags;
use super::folders::{Folder, FolderId, load};
use super::idempotency::IdempotencyKey;
use super::index_older;
use super::junk::Judgement;
use super::page::{self, Entry, PAGE_LEN};
use super::summary::{OldSummaryRow, Summary};
use super::thread::ThreadId;
use crate::blobs::BlobReader;
use crate::clock::Timestamp;
use crate::ids::id16;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError, Table};

/// The longest message, in bytes.
pub const MESSAGE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// The number of message rows read at a time.
const ROWS_PER_READ: usize = 500;

id16! {
    /// The id of a message, shared by its copies in other folders (EMAILID, RFC 8474 5.1).
    MessageId
}

/// A message in a folder, without its bytes: what its page has of it.
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
    /// The day of its Date field in the sender's zone, in days since 1970.
    pub sent_day: Option<i64>,
    /// Its length in bytes.
    pub size: u64,
}

/// Under `folder ‖ UID`: what never changes in a message and no list needs. The row keeps the blob.
/// Rows of earlier versions also have flags and dates, in fields that are not read any more.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub(super) struct MessageRow {
    /// When it was added to this folder (SAVEDATE, RFC 8514).
    #[n(3)]
    pub(super) saved: Timestamp,
    /// Its bytes, as they arrived.
    #[n(5)]
    pub(super) blob: BlobId,
    /// Its id, equal in every folder that has a copy.
    #[n(6)]
    pub(super) id: MessageId,
    /// The key of its delivery; a move keeps it, a copy has none.
    #[n(7)]
    pub(super) delivery: Option<IdempotencyKey>,
    /// Its thread; `None` in rows from before threads.
    #[n(8)]
    pub(super) thread: Option<ThreadId>,
    /// The judgement on a message of a stranger.
    #[n(9)]
    pub(super) judgement: Option<Judgement>,
    /// The owner's addresses in the envelope of its delivery; see [`addressed`].
    #[n(10)]
    pub(super) addressed: Option<Vec<String>>,
}

impl Record for MessageRow {
    const TABLE: Table = Table::referring("mailbox_messages");
    const VERSION: u8 = 1;
}

impl MessageRow {
    fn content(&self) -> Content {
        Content { blob: self.blob, id: self.id, saved: self.saved, thread: self.thread }
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

/// Calls `visit` with each entry of a folder from UID `from` on, until it returns false. The rows
/// of a folder of an earlier version are read as they are: it is converted when the disk can be
/// written.
pub(super) fn each_entry(
    rows: &impl Rows,
    folder: &Folder,
    from: u32,
    mut visit: impl FnMut(&Entry) -> bool,
) -> Result<(), StoreError> {
    if !folder.is_paged {
        return index_older::each_entry(rows, folder, from, visit);
    }
    page::walk(rows, folder.id, from, |page| {
        page.entries.iter().filter(|entry| entry.uid >= from).all(&mut visit)
    })
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
    id: FolderId,
    first: u32,
    last: u32,
    limit: usize,
) -> Result<Vec<Message>, StoreError> {
    let mut found = Vec::new();
    let Some(folder) = load(rows, id)?.filter(|_| first <= last && limit > 0) else {
        return Ok(found);
    };
    let span = (last.saturating_sub(first) as usize).saturating_add(1);
    found.reserve(limit.min(span).min(folder.total as usize));
    each_entry(rows, &folder, first, |entry| {
        if entry.uid <= last {
            found.push(entry.message(id, &folder.keywords));
        }
        entry.uid < last && found.len() < limit
    })?;
    Ok(found)
}

/// Those of `uids`, which ascend, that are in the folder. Reads the pages that have them only.
///
/// # Errors
/// As [`messages`].
pub fn messages_named(node: &Node, id: FolderId, uids: &[u32]) -> Result<Vec<Message>, StoreError> {
    let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(Vec::new()) };
    let Some(folder) = load(&node.store, id)? else { return Ok(Vec::new()) };
    let mut found = Vec::with_capacity(uids.len());
    // A page that is looked up costs more than one that is walked over.
    let pages = (last.saturating_sub(*first) as usize / PAGE_LEN).saturating_add(1);
    if !folder.is_paged || pages <= uids.len().saturating_mul(2) {
        let mut rest = uids.iter().peekable();
        each_entry(&node.store, &folder, *first, |entry| {
            while rest.next_if(|uid| **uid < entry.uid).is_some() {}
            if rest.peek() == Some(&&entry.uid) {
                found.push(entry.message(id, &folder.keywords));
            }
            entry.uid < *last
        })?;
        return Ok(found);
    }
    let mut rest = uids;
    while let Some(uid) = rest.first() {
        let page = page::holding(&node.store, id, *uid)?;
        let until = page.as_ref().and_then(|page| page.entries.last()).map_or(*uid, |e| e.uid);
        let count = rest.partition_point(|named| *named <= until.max(*uid));
        let (of_page, later) = rest.split_at_checked(count).unwrap_or_default();
        let entries = of_page.iter().filter_map(|uid| page.as_ref()?.entry(*uid));
        found.extend(entries.map(|entry| entry.message(id, &folder.keywords)));
        rest = later;
    }
    Ok(found)
}

/// One message.
///
/// # Errors
/// As [`messages`].
pub fn message(node: &Node, folder: FolderId, uid: u32) -> Result<Option<Message>, StoreError> {
    message_in(&node.store, folder, uid)
}

pub(super) fn message_in(
    rows: &impl Rows,
    id: FolderId,
    uid: u32,
) -> Result<Option<Message>, StoreError> {
    Ok(messages_in(rows, id, uid, uid, 1)?.pop())
}

/// Messages with their summaries, the newest first: those with a UID below `before` (all for
/// `None`), at most `limit`.
///
/// # Errors
/// As [`messages`].
pub fn summaries(
    node: &Node,
    id: FolderId,
    before: Option<u32>,
    limit: usize,
) -> Result<Vec<(Message, Summary)>, StoreError> {
    let rows = &node.store;
    let Some(folder) = load(rows, id)? else { return Ok(Vec::new()) };
    let mut until = before.map_or(Some(u32::MAX), |before| before.checked_sub(1));
    let mut listed: Vec<Message> = Vec::new();
    while let Some(uid) = until.filter(|_| listed.len() < limit) {
        let (entries, first) = match page::holding(rows, id, uid)? {
            Some(page) => (page.entries, page.first),
            None if folder.is_paged => break,
            None => index_older::entries_before(rows, &folder, uid, limit)?,
        };
        let entries = entries.iter().rev().filter(|entry| entry.uid <= uid);
        listed.extend(
            entries
                .take(limit.saturating_sub(listed.len()))
                .map(|entry| entry.message(id, &folder.keywords)),
        );
        until = first.checked_sub(1);
    }
    let (Some(newest), Some(oldest)) = (listed.first(), listed.last()) else {
        return Ok(Vec::new());
    };
    let values = columns::values(node, id, Column::Summary, oldest.uid, newest.uid)?;
    let with_summary = |message: Message| {
        let summary = summary_of(rows, &values, id, message.uid)?;
        Ok((message, summary))
    };
    listed.into_iter().map(with_summary).collect()
}

/// The summary of a message. One of a message that was expunged meanwhile is empty.
pub(super) fn summary_of(
    rows: &impl Rows,
    values: &Values,
    folder: FolderId,
    uid: u32,
) -> Result<Summary, StoreError> {
    Ok(stored_summary(rows, values, folder, uid)?.unwrap_or_default())
}

/// The summary of a message: from its details, or from a row of an earlier version.
fn stored_summary(
    rows: &impl Rows,
    values: &Values,
    folder: FolderId,
    uid: u32,
) -> Result<Option<Summary>, StoreError> {
    if let Some(value) = values.get(uid) {
        return row::decode(Summary::VERSION, value)
            .map(Some)
            .map_err(|_| StoreError::Corrupt { table: "details".into(), key: key(folder, uid) });
    }
    Ok(row::get::<OldSummaryRow>(rows, &key(folder, uid))?.map(|row| row.0))
}

/// The beginning of a message's text (PREVIEW, RFC 8970), one line of at most 200 characters;
/// `values` are those of [`Column::Summary`]. `None` if the message was not read yet.
///
/// # Errors
/// As [`messages`].
pub fn preview(
    node: &Node,
    values: &Values,
    folder: FolderId,
    uid: u32,
) -> Result<Option<String>, StoreError> {
    Ok(stored_summary(&node.store, values, folder, uid)?.map(|summary| summary.preview))
}

/// The summary of one message; `None` if there is no such message.
///
/// # Errors
/// As [`messages`].
pub fn summary(node: &Node, folder: FolderId, uid: u32) -> Result<Option<Summary>, StoreError> {
    if message(node, folder, uid)?.is_none() {
        return Ok(None);
    }
    let values = columns::values(node, folder, Column::Summary, uid, uid)?;
    summary_of(&node.store, &values, folder, uid).map(Some)
}

/// The UIDs of a folder, and the lowest without \Seen (UNSEEN in the response to SELECT, RFC 3501
/// 7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// In order.
    pub uids: Vec<u32>,
    /// The lowest UID of a message without \Seen.
    pub first_unseen: Option<u32>,
}

/// The UIDs of a folder: a walk over its pages.
///
/// # Errors
/// As [`messages`].
pub fn view(node: &Node, id: FolderId) -> Result<View, StoreError> {
    let Some(folder) = load(&node.store, id)? else { return Ok(View::default()) };
    let uids = Vec::with_capacity(folder.total as usize);
    let mut view = View { uids, first_unseen: None };
    each_entry(&node.store, &folder, 0, |entry| {
        view.uids.push(entry.uid);
        if view.first_unseen.is_none() && entry.bits & Flags::SEEN == 0 {
            view.first_unseen = Some(entry.uid);
        }
        true
    })?;
    Ok(view)
}

/// The data of a message that never changes and that no list needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its bytes, as they arrived.
    pub blob: BlobId,
    /// Its id, equal in every folder that has a copy.
    pub id: MessageId,
    /// When it was added to this folder (SAVEDATE, RFC 8514).
    pub saved: Timestamp,
    /// Its thread; `None` for a message of an earlier version whose details were not read yet.
    pub thread: Option<ThreadId>,
}

/// The data of a message that never changes; `None` if it was expunged since `message` was read.
///
/// # Errors
/// As [`messages`].
pub fn content(node: &Node, message: &Message) -> Result<Option<Content>, StoreError> {
    let row = row::get::<MessageRow>(&node.store, &key(message.folder, message.uid))?;
    Ok(row.map(|row| row.content()))
}

/// The judgement on a message of a stranger; `None` for other messages.
///
/// # Errors
/// As [`message`].
pub fn judgement(node: &Node, message: &Message) -> Result<Option<Judgement>, StoreError> {
    let row = row::get::<MessageRow>(&node.store, &key(message.folder, message.uid))?;
    Ok(row.and_then(|row| row.judgement))
}

/// The owner's addresses for which a message came, by the envelope of its delivery (RCPT TO, RFC
/// 5321 4.1.1.3): the local part of each alias, and an empty text for the owner's first address.
/// Empty for a message that did not come from another server, or came before this was stored.
///
/// # Errors
/// As [`message`].
pub fn addressed(node: &Node, message: &Message) -> Result<Vec<String>, StoreError> {
    let row = row::get::<MessageRow>(&node.store, &key(message.folder, message.uid))?;
    Ok(row.and_then(|row| row.addressed).unwrap_or_default())
}

/// The bytes of a message, as they arrived.
///
/// # Errors
/// When they are damaged, or the message was expunged since `message` was read.
pub fn body(node: &Node, message: &Message) -> Result<BlobReader, StoreError> {
    let content = content(node, message)?.ok_or(StoreError::NoBlob)?;
    node.blobs.open(&content.blob)
}

/// The data of the messages with a UID from `first` to `last` that never changes, in order.
///
/// # Errors
/// As [`messages`].
pub fn contents(
    node: &Node,
    folder: FolderId,
    first: u32,
    last: u32,
) -> Result<Vec<(u32, Content)>, StoreError> {
    let mut found = Vec::new();
    let mut from = first;
    loop {
        let limit = ROWS_PER_READ.min((last.saturating_sub(from) as usize).saturating_add(1));
        let rows = row::scan::<MessageRow>(&node.store, &from_uid(folder, from, limit))?;
        let is_last = rows.len() < limit;
        for (key, row) in rows {
            let uid = uid_of(&key);
            if uid > last {
                return Ok(found);
            }
            found.push((uid, row.content()));
            from = uid.saturating_add(1);
        }
        if is_last || from > last {
            return Ok(found);
        }
    }
}
