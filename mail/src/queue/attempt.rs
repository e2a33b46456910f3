//! One attempt to send one message: recipients are grouped by route, and each has a result of their
//! own.

use std::collections::BTreeMap;

use freehold_core::mailbox::queue::RecordError;
use freehold_core::mailbox::{self, Outcome, QueueId, QueuedMessage, RecipientState};
use tokio::time::sleep;

use super::result::AttemptResult;
use super::route::{self, NextHop, Route};
use super::{ERROR_PAUSE, local, next_hop, retry};
use crate::state::MailState;

/// The least first pause before a foreign server is tried again, in milliseconds: a greylisting
/// server refuses earlier ones, and counts them.
const DIRECT_FIRST_MS: u64 = 60 * 1000;

/// Makes an attempt and records its results. Returns the item's id at the end.
pub(super) async fn run(state: MailState, item: QueuedMessage) -> QueueId {
    match attempt(&state, &item).await {
        // The item was removed meanwhile: there is nothing to record.
        Ok(()) | Err(RecordError::NoSuchItem) => {}
        Err(error) => {
            // The item stays due. Without a pause a failing store would be read in a tight loop,
            // and the next hop would receive the message again each time.
            tracing::error!(id = %item.id, %error, "the result of sending a message could not be recorded");
            sleep(ERROR_PAUSE).await;
        }
    }
    item.id
}

async fn attempt(state: &MailState, item: &QueuedMessage) -> Result<(), RecordError> {
    let now = state.node.clock.now();
    let due = item.recipients.iter().filter(|recipient| {
        recipient.state == RecipientState::Waiting && recipient.next_attempt <= now
    });
    let mut local = Vec::new();
    let mut remote: BTreeMap<NextHop, Vec<String>> = BTreeMap::new();
    let mut results = Vec::new();
    for address in due.map(|recipient| recipient.address.clone()) {
        match route::to(state, &address)? {
            Route::Local => local.push(address),
            Route::NextHop(hop) => remote.entry(hop).or_default().push(address),
            Route::Unknown => results
                .push((address, AttemptResult::Refused("550 5.1.1 no such user here".to_owned()))),
            Route::Nowhere(reason) => {
                results.push((address, AttemptResult::Refused(format!("550 5.1.2 {reason}"))));
            }
        }
    }
    if !local.is_empty() {
        let result = match local::deliver(state, item).await {
            Ok(()) => AttemptResult::Delivered("250 2.0.0 delivered".to_owned()),
            Err(error) => {
                tracing::warn!(id = %item.id, %error, "a message to the owner could not be delivered yet");
                AttemptResult::Deferred("451 4.3.0 this node could not store it".to_owned())
            }
        };
        results.extend(local.into_iter().map(|address| (address, result.clone())));
    }
    record(state, item, results, state.config.retry_first_ms).await?;
    // The results of each next hop are recorded before the next one is tried, so that a crash
    // repeats as little as possible.
    for (hop, addresses) in remote {
        let results = Box::pin(next_hop::send(state, &hop, item, addresses)).await;
        let first_ms = match hop {
            NextHop::Direct(_) => state.config.retry_first_ms.max(DIRECT_FIRST_MS),
            NextHop::Configured(_) | NextHop::Smarthost => state.config.retry_first_ms,
        };
        record(state, item, results, first_ms).await?;
    }
    Ok(())
}

async fn record(
    state: &MailState,
    item: &QueuedMessage,
    results: Vec<(String, AttemptResult)>,
    first_ms: u64,
) -> Result<(), RecordError> {
    if results.is_empty() {
        return Ok(());
    }
    let now = state.node.clock.now();
    let count = |wanted: fn(&AttemptResult) -> bool| {
        results.iter().filter(|(_, result)| wanted(result)).count()
    };
    let is_open = |result: &AttemptResult| {
        matches!(result, AttemptResult::Refused(_) | AttemptResult::Deferred(_))
    };
    let delivered = results.iter().filter(|(_, result)| !is_open(result)).count();
    let refused = count(|result| matches!(result, AttemptResult::Refused(_)));
    let waiting = count(|result| matches!(result, AttemptResult::Deferred(_)));
    tracing::info!(id = %item.id, delivered, refused, waiting, "an attempt to send was made");
    let attempts = |address: &str| {
        item.recipients
            .iter()
            .find(|recipient| recipient.address == address)
            .map_or(0, |recipient| recipient.attempts)
    };
    let outcomes = results.into_iter().map(|(address, result)| {
        let outcome = match result {
            AttemptResult::Delivered(reply) => Outcome::Delivered(reply),
            AttemptResult::Relayed(reply) => Outcome::Relayed(reply),
            AttemptResult::PassedOn(reply) => Outcome::PassedOn(reply),
            AttemptResult::Refused(reply) => Outcome::Failed(reply),
            AttemptResult::Deferred(reply) => {
                let pause_ms = retry::pause_ms(first_ms, attempts(&address));
                retry::outcome(&state.config, item.created, now.plus_millis(pause_ms), reply)
            }
        };
        (address, outcome)
    });
    record_surely(state, item.id, outcomes.collect()).await
}

/// Records outcomes, again after each failure of the store, until mail stops: a message that its
/// next hop has accepted must not be sent again (RFC 5321 6.1).
async fn record_surely(
    state: &MailState,
    id: QueueId,
    outcomes: Vec<(String, Outcome)>,
) -> Result<(), RecordError> {
    loop {
        match mailbox::record_outcomes(&state.node, id, outcomes.clone()).await {
            Err(error) if !matches!(error, RecordError::NoSuchItem) => {
                tracing::error!(%id, %error, "the result of sending a message is not recorded yet");
                tokio::select! {
                    () = state.drain.stopping() => return Err(error),
                    () = sleep(ERROR_PAUSE) => {}
                }
            }
            recorded => return recorded,
        }
    }
}
