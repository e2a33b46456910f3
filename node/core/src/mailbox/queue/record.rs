//! What became of an attempt.

use super::{
    DueRow, ItemRow, QueueId, REPLY_LEN_MAX, Recipient, RecipientState, dsn, due_key, recipients,
};
use crate::blobs::AtRest;
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::events::Event;
use crate::mailbox::deliver::{self, DeliverError, Delivery, DeliveryId};
use crate::mailbox::{Flags, SpecialUse, special_folder};
use crate::node::Node;
use crate::profile;
use crate::row;
use crate::store::{StoreError, Tx};

/// What an attempt to reach a recipient came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Their server took the message; its reply.
    Delivered(String),
    /// It never will be; the reply or the reason.
    Failed(String),
    /// Not now.
    Later {
        /// When to try again.
        at: Timestamp,
        /// The reply or the reason.
        reply: String,
    },
}

/// Why outcomes could not be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The item is done or never was.
    #[error("there is no such item in the queue")]
    NoSuchItem,
    /// The report about failures could not be kept, so they are not recorded either.
    #[error(transparent)]
    Report(DeliverError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Records outcomes by address. When nobody waits any more the item goes; what failed is reported
/// to the owner's inbox in the same commit, unless the item was a report itself. Outcomes of
/// recipients that no longer wait change nothing.
///
/// # Errors
/// When there is no such item or the store refuses; nothing is recorded then.
pub async fn record(
    node: &Node,
    id: QueueId,
    outcomes: Vec<(String, Outcome)>,
) -> Result<(), RecordError> {
    let item = super::item(node, id)?.ok_or(RecordError::NoSuchItem)?;
    let mut after = item.clone();
    for recipient in &mut after.recipients {
        if let Some((_, outcome)) =
            outcomes.iter().find(|(address, _)| *address == recipient.address)
        {
            settle(recipient, outcome);
        }
    }
    let has_failed = |(before, after): &(&Recipient, &Recipient)| {
        before.state != after.state && after.state == RecipientState::Failed
    };
    let failed: Vec<Recipient> = item
        .recipients
        .iter()
        .zip(&after.recipients)
        .filter(has_failed)
        .map(|(_, r)| r.clone())
        .collect();
    let report = if failed.is_empty() || item.from.is_empty() {
        None
    } else {
        report(node, &item, &failed).await?
    };
    node.store.commit(move |tx| write(tx, id, &outcomes, report.as_ref())).await
}

async fn report(
    node: &Node,
    item: &super::Outgoing,
    failed: &[Recipient],
) -> Result<Option<deliver::Ready>, RecordError> {
    let (Some(profile), Some(inbox)) =
        (profile::get(node)?, special_folder(node, SpecialUse::Inbox)?)
    else {
        return Ok(None);
    };
    let now = node.clock.now();
    let blob = {
        let (node, item, failed) = (node.clone(), item.clone(), failed.to_vec());
        try_blocking(move || {
            let text = dsn::text(&node, &profile, &item, &failed, now)?;
            node.blobs.put(text.as_bytes(), AtRest::Sealed)
        })
        .await?
    };
    let mut parts: Vec<&[u8]> = vec![b"failure report", &item.id.0];
    parts.extend(failed.iter().map(|r| r.address.as_bytes()));
    let delivery = Delivery {
        folder: inbox.id,
        blob,
        id: DeliveryId::of(&parts),
        internal_date: now,
        flags: Flags::default(),
    };
    deliver::read(node, delivery).await.map(Some).map_err(RecordError::Report)
}

fn settle(recipient: &mut Recipient, outcome: &Outcome) {
    if recipient.state != RecipientState::Waiting {
        return;
    }
    recipient.attempts = recipient.attempts.saturating_add(1);
    let reply = match outcome {
        Outcome::Delivered(reply) => {
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
    };
    recipient.last_reply = row::cut(reply, REPLY_LEN_MAX).to_owned();
}

fn write(
    tx: &mut Tx<'_>,
    id: QueueId,
    outcomes: &[(String, Outcome)],
    report: Option<&deliver::Ready>,
) -> Result<(), RecordError> {
    let mut item = row::get::<ItemRow>(tx, &id.0)?.ok_or(RecordError::NoSuchItem)?;
    let mut all = recipients(tx, id)?;
    let mut settled = Vec::new();
    for (key, recipient) in &mut all {
        if let Some((_, outcome)) =
            outcomes.iter().find(|(address, _)| *address == recipient.address)
        {
            settle(recipient, outcome);
            settled.push((key.clone(), recipient.clone()));
        }
    }
    if let Some(report) = report {
        deliver::keep(tx, report, report.delivery.folder).map_err(RecordError::Report)?;
    }
    row::delete::<DueRow>(tx, &due_key(item.next_attempt, id));
    let waiting = all.iter().map(|(_, r)| r).filter(|r| r.state == RecipientState::Waiting);
    match waiting.map(|r| r.next_attempt).min() {
        Some(next) => {
            for (key, recipient) in settled {
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
