//! One attempt to send one message to the recipients of one target; each has a result of their own.

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::queue::RecordError;
use freehold_core::mailbox::{self, Outcome, QueueId, QueuedMessage, Recipient, queue};
use tokio::time::sleep;

use super::next_hop::{Connection, Sent};
use super::result::AttemptResult;
use super::route::{self, NextHop, Route};
use super::worker::Worker;
use super::{ERROR_PAUSE, by_friend, local, next_hop, retry, schedule};
use crate::state::MailState;

/// The least first pause before a foreign server is tried again, in milliseconds: a greylisting
/// server refuses earlier ones, and counts them.
const DIRECT_FIRST_MS: u64 = 60 * 1000;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Its results are recorded, if there are any.
    Ended,
    /// There was none: the next hop takes no second connection now.
    PutBack,
}

/// Sends a message to its due recipients at the worker's target and records the results.
/// `connection` is used and left for the next message.
pub(super) async fn run(
    state: &MailState,
    worker: &mut Worker,
    id: QueueId,
    connection: &mut Option<Connection>,
) -> Attempt {
    match attempt(state, worker, id, connection).await {
        Ok(attempt) => attempt,
        // The item was removed meanwhile: there is nothing to record.
        Err(RecordError::NoSuchItem) => Attempt::Ended,
        Err(error) => {
            // The item stays due. Without a pause a failing store would be read in a tight loop,
            // and the next hop would receive the message again each time.
            tracing::error!(%id, %error, "the result of sending a message could not be recorded");
            sleep(ERROR_PAUSE).await;
            Attempt::Ended
        }
    }
}

async fn attempt(
    state: &MailState,
    worker: &mut Worker,
    id: QueueId,
    connection: &mut Option<Connection>,
) -> Result<Attempt, RecordError> {
    let Some(item) = queue::item(&state.node, id)? else { return Ok(Attempt::Ended) };
    let now = state.node.clock.now();
    let mut routed = Vec::new();
    for address in schedule::due_addresses(&item, now) {
        let route = route::of(state, &item, address)?;
        if route.next_hop() == worker.target.as_ref() {
            routed.push((address.to_owned(), route));
        }
    }
    let has_recipients = !routed.is_empty();
    let addresses = routed.iter().map(|(address, _)| address.clone());
    let claimed = worker.shared.queues().claim(&worker.target, id, addresses);
    routed.retain(|(address, _)| claimed.contains(address));
    if has_recipients && routed.is_empty() {
        // Another attempt, by an earlier route, sends to all of them. Without a pause they would be
        // found again at once.
        sleep(ERROR_PAUSE).await;
        return Ok(Attempt::Ended);
    }
    let Some(hop) = worker.target.clone() else {
        let results = without_hop(state, &item, routed).await;
        record(state, &item, results, state.config.retry_first_ms).await?;
        return Ok(Attempt::Ended);
    };
    let addresses: Vec<String> = routed.into_iter().map(|(address, _)| address).collect();
    if addresses.is_empty() {
        return Ok(Attempt::Ended);
    }
    let first_ms = first_pause_ms(state, &hop);
    let results = match unanswered(worker, &hop, &item, &addresses, now) {
        Some(result) => addresses.into_iter().map(|address| (address, result.clone())).collect(),
        None => match next_hop::send(state, worker, &hop, &item, addresses, connection).await {
            Sent::Results(results) => results,
            Sent::NoConnection(results) => {
                let (at, unanswered) = (state.node.clock.now(), results.first());
                if let Some((_, result)) = unanswered.cloned() {
                    let until = at.plus_millis(first_ms);
                    worker.shared.unanswered().insert(hop, at, until, result);
                }
                results
            }
            Sent::PutBack => return Ok(Attempt::PutBack),
        },
    };
    record(state, &item, results, first_ms).await?;
    Ok(Attempt::Ended)
}

/// The results for recipients about whom this node decides alone.
async fn without_hop(
    state: &MailState,
    item: &QueuedMessage,
    routed: Vec<(String, Route)>,
) -> Vec<(String, AttemptResult)> {
    let (mut local, mut of_friend, mut results) = (Vec::new(), None, Vec::new());
    for (address, route) in routed {
        match route {
            Route::Local => local.push(address),
            // There is one such friend for all recipients.
            Route::Friend(person) => {
                of_friend.get_or_insert_with(|| (person, Vec::new())).1.push(address);
            }
            Route::Unknown => results
                .push((address, AttemptResult::Refused("550 5.1.1 no such user here".to_owned()))),
            Route::Nowhere(reason) => {
                results.push((address, AttemptResult::Refused(format!("550 5.1.2 {reason}"))));
            }
            // The route was not this one when the message was queued: it is found again.
            Route::NextHop(_) => {}
        }
    }
    if let Some((person, addresses)) = of_friend
        && let Err(result) = by_friend::hand_over(state, item, person, addresses.clone()).await
    {
        results.extend(addresses.into_iter().map(|address| (address, result.clone())));
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
    results
}

/// The result of a next hop that did not answer lately, if none of the recipients is to be tried.
fn unanswered(
    worker: &Worker,
    hop: &NextHop,
    item: &QueuedMessage,
    addresses: &[String],
    now: Timestamp,
) -> Option<AttemptResult> {
    let hops = worker.shared.unanswered();
    let known = |to: &Recipient| hops.result(hop, to.next_attempt, to.attempts, now);
    let mut result = None;
    for to in item.recipients.iter().filter(|to| addresses.contains(&to.address)) {
        result = Some(known(to)?);
    }
    result
}

/// The first pause before a message is tried again, in milliseconds.
fn first_pause_ms(state: &MailState, hop: &NextHop) -> u64 {
    match hop {
        NextHop::Direct(_) => state.config.retry_first_ms.max(DIRECT_FIRST_MS),
        NextHop::Configured(_) | NextHop::Smarthost => state.config.retry_first_ms,
    }
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
                let attempts = attempts(&address);
                let at = now.plus_millis(retry::pause_ms(first_ms, attempts));
                retry::outcome(&state.config, item.created, attempts, at, reply)
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
