//! The queue of outgoing mail: submitted messages, until every recipient is delivered or failed.
//!
//! On disk: a row per item, a row per recipient under `item ‖ index`, and a row under
//! `next attempt ‖ item` by which due items are found. An item is removed when no recipient waits
//! any more; failures, long delays and wanted successes are reported to the owner's INBOX by a
//! delivery status notification (DSN, RFC 3464) in the same commit.

mod by_friend;
mod clock;
pub(super) mod dsn;
mod limits;
mod line_ends;
mod manage;
mod notify;
mod outbound;
mod record;
mod relay;
mod report;
mod submit;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::identity::PersonId;
use crate::ids::id16;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError, Table};

pub use by_friend::{for_friends, mark_offered};
pub use clock::make_due_after_clock_step;
pub use limits::{HELD_LEN_MAX, HELD_MESSAGES_MAX, HELD_RECIPIENTS_MAX, SendLimits};
pub use manage::{
    can_be_taken_back, drop_item, held, queued, retry, sent_copy, subject, take_back,
};
pub use notify::{NewRecipient, Notify, ReportRequest, xtext_decoded, xtext_encoded};
pub use outbound::{Outbound, outbound};
pub use record::{NOT_DELIVERED, Outcome, RecordError, record_friend_outcomes, record_outcomes};
pub use relay::{HandOver, hand_to_friend};
pub(super) use relay::{Relayed, insert_relayed};
pub use report::{Delivered, report_delivered};
pub(super) use submit::is_address;
pub use submit::{Submission, SubmitError, submit, submit_request};

/// The most recipients of one submission.
pub const RECIPIENTS_MAX: usize = 500; // RFC 5321 4.5.3.1.8 asks for at least 100
/// How many items of the queue are searched for a blob.
const SEARCHED_MAX: usize = 1000;
/// How much of a server's reply is stored, in bytes.
const REPLY_LEN_MAX: usize = 500;

id16! {
    /// The id of a queue item.
    QueueId
}

/// A message in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMessage {
    /// Its id.
    pub id: QueueId,
    /// The reverse-path (RFC 5321 4.1.1.2); empty for a DSN.
    pub from: String,
    /// All its recipients, delivered and failed ones included, in the order of submission.
    pub recipients: Vec<Recipient>,
    /// The message's bytes.
    pub blob: BlobId,
    /// Its length in bytes.
    pub size: u64,
    /// The wishes of its sender about reports.
    pub request: ReportRequest,
    /// When it was submitted.
    pub created: Timestamp,
    /// When the earliest waiting recipient is due.
    pub next_attempt: Timestamp,
    /// True if it waits for the owner's decision ([`SendLimits`]).
    pub held: bool,
    /// Header fields that stand before its text when it is sent; may be empty.
    pub prefix: String,
    /// The friend for whom this node sends it; `None` for the owner's own.
    pub on_behalf: Option<PersonId>,
}

/// One recipient of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Recipient {
    /// The address.
    #[n(0)]
    pub address: String,
    /// Its state.
    #[n(1)]
    pub state: RecipientState,
    /// The number of attempts.
    #[n(2)]
    pub attempts: u32,
    /// The last reply of its server; may be empty.
    #[n(3)]
    pub last_reply: String,
    /// When the next attempt is due, while it is waiting.
    #[n(4)]
    pub next_attempt: Timestamp,
    /// The reports that the sender wants, if the sender said so.
    #[n(5)]
    pub notify: Option<Notify>,
    /// ORCPT as given (RFC 3461 4.2).
    #[n(6)]
    pub original: Option<String>,
    /// Whether a delay was reported.
    #[n(7)]
    delay_reported: Option<bool>,
    /// The friend to whose node it goes over libp2p. Federation alone sends it then.
    #[cbor(n(8), with = "minicbor::bytes")]
    friend: Option<[u8; 32]>,
    /// When it was first offered to that node, which may have taken it since.
    #[n(9)]
    pub offered: Option<Timestamp>,
    /// The recipients with which it is offered to the friend's node as outgoing host; `None` if the
    /// friend is the recipient.
    #[cbor(n(10), with = "minicbor::bytes")]
    batch: Option<[u8; 16]>,
}

