//! Submitting a message to the queue (RFC 6409).

use super::limits::{self, Charges, HELD, SendLimits};
use super::line_ends;
use super::{
    DueRow, ItemRow, NewRecipient, QueueId, RECIPIENTS_MAX, Recipient, RecipientState,
    ReportRequest, by_friend, due_key, recipient_key,
};
use crate::blobs::Pinned;
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::domain_name;
use crate::events::Event;
use crate::friends;
use crate::mailbox::deliver::{self, DeliverError, Delivery};
use crate::mailbox::folders::special_in;
use crate::mailbox::idempotency::IdempotencyKey;
use crate::mailbox::{Flags, SpecialUse, senders, sent};
use crate::node::Node;
use crate::row;
use crate::store::StoreError;

const ADDRESS_LEN_MAX: usize = 320;

/// A message to be sent.
#[derive(Debug)]
pub struct Submission {
    /// Its idempotency key: a second submission with the same key queues nothing.
    pub id: IdempotencyKey,
    /// The reverse-path: an address of the owner, or empty for a DSN (RFC 5321 4.5.5).
    pub from: String,
    /// The recipients; duplicates are sent once.
    pub recipients: Vec<NewRecipient>,
    /// The message's bytes.
    pub blob: Pinned,
    /// Whether a copy is stored in the Sent folder.
    pub copy_to_sent: bool,
    /// The wishes of the sender about reports.
    pub request: ReportRequest,
    /// The caps of the day, over which it is held.
    pub limits: SendLimits,
    /// When it is sent at the earliest; `None` for at once. Until then it can be taken back.
    pub not_before: Option<Timestamp>,
}

