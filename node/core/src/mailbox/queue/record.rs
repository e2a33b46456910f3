//! Recording the outcomes of delivery attempts.

use super::dsn::{self, Action, Entry, Report};
use super::{
    DueRow, ItemRow, QueueId, REPLY_LEN_MAX, Recipient, RecipientState, by_friend, due_key,
    recipients, report,
};
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::events::Event;
use crate::mailbox::deliver::{self, DeliverError, Delivery};
use crate::mailbox::idempotency::IdempotencyKey;
use crate::mailbox::{Flags, SpecialUse, special_folder, store_flags};
use crate::node::Node;
use crate::profile;
use crate::row;
use crate::store::{StoreError, Tx};

/// The keyword of a copy in Sent that did not reach every recipient.
pub const NOT_DELIVERED: &str = "$NotDelivered";

/// The outcome of an attempt for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the owner's mailbox; the reply.
    Delivered(String),
    /// A server that sends no reports accepted the message; the reply.
    Relayed(String),
    /// A server that sends the wanted reports itself accepted the message (RFC 3461 5.2.1); the
    /// reply.
    PassedOn(String),
    /// A permanent failure; the reply or the reason.
    Failed(String),
    /// A transient failure.
    Later {
        /// When the next attempt is due.
        at: Timestamp,
        /// The reply or the reason.
        reply: String,
    },
    /// The friend's node did not get it, and mail sends it from now on.
    BySmtp(String),
}

/// The crate that sends a message to a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Mail,
    Federation,
}

impl Carrier {
    /// True if the recipient is this crate's.
    fn owns(self, recipient: &Recipient) -> bool {
        recipient.state == RecipientState::Waiting
            && (recipient.friend.is_some() == (self == Self::Federation))
    }
}