impl Recipient {
    fn is_delay_reported(&self) -> bool {
        self.delay_reported == Some(true)
    }

    /// The friend to whose node it goes, over libp2p; `None` for one that goes by SMTP. Exactly one
    /// of federation and mail sends it.
    pub fn friend(&self) -> Option<PersonId> {
        self.friend.map(PersonId)
    }

    /// The id under which the friend's node gets the message to send it on, with the other
    /// recipients of the same id; `None` for one that does not go by an outgoing host.
    pub fn relay_batch(&self) -> Option<[u8; 16]> {
        self.batch
    }

    /// True if it waits and goes by SMTP, or to the owner.
    pub fn waits_for_smtp(&self) -> bool {
        self.state == RecipientState::Waiting && self.friend.is_none()
    }

    /// The friend to whose node it waits to go.
    pub fn waits_for_friend(&self) -> Option<PersonId> {
        self.friend().filter(|_| self.state == RecipientState::Waiting)
    }
}

impl Record for Recipient {
    const TABLE: Table = Table::new("queue_recipients");
    const VERSION: u8 = 1;
}

/// The state of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RecipientState {
    /// Another attempt is due at `next_attempt`.
    #[n(0)]
    Waiting,
    /// Its server accepted the message.
    #[n(1)]
    Delivered,
    /// Its server refused the message permanently, or the retry time is over.
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
    /// RET=FULL.
    #[n(5)]
    return_full: Option<bool>,
    /// ENVID, decoded.
    #[n(6)]
    envelope_id: Option<String>,
    #[n(7)]
    held: Option<bool>,
    #[n(8)]
    prefix: Option<String>,
    #[cbor(n(9), with = "minicbor::bytes")]
    on_behalf: Option<[u8; 32]>,
    /// See [`submit_request`].
    #[n(10)]
    is_request: Option<bool>,
}

impl ItemRow {
    fn is_request(&self) -> bool {
        self.is_request == Some(true)
    }
}

impl Record for ItemRow {
    const TABLE: Table = Table::referring("queue_items");
    const VERSION: u8 = 1;
}

/// Under `next attempt ‖ item`.
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

fn recipient_key(id: QueueId, index: u16) -> Vec<u8> {
    row::key(&[&id.0, &index.to_be_bytes()])
}

fn recipients(rows: &impl Rows, id: QueueId) -> Result<Vec<(Vec<u8>, Recipient)>, StoreError> {
    row::scan(rows, &Scan::prefix(&id.0, RECIPIENTS_MAX))
}

fn load(rows: &impl Rows, id: QueueId) -> Result<Option<QueuedMessage>, StoreError> {
    let Some(item) = row::get::<ItemRow>(rows, &id.0)? else { return Ok(None) };
    let recipients = recipients(rows, id)?.into_iter().map(|(_, recipient)| recipient).collect();
    let request = ReportRequest {
        return_full: item.return_full == Some(true),
        envelope_id: item.envelope_id,
    };
    Ok(Some(QueuedMessage {
        id,
        from: item.from,
        recipients,
        blob: item.blob,
        size: item.size,
        request,
        created: item.created,
        next_attempt: item.next_attempt,
        held: item.held == Some(true),
        prefix: item.prefix.unwrap_or_default(),
        on_behalf: item.on_behalf.map(PersonId),
    }))
}

/// The items due at `now`, the longest due first, at most `limit`.
///
/// An item stays due until its outcomes are recorded: the caller remembers which items it is
/// already sending.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn due(node: &Node, now: Timestamp, limit: usize) -> Result<Vec<QueuedMessage>, StoreError> {
    let mut found = Vec::new();
    for (key, _) in row::scan::<DueRow>(&node.store, &Scan::prefix(&[], limit))? {
        if u64::from_be_bytes(row::key_part(&key, 0)) > now.0 {
            break;
        }
        found.extend(load(&node.store, QueueId(row::key_part(&key, 8)))?);
    }
    Ok(found)
}

