//! Offers the batches of one message to the friend's node that is the outgoing host.

use std::collections::BTreeMap;

use freehold_core::domains;
use freehold_core::identity::PersonId;
use freehold_core::mailbox::queue::{Outcome, mark_offered};
use freehold_core::mailbox::{QueuedMessage, Recipient};
use freehold_core::store::StoreError;

use super::outcome::{Answer, by_another_way};
use crate::mail::exchange::{ExchangeError, Outgoing, finish, named, offer};
use crate::mail::schedule::{facts, is_due, record};
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire;
use crate::wire::relay::{Envelope, PROTOCOL, REPORT_DELAY, REPORT_FAILURE, Reply, To};

/// Offers the batches of an item that are due, one after the other; false if the next items are to
/// wait.
pub(in crate::mail) async fn send(
    state: &FederationState,
    peer: &Peer,
    person: PersonId,
    item: &QueuedMessage,
) -> Result<bool, StoreError> {
    let mut batches: BTreeMap<[u8; 16], Vec<&Recipient>> = BTreeMap::new();
    for to in item.recipients.iter().filter(|to| to.waits_for_friend() == Some(person)) {
        if let Some(batch) = to.relay_batch() {
            batches.entry(batch).or_default().push(to);
        }
    }
    for (id, recipients) in batches {
        let before = facts(state, item)?;
        let is_abandoned = recipients.iter().all(|to| before.is_abandoned(to));
        if !is_abandoned && !recipients.iter().any(|to| is_due(to, before.now)) {
            continue;
        }
        let address = |to: &&Recipient| to.address.clone();
        if is_abandoned {
            let moved = recipients.iter().map(|to| (address(to), by_another_way()));
            record(state, item.id, moved.collect()).await?;
            continue;
        }
        let sent = Box::pin(exchange(state, peer, item, id, &recipients)).await;
        // The time in which the message was sent has passed since.
        let facts = facts(state, item)?;
        let outcome = |to: &&Recipient| {
            let outcome = match &sent {
                Ok(answer) => facts.relay_answered(to, answer)?,
                Err(error) => facts.relay_broken(to, &error.to_string()),
            };
            Some((address(to), outcome))
        };
        let outcomes: Vec<(String, Outcome)> = recipients.iter().filter_map(outcome).collect();
        let is_accepted = matches!(sent, Ok(Answer::Accepted { .. }));
        let (item_id, person) = (item.id, person.short());
        tracing::info!(id = %item_id, %person, is_accepted, "a friend's node was asked to send");
        record(state, item_id, outcomes).await?;
        if !is_accepted && !matches!(sent, Ok(Answer::Refused(_) | Answer::Dropped)) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn exchange(
    state: &FederationState,
    peer: &Peer,
    item: &QueuedMessage,
    id: [u8; 16],
    recipients: &[&Recipient],
) -> Result<Answer, ExchangeError> {
    let to: Vec<String> = recipients.iter().map(|to| to.address.clone()).collect();
    let envelope = Envelope {
        from: item.from.clone(),
        to: recipients.iter().map(|to| wire_recipient(to)).collect(),
    };
    let message = Outgoing {
        protocol: (PROTOCOL, domains::RELAY),
        id,
        item,
        prefix: &item.prefix,
        envelope: wire::encode(&envelope),
    };
    let Some(offered) = offer::<Reply>(state, peer, &message).await? else {
        return Ok(Answer::Unsupported);
    };
    let refused = match &offered.reply {
        Reply::Send(refused) => named(&to, refused),
        reply => return answer(reply, &to),
    };
    let wanted = to.iter().filter(|address| !refused.contains(address)).cloned().collect();
    if mark_offered(&state.node, item.id, wanted).await?.is_empty() {
        return Ok(Answer::Dropped);
    }
    answer(&finish(state, offered, &message).await?, &to)
}

fn answer(reply: &Reply, to: &[String]) -> Result<Answer, ExchangeError> {
    Ok(match reply {
        Reply::Accepted(refused) => Answer::Accepted { refused: named(to, refused) },
        Reply::Refused(refusal) => Answer::Refused(*refusal),
        Reply::Later(seconds, cause) => Answer::Later(*seconds, *cause),
        Reply::Send(_) => return Err(ExchangeError::OutOfTurn),
    })
}

fn wire_recipient(to: &Recipient) -> To {
    let wanted = to.notify.unwrap_or_default();
    let failure = if wanted.failure { REPORT_FAILURE } else { 0 };
    let delay = if wanted.delay { REPORT_DELAY } else { 0 };
    To { address: to.address.clone(), reports: failure | delay }
}
