//! One attempt at one message: everyone it is due to, by where they are, each with a result of
//! their own.

use std::collections::BTreeMap;

use freehold_core::mailbox::queue::RecordError;
use freehold_core::mailbox::{self, Outcome, QueueId, QueuedMessage, RecipientState};
use freehold_core::store::StoreError;
use tokio::time::sleep;

use super::route::{self, Route};
use super::{ERROR_PAUSE, hop, local, retry};
use crate::state::MailState;

/// What became of a recipient, before it is known whether there will be another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Taken, with the reply.
    Delivered(String),
    /// Refused for good, with the reply or the reason.
    Refused(String),
    /// Not now, with the reply or the reason.
    NotNow(String),
}

/// Makes an attempt and records what became of it. Returns the item's id when it is no longer under
/// way.
pub(super) async fn make(state: MailState, item: QueuedMessage) -> QueueId {
    match attempt(&state, &item).await {
        // It ended otherwise meanwhile: there is nothing left to record.
        Ok(()) | Err(RecordError::NoSuchItem) => {}
        Err(error) => {
            // It stays due; without a pause a store that refuses would be asked without end, and
            // the next hop sent the same again.
            tracing::error!(id = %item.id, %error, "what became of a message could not be recorded");
            sleep(ERROR_PAUSE).await;
        }
    }
    item.id
}

async fn attempt(state: &MailState, item: &QueuedMessage) -> Result<(), RecordError> {
    let now = state.node.clock.now();
    let due = item
        .recipients
        .iter()
        .filter(|one| one.state == RecipientState::Waiting && one.next_attempt <= now);
    let mut here = Vec::new();
    let mut hops: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut results = Vec::new();
    for address in due.map(|recipient| recipient.address.clone()) {
        match route::to(state, &address)? {
            Route::Here => here.push(address),
            Route::Hop(hop) => hops.entry(hop).or_default().push(address),
            Route::Unknown => results.push((
                address,
                Fate::Refused("550 5.1.1 nobody of that address lives here".to_owned()),
            )),
            Route::Nowhere(reason) => {
                results.push((address, Fate::Refused(format!("550 5.1.2 {reason}"))))
            }
        }
    }
    if !here.is_empty() {
        let result = match local::deliver(state, item).await {
            Ok(()) => Fate::Delivered("250 2.0.0 kept here".to_owned()),
            Err(error) => {
                tracing::warn!(id = %item.id, %error, "a message to the owner could not be delivered yet");
                Fate::NotNow("451 4.3.0 this node could not keep it".to_owned())
            }
        };
        results.extend(here.into_iter().map(|address| (address, result.clone())));
    }
    record(state, item, results).await?;
    // Each next hop's results are recorded before the next is tried: what a crash repeats is as
    // little as can be.
    for (hop, addresses) in hops {
        let results = Box::pin(hop::send(state, &hop, item, addresses)).await;
        record(state, item, results).await?;
    }
    Ok(())
}

async fn record(
    state: &MailState,
    item: &QueuedMessage,
    results: Vec<(String, Fate)>,
) -> Result<(), RecordError> {
    if results.is_empty() {
        return Ok(());
    }
    let now = state.node.clock.now();
    let count =
        |wanted: fn(&Fate) -> bool| results.iter().filter(|(_, result)| wanted(result)).count();
    let delivered = count(|result| matches!(result, Fate::Delivered(_)));
    let refused = count(|result| matches!(result, Fate::Refused(_)));
    let waiting = count(|result| matches!(result, Fate::NotNow(_)));
    tracing::info!(id = %item.id, delivered, refused, waiting, "an attempt to send was made");
    let attempts = |address: &str| {
        item.recipients.iter().find(|one| one.address == address).map_or(0, |one| one.attempts)
    };
    let outcomes = results.into_iter().map(|(address, result)| {
        let outcome = match result {
            Fate::Delivered(reply) => Outcome::Delivered(reply),
            Fate::Refused(reply) => Outcome::Failed(reply),
            Fate::NotNow(reply) => {
                retry::later(&state.config, item.created, now, attempts(&address), reply)
            }
        };
        (address, outcome)
    });
    mailbox::record_outcomes(&state.node, item.id, outcomes.collect()).await
}

impl From<StoreError> for Fate {
    fn from(_: StoreError) -> Self {
        Self::NotNow("451 4.3.0 this node could not read the message".to_owned())
    }
}