/// Why a message was not queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// There is no recipient.
    #[error("there is no recipient")]
    NoRecipient,
    /// More than [`RECIPIENTS_MAX`].
    #[error("there are {0} recipients, the limit is {RECIPIENTS_MAX}")]
    TooManyRecipients(usize),
    /// An address with control characters, without `@`, or too long.
    #[error("that is not an address")]
    BadAddress,
    /// It would be held, and so much is held already that nothing more can wait.
    #[error("too much mail waits for your decision; send it or drop it first")]
    TooMuchHeld,
    /// The copy for the Sent folder was not delivered.
    #[error(transparent)]
    Copy(DeliverError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The most recipients that are recorded as written to in the commit of the message itself, which
/// has at most 1,000 rows. A commit before it records the others: if the second one fails, an
/// address counts as known to which nothing was sent, and the other order could forget one.
pub(super) const RECORDED_WITHIN: usize = 300;

/// Queues a message, its line ends made CR LF, and with `copy_to_sent` stores a copy if Sent has
/// none, in one commit; once this returns both are durable. A second submission with the same key
/// changes nothing.
///
/// # Errors
/// When an address is invalid, there are none or too many, too much is held, or the store refuses;
/// nothing is queued then.
pub async fn submit(node: &Node, submission: Submission) -> Result<QueueId, SubmitError> {
    queue(node, submission, true).await
}

/// As [`submit`], for a message that a button sends in the owner's name, such as one that leaves a
/// list: a stranger chose its recipient, so that nobody counts as one to whom the owner wrote.
///
/// # Errors
/// As [`submit`].
pub async fn submit_request(node: &Node, submission: Submission) -> Result<QueueId, SubmitError> {
    queue(node, submission, false).await
}

async fn queue(
    node: &Node,
    submission: Submission,
    is_correspondence: bool,
) -> Result<QueueId, SubmitError> {
    let Submission { id, from, recipients: wanted, blob, copy_to_sent, request, .. } = submission;
    let (limits, not_before) = (submission.limits, submission.not_before);
    let mut recipients: Vec<NewRecipient> = Vec::new();
    for recipient in wanted {
        if !is_address(&recipient.address) {
            return Err(SubmitError::BadAddress);
        }
        let is_same = |r: &NewRecipient| is_same_address(&r.address, &recipient.address);
        if !recipients.iter().any(is_same) {
            recipients.push(recipient);
        }
    }
    match recipients.len() {
        0 => return Err(SubmitError::NoRecipient),
        len if len > RECIPIENTS_MAX => return Err(SubmitError::TooManyRecipients(len)),
        _ if !from.is_empty() && !is_address(&from) => return Err(SubmitError::BadAddress),
        _ => {}
    }
    let (id, now) = (QueueId(id.0), node.clock.now());
    // A report of this node goes to a stranger whom the owner never wrote to.
    let is_written = is_correspondence && !from.is_empty();
    let of_owner = || recipients.iter().filter(|_| is_written).map(|to| &to.address);
    // Also those of a message with the null reverse-path: a program may send receipts.
    let all: Vec<String> = recipients.iter().map(|to| to.address.clone()).collect();
    let reading = node.clone();
    let read = move || {
        let friends: Result<Vec<_>, StoreError> =
            all.iter().map(|address| friends::mail_friend(&reading, address)).collect();
        Ok::<_, StoreError>((Charges::of(&reading, limits, &all)?, friends?))
    };
    let (charges, friends) = try_blocking(read).await?;
    let writing = node.clone();
    let blob = try_blocking(move || line_ends::normal(&writing, blob)).await?;
    let mut written_to = senders::keys(node, of_owner())?;
    let early = written_to.split_off(written_to.len().min(RECORDED_WITHIN));
    if !early.is_empty() && !charges.are_over(&node.store, now)? {
        node.store.commit(move |tx| senders::record(tx, now, &early)).await?;
    }
    let sent_folder = special_in(&node.store, SpecialUse::Sent)?.filter(|_| copy_to_sent);
    let (blob_id, size) = (blob.id, blob.len);
    // The copy's delivery holds the pin of the blob; without a copy the commit holds it.
    let (copy, pinned) = match sent_folder {
        Some(folder) => {
            let flags = Flags::of(Flags::SEEN);
            let delivery = Delivery {
                folder: folder.id,
                blob,
                id: IdempotencyKey::of(&[&id.0]),
                internal_date: now,
                flags,
            };
            let copy = deliver::prepare(node, delivery).await.map_err(SubmitError::Copy)?;
            // A mail program may have appended its own copy first.
            let (id, blob) = (copy.message_id(), copy.delivery.blob.id);
            match sent::recent_copy(node, folder.id, id, blob, sent::Maker::Program).await? {
                None => (Some(copy), None),
                Some(_) => (None, Some(copy.delivery.blob)),
            }
        }
        None => (None, Some(blob)),
    };
    node.store
        .commit(move |tx| {
            // The key of the copy is remembered longer than the item, which is removed when sent.
            let copied = copy
                .as_ref()
                .map_or(Ok(false), |copy| deliver::was_delivered(tx, copy.delivery.id))?;
            if copied || row::get::<ItemRow>(tx, &id.0)?.is_some() {
                return Ok(id);
            }
            if let Some(blob) = &pinned {
                tx.attach(blob);
            }
            if let Some(copy) = &copy {
                deliver::insert(tx, copy, copy.delivery.folder).map_err(SubmitError::Copy)?;
            }
            let held = charges.are_over(tx, now)?;
            if held && !limits::has_room_for_held(tx, recipients.len(), size)? {
                return Err(SubmitError::TooMuchHeld);
            }
            // The time in which it is tried begins when it may be sent.
            let created = not_before.map_or(now, |at| at.max(now));
            let next_attempt = if held { HELD } else { created };
            let item = ItemRow {
                from,
                blob: blob_id,
                size,
                created,
                next_attempt,
                held: held.then_some(true),
                return_full: request.return_full.then_some(true),
                envelope_id: request.envelope_id,
                prefix: None,
                on_behalf: None,
                is_request: (!is_correspondence).then_some(true),
            };
            row::put_referring(tx, &id.0, &item, &[blob_id])?;
            let mut all = Vec::with_capacity(recipients.len());
            for ((index, recipient), friend) in (0u16..).zip(recipients).zip(friends) {
                let waiting = Recipient {
                    address: recipient.address,
                    state: RecipientState::Waiting,
                    attempts: 0,
                    last_reply: String::new(),
                    next_attempt,
                    notify: recipient.notify,
                    original: recipient.original,
                    delay_reported: None,
                    friend: friend.map(|friend| friend.0),
                    offered: None,
                    batch: None,
                };
                row::put(tx, &recipient_key(id, index), &waiting)?;
                all.push(waiting);
            }
            by_friend::note(tx, id, &all)?;
            if !held {
                charges.charge(tx, now)?;
                senders::record(tx, now, &written_to)?;
            }
            row::put(tx, &due_key(next_attempt, id), &DueRow {})?;
            tx.after(Event::Queue);
            Ok(id)
        })
        .await
}

/// Whether an address can be a forward-path; whether it exists, its server decides.
pub(in crate::mailbox) fn is_address(address: &str) -> bool {
    let parts = address.rsplit_once('@');
    let is_whole = parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    is_whole
        && address.len() <= ADDRESS_LEN_MAX
        && !address.chars().any(|c| c.is_control() || matches!(c, '<' | '>'))
}

/// Whether two addresses are equal: domains are compared without case (RFC 5321 2.4), in both
/// forms.
fn is_same_address(one: &str, two: &str) -> bool {
    match (one.rsplit_once('@'), two.rsplit_once('@')) {
        (Some((l1, d1)), Some((l2, d2))) => l1 == l2 && domain_name::is_same(d1, d2),
        _ => false,
    }
}
