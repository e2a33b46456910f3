//! Mail on its way out: what the owner submitted, until every recipient's server has answered for
//! good.
//!
//! On disk: the item, a row per recipient under `item ‖ place`, and a row under `when ‖ item` that
//! says what is due. An item goes when no recipient waits any more; failures leave a report (RFC
//! 3464) in the owner's inbox, written in the same commit.

mod dsn;
mod record;
mod submit;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::ids::id16;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError, Table};

pub use record::{Outcome, RecordError, record_outcomes};
pub use submit::{Submission, SubmitError, submit};

/// How many recipients one submission may have.
pub const RECIPIENTS_MAX: usize = 500; // RFC 5321 4.5.3.1.8 asks for at least 100
/// How much of the queue is looked through for a text.
const LOOKED_AT_MAX: usize = 1000;
/// How much of a server's answer is kept, in bytes.
const REPLY_LEN_MAX: usize = 500;

id16! {
    /// Which submission.
    QueueId
}

/// A submission that is not yet done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMessage {
    /// Which one.
    pub id: QueueId,
    /// The sender of the envelope; empty for a report (the null sender).
    pub from: String,
    /// All its recipients, those done included, in the order they were given.
    pub recipients: Vec<Recipient>,
    /// The text.
    pub blob: BlobId,
    /// Its length in bytes.
    pub size: u64,
    /// When it was submitted.
    pub created: Timestamp,
    /// When the earliest waiting recipient is due.
    pub next_attempt: Timestamp,
}

/// One recipient of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Recipient {
    /// The address.
    #[n(0)]
    pub address: String,
    /// How far it is.
    #[n(1)]
    pub state: RecipientState,
    /// How often it was tried.
    #[n(2)]
    pub attempts: u32,
    /// What the other server said last; may be empty.
    #[n(3)]
    pub last_reply: String,
    /// When it is due, while it waits.
    #[n(4)]
    pub next_attempt: Timestamp,
}

impl Record for Recipient {
    const TABLE: Table = Table::new("queue_recipients");
    const VERSION: u8 = 1;
}

/// How far a recipient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RecipientState {
    /// Still to be tried.
    #[n(0)]
    Waiting,
    /// Their server took it.
    #[n(1)]
    Delivered,
    /// Their server refused it for good, or time ran out.
    #[n(2)]
    Failed,
}

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
struct ItemRow {
    #[n(0)]
    from: String,
    #[n(1)]
    blob: BlobId,
    #[n(2)]
    size: u64,
    #[n(3)]
    created: Timestamp,
    #[n(4)]
    next_attempt: Timestamp,
}

impl Record for ItemRow {
    const TABLE: Table = Table::new("queue_items");
    const VERSION: u8 = 1;
}

/// Under `when ‖ item`.
#[derive(Encode, Decode)]
#[cbor(map)]
struct DueRow {}

impl Record for DueRow {
    const TABLE: Table = Table::new("queue_due");
    const VERSION: u8 = 1;
}

fn due_key(at: Timestamp, id: QueueId) -> Vec<u8> {
    row::key(&[&at.0.to_be_bytes(), &id.0])
}

fn recipient_key(id: QueueId, place: u16) -> Vec<u8> {
    row::key(&[&id.0, &place.to_be_bytes()])
}

fn recipients(rows: &impl Rows, id: QueueId) -> Result<Vec<(Vec<u8>, Recipient)>, StoreError> {
    row::scan(rows, &Scan::prefix(&id.0, RECIPIENTS_MAX))
}

fn shown(rows: &impl Rows, id: QueueId) -> Result<Option<QueuedMessage>, StoreError> {
    let Some(item) = row::get::<ItemRow>(rows, &id.0)? else { return Ok(None) };
    let recipients = recipients(rows, id)?.into_iter().map(|(_, recipient)| recipient).collect();
    let ItemRow { from, blob, size, created, next_attempt } = item;
    Ok(Some(QueuedMessage { id, from, recipients, blob, size, created, next_attempt }))
}

/// What is due at `now`, the longest due first, at most `limit`.
///
/// An item stays due until its outcome is recorded: whoever sends keeps in mind what it is already
/// sending.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn due(node: &Node, now: Timestamp, limit: usize) -> Result<Vec<QueuedMessage>, StoreError> {
    let mut found = Vec::new();
    for (key, _) in row::scan::<DueRow>(&node.store, &Scan::prefix(&[], limit))? {
        if u64::from_be_bytes(row::key_part(&key, 0)) > now.0 {
            break;
        }
        found.extend(shown(&node.store, QueueId(row::key_part(&key, 8)))?);
    }
    Ok(found)
}

/// When the next item is due; `None` when the queue is empty.
///
/// # Errors
/// As [`due`].
pub fn next_due(node: &Node) -> Result<Option<Timestamp>, StoreError> {
    let first = row::scan::<DueRow>(&node.store, &Scan::prefix(&[], 1))?;
    Ok(first.first().map(|(key, _)| Timestamp(u64::from_be_bytes(row::key_part(key, 0)))))
}

/// One item; `None` once it is done.
///
/// # Errors
/// As [`due`].
pub fn item(node: &Node, id: QueueId) -> Result<Option<QueuedMessage>, StoreError> {
    shown(&node.store, id)
}

/// The texts of what is on its way, as many as a look at the queue shows.
///
/// # Errors
/// As [`due`].
pub fn queued_blobs(node: &Node) -> Result<Vec<BlobId>, StoreError> {
    Ok(row::scan::<ItemRow>(&node.store, &Scan::prefix(&[], LOOKED_AT_MAX))?
        .into_iter()
        .map(|(_, item)| item.blob)
        .collect())
}

/// The submission of this text, if it is on its way.
///
/// # Errors
/// As [`due`].
pub fn queued_with_blob(node: &Node, text: &BlobId) -> Result<Option<QueuedMessage>, StoreError> {
    let items = row::scan::<ItemRow>(&node.store, &Scan::prefix(&[], LOOKED_AT_MAX))?;
    let found = items.into_iter().find(|(_, item)| item.blob == *text && !item.from.is_empty());
    found.map_or(Ok(None), |(key, _)| shown(&node.store, QueueId(row::key_part(&key, 0))))
}

/// What is wrong with the queue, a sentence each; that something is left in it counts as wrong
/// unless `may_be_left`.
///
/// # Errors
/// As [`due`].
pub fn check(node: &Node, may_be_left: bool) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let items = row::scan::<ItemRow>(&node.store, &Scan::prefix(&[], usize::MAX))?;
    if !may_be_left && !items.is_empty() {
        wrong.push(format!("{} submissions are left in the queue", items.len()));
    }
    for (key, item) in &items {
        let id = QueueId(row::key_part(key, 0));
        if !recipients(&node.store, id)?.iter().any(|(_, r)| r.state == RecipientState::Waiting) {
            wrong.push(format!("queue item {id}: nobody waits for it"));
        }
        if row::get::<DueRow>(&node.store, &due_key(item.next_attempt, id))?.is_none() {
            wrong.push(format!("queue item {id}: it is never due"));
        }
        if node.blobs.open(&item.blob).is_err() {
            wrong.push(format!("queue item {id}: it has no text"));
        }
    }
    let dues = node.store.scan(DueRow::TABLE, &Scan::prefix(&[], usize::MAX))?.len();
    if dues != items.len() {
        wrong.push(format!("{dues} items are due, {} are queued", items.len()));
    }
    Ok(wrong)
}