/// The ids of the items with the times at which they are due, the longest due first: those after
/// `after`, at most `limit`. It reads no item.
///
/// # Errors
/// As [`due`].
pub fn due_ids(
    node: &Node,
    after: Option<(Timestamp, QueueId)>,
    limit: usize,
) -> Result<Vec<(Timestamp, QueueId)>, StoreError> {
    let scan = Scan::prefix(&[], limit);
    let scan = match after {
        Some((at, id)) => scan.after(&due_key(at, id)),
        None => scan,
    };
    let rows = row::scan::<DueRow>(&node.store, &scan)?;
    let place = |key: &[u8]| {
        (Timestamp(u64::from_be_bytes(row::key_part(key, 0))), QueueId(row::key_part(key, 8)))
    };
    Ok(rows.iter().map(|(key, _)| place(key)).collect())
}

/// When the next item is due; `None` when the queue is empty.
///
/// # Errors
/// As [`due`].
pub fn next_due(node: &Node) -> Result<Option<Timestamp>, StoreError> {
    let first = row::scan::<DueRow>(&node.store, &Scan::prefix(&[], 1))?;
    Ok(first.first().map(|(key, _)| Timestamp(u64::from_be_bytes(row::key_part(key, 0)))))
}

/// One item; `None` once no recipient waits any more.
///
/// # Errors
/// As [`due`].
pub fn item(node: &Node, id: QueueId) -> Result<Option<QueuedMessage>, StoreError> {
    load(&node.store, id)
}

/// The blobs of the queued messages, of at most 1,000 items.
///
/// # Errors
/// As [`due`].
pub fn queued_blobs(node: &Node) -> Result<Vec<BlobId>, StoreError> {
    Ok(row::scan::<ItemRow>(&node.store, &Scan::prefix(&[], SEARCHED_MAX))?
        .into_iter()
        .map(|(_, item)| item.blob)
        .collect())
}

/// The item with this blob that is no DSN, if one is among the first 1,000.
///
/// # Errors
/// As [`due`].
pub fn queued_with_blob(node: &Node, blob: &BlobId) -> Result<Option<QueuedMessage>, StoreError> {
    let items = row::scan::<ItemRow>(&node.store, &Scan::prefix(&[], SEARCHED_MAX))?;
    let found = items.into_iter().find(|(_, item)| item.blob == *blob && !item.from.is_empty());
    found.map_or(Ok(None), |(key, _)| load(&node.store, QueueId(row::key_part(&key, 0))))
}

/// Broken invariants of the queue, a sentence each; an item in the queue is one, unless
/// `allow_items`.
///
/// # Errors
/// As [`due`].
pub fn check(node: &Node, allow_items: bool) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let items = row::scan::<ItemRow>(&node.store, &Scan::prefix(&[], usize::MAX))?;
    if !allow_items && !items.is_empty() {
        wrong.push(format!("{} messages are left in the queue", items.len()));
    }
    for (key, item) in &items {
        let id = QueueId(row::key_part(key, 0));
        if !recipients(&node.store, id)?.iter().any(|(_, r)| r.state == RecipientState::Waiting) {
            wrong.push(format!("queue item {id}: no recipient is waiting"));
        }
        if row::get::<DueRow>(&node.store, &due_key(item.next_attempt, id))?.is_none() {
            wrong.push(format!("queue item {id}: it has no due row"));
        }
        if node.blobs.open(&item.blob).is_err() {
            wrong.push(format!("queue item {id}: the message's bytes are missing"));
        }
    }
    wrong.extend(by_friend::check(node, &items.iter().map(id_of).collect::<Vec<_>>())?);
    let dues = node.store.scan(DueRow::TABLE, &Scan::prefix(&[], usize::MAX))?.len();
    if dues != items.len() {
        wrong.push(format!("the queue has {dues} due rows for {} items", items.len()));
    }
    Ok(wrong)
}

fn id_of((key, _): &(Vec<u8>, ItemRow)) -> QueueId {
    QueueId(row::key_part(key, 0))
}
