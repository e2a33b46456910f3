//! Which recipients a report is about, and the report on mail that was delivered to the owner.

use super::dsn::{self, Action, Entry, Report};
use super::notify::{NewRecipient, ReportRequest};
use super::{
    Outcome, QueueId, QueuedMessage, REPLY_LEN_MAX, Recipient, RecordError, SendLimits, Submission,
    SubmitError, submit,
};
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::mailbox::idempotency::IdempotencyKey;
use crate::node::Node;
use crate::profile;
use crate::row;
use crate::store::{BlobId, StoreError};

/// A message that waits for so long is reported once as delayed, in milliseconds: four hours, as
/// most servers do.
const DELAY_MS: u64 = 4 * 60 * 60 * 1000;

/// The entry of a report about `recipient` after `outcome`, if its sender wants one.
pub(super) fn entry(
    item: &QueuedMessage,
    recipient: &Recipient,
    outcome: &Outcome,
    now: Timestamp,
) -> Option<Entry> {
    let wanted = recipient.notify.unwrap_or_default();
    let is_late = now >= item.created.plus_millis(DELAY_MS) && !recipient.is_delay_reported();
    let (action, reply) = match outcome {
        Outcome::Failed(reply) if wanted.failure => (Action::Failed, reply),
        Outcome::Later { reply, .. } if wanted.delay && is_late => (Action::Delayed, reply),
        Outcome::Delivered(reply) if wanted.success => (Action::Delivered, reply),
        Outcome::Relayed(reply) if wanted.success => (Action::Relayed, reply),
        _ => return None,
    };
    Some(Entry {
        address: recipient.address.clone(),
        original: recipient.original.clone(),
        action,
        reply: row::cut(reply, REPLY_LEN_MAX).to_owned(),
        diagnostic: match (recipient.friend(), outcome) {
            // No server said so.
            (None, Outcome::Delivered(_)) => None,
            (None, _) => Some("smtp"),
            (Some(_), _) => Some("x-libp2p"),
        },
    })
}

/// The idempotency key of a report.
pub(super) fn key(id: QueueId, entries: &[Entry]) -> IdempotencyKey {
    let mut parts: Vec<&[u8]> = vec![b"failure report", &id.0];
    for entry in entries {
        // The key of a failure is that of earlier versions.
        if entry.action != Action::Failed {
            parts.push(entry.action.name().as_bytes());
        }
        parts.push(entry.address.as_bytes());
    }
    IdempotencyKey::of(&parts)
}

/// Queues the report on a friend's message for its sender (RFC 5321 6.1).
pub(super) async fn to_sender(
    node: &Node,
    item: &QueuedMessage,
    entries: Vec<Entry>,
) -> Result<(), RecordError> {
    let id = key(item.id, &entries);
    let Some(owner) = profile::get(node)? else { return Ok(()) };
    let report = Report {
        domain: owner.domain,
        to: item.from.clone(),
        request: item.request.clone(),
        arrival: item.created,
        blob: item.blob,
        entries,
        is_delivered_here: false,
    };
    match queue_report(node, id, report).await {
        Ok(()) => Ok(()),
        Err(SubmitError::Store(error)) => Err(error.into()),
        Err(error) => Err(StoreError::Unavailable(error.to_string()).into()),
    }
}

/// A message from outside that was delivered to the owner, whose sender wants to know (NOTIFY=
/// SUCCESS, RFC 3461 5.2.6).
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The idempotency key of its delivery.
    pub id: IdempotencyKey,
    /// The sender, who gets the report.
    pub sender: String,
    /// The recipients for whom it is wanted.
    pub recipients: Vec<NewRecipient>,
    /// ENVID, decoded.
    pub envelope_id: Option<String>,
    /// The message.
    pub blob: BlobId,
}

/// Queues the report on a delivery. A second report on the same delivery changes nothing.
///
/// # Errors
/// As [`submit`].
pub async fn report_delivered(node: &Node, delivered: Delivered) -> Result<(), SubmitError> {
    let Some(owner) = profile::get(node)? else { return Ok(()) };
    let entry = |recipient: NewRecipient| Entry {
        address: recipient.address,
        original: recipient.original,
        action: Action::Delivered,
        reply: "250 2.1.5 delivered".to_owned(),
        diagnostic: None,
    };
    let report = Report {
        domain: owner.domain,
        to: delivered.sender.clone(),
        is_delivered_here: false,
        request: ReportRequest { return_full: false, envelope_id: delivered.envelope_id },
        arrival: node.clock.now(),
        blob: delivered.blob,
        entries: delivered.recipients.into_iter().map(entry).collect(),
    };
    queue_report(node, IdempotencyKey::of(&[b"success report", &delivered.id.0]), report).await
}

async fn queue_report(node: &Node, id: IdempotencyKey, report: Report) -> Result<(), SubmitError> {
    let (writing, to) = (node.clone(), report.to.clone());
    let blob = try_blocking(move || dsn::write(&writing, &report)).await?;
    let submission = Submission {
        id,
        // A report has no sender, so that nothing is ever reported about it (RFC 3461 6.1).
        from: String::new(),
        recipients: vec![to.into()],
        blob,
        copy_to_sent: false,
        request: ReportRequest::default(),
        limits: SendLimits::NONE,
        not_before: None,
    };
    submit(node, submission).await.map(drop)
}