/// Why outcomes were not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There is no such item in the queue (any more).
    #[error("there is no such item in the queue")]
    NoSuchItem,
    /// The DSN was not delivered to the INBOX, so the failures are not recorded either.
    #[error(transparent)]
    Report(DeliverError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Records outcomes by recipient address. When no recipient waits any more, the item is removed.
/// Events about which the sender wants a report are reported to the owner's INBOX in the same
/// commit, unless the item is a DSN itself; those about a friend's message by a message to its
/// sender, which is queued before. Outcomes of recipients that no longer wait, or that go
/// to a friend's node, are ignored.
///
/// # Errors
/// When there is no such item or the store refuses; nothing is recorded then.
pub async fn record_outcomes(
    node: &Node,
    id: QueueId,
    outcomes: Vec<(String, Outcome)>,
) -> Result<(), RecordError> {
    record(node, id, outcomes, Carrier::Mail).await
}

/// [`record_outcomes`] for recipients that go to a friend's node; those of others are ignored.
///
/// # Errors
/// As [`record_outcomes`].
pub async fn record_friend_outcomes(
    node: &Node,
    id: QueueId,
    outcomes: Vec<(String, Outcome)>,
) -> Result<(), RecordError> {
    record(node, id, outcomes, Carrier::Federation).await
}

async fn record(
    node: &Node,
    id: QueueId,
    outcomes: Vec<(String, Outcome)>,
    carrier: Carrier,
) -> Result<(), RecordError> {
    let item = super::item(node, id)?.ok_or(RecordError::NoSuchItem)?;
    let now = node.clock.now();
    let entry = |recipient: &Recipient| {
        let (_, outcome) = outcomes.iter().find(|(address, _)| *address == recipient.address)?;
        report::entry(&item, recipient, outcome, now)
    };
    let waiting = item.recipients.iter().filter(|recipient| carrier.owns(recipient));
    let entries: Vec<Entry> = waiting.filter_map(entry).collect();
    let delayed = entries.iter().filter(|entry| entry.action == Action::Delayed);
    let delayed: Vec<String> = delayed.map(|entry| entry.address.clone()).collect();
    let dsn = if entries.is_empty() || item.from.is_empty() {
        None
    } else if item.on_behalf.is_some() {
        // Before the outcome: a crash in between repeats the report and loses none.
        report::to_sender(node, &item, entries).await?;
        None
    } else {
        prepare_dsn(node, &item, entries).await?
    };
    let outcomes = (carrier, outcomes);
    node.store.commit(move |tx| write(tx, id, &outcomes, dsn.as_ref(), &delayed, now)).await
}

async fn prepare_dsn(
    node: &Node,
    item: &super::QueuedMessage,
    entries: Vec<Entry>,
) -> Result<Option<deliver::PreparedDelivery>, RecordError> {
    let (Some(profile), Some(inbox)) =
        (profile::get(node)?, special_folder(node, SpecialUse::Inbox)?)
    else {
        return Ok(None);
    };
    let (now, id) = (node.clock.now(), report::key(item.id, &entries));
    let report = Report {
        to: profile::address(&profile),
        is_delivered_here: true,
        domain: profile.domain,
        request: item.request.clone(),
        arrival: item.created,
        blob: item.blob,
        entries,
    };
    let writing = node.clone();
    let blob = try_blocking(move || dsn::write(&writing, &report)).await?;
    let delivery =
        Delivery { folder: inbox.id, blob, id, internal_date: now, flags: Flags::default() };
    deliver::prepare(node, delivery).await.map(Some).map_err(RecordError::Report)
}

fn apply_outcome(recipient: &mut Recipient, outcome: &Outcome, now: Timestamp) {
    recipient.attempts = recipient.attempts.saturating_add(1);
    let reply = match outcome {
        Outcome::Delivered(reply) | Outcome::Relayed(reply) | Outcome::PassedOn(reply) => {
            recipient.state = RecipientState::Delivered;
            reply
        }
        Outcome::Failed(reply) => {
            recipient.state = RecipientState::Failed;
            reply
        }
        Outcome::Later { at, reply } => {
            recipient.next_attempt = *at;
            reply
        }
        Outcome::BySmtp(reply) => {
            (recipient.friend, recipient.batch) = (None, None);
            (recipient.next_attempt, recipient.attempts) = (now, 0);
            reply
        }
    };
    recipient.last_reply = row::cut(reply, REPLY_LEN_MAX).to_owned();
}

fn write(
    tx: &mut Tx<'_>,
    id: QueueId,
    (carrier, outcomes): &(Carrier, Vec<(String, Outcome)>),
    dsn: Option<&deliver::PreparedDelivery>,
    delayed: &[String],
    now: Timestamp,
) -> Result<(), RecordError> {
    // Without its result the attempt would be repeated, and the message delivered twice.
    tx.mark_essential();
    let mut item = row::get::<ItemRow>(tx, &id.0)?.ok_or(RecordError::NoSuchItem)?;
    let mut all = recipients(tx, id)?;
    let mut changed = Vec::new();
    for (key, recipient) in &mut all {
        if carrier.owns(recipient)
            && let Some((_, outcome)) =
                outcomes.iter().find(|(address, _)| *address == recipient.address)
        {
            apply_outcome(recipient, outcome, now);
            if delayed.contains(&recipient.address) {
                recipient.delay_reported = Some(true);
            }
            changed.push((key.clone(), recipient.clone()));
        }
    }
    if all.iter().any(|(_, recipient)| recipient.state == RecipientState::Failed)
        && let Some((folder, uid)) = deliver::place_of(tx, IdempotencyKey::of(&[&id.0]))?
    {
        let failed = Flags { bits: 0, keywords: vec![NOT_DELIVERED.to_owned()] };
        store_flags::add_in(tx, folder, uid, failed)?;
    }
    if let Some(dsn) = dsn {
        deliver::insert(tx, dsn, dsn.delivery.folder).map_err(RecordError::Report)?;
    }
    by_friend::note(tx, id, all.iter().map(|(_, recipient)| recipient))?;
    row::delete::<DueRow>(tx, &due_key(item.next_attempt, id));
    let waiting = all.iter().map(|(_, r)| r).filter(|r| r.state == RecipientState::Waiting);
    match waiting.map(|r| r.next_attempt).min() {
        Some(next) => {
            for (key, recipient) in changed {
                row::put(tx, &key, &recipient)?;
            }
            item.next_attempt = next;
            row::put_referring(tx, &id.0, &item, &[item.blob])?;
            row::put(tx, &due_key(next, id), &DueRow {})?;
        }
        None => {
            row::delete::<ItemRow>(tx, &id.0);
            for (key, _) in &all {
                row::delete::<Recipient>(tx, key);
            }
        }
    }
    tx.after(Event::Queue);
    Ok(())
}

#[cfg(test)]
mod tests;
