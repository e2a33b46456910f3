//! Finds what waits for friends' nodes, and sends it: one message after the other to each friend.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use freehold_core::blocking::try_blocking;
use freehold_core::clock::Timestamp;
use freehold_core::events::Event;
use freehold_core::friends;
use freehold_core::identity::PersonId;
use freehold_core::mailbox::queue::{
    self, Outcome, RecordError, for_friends, outbound, record_friend_outcomes,
};
use freehold_core::mailbox::{QueueId, QueuedMessage, Recipient};
use freehold_core::store::StoreError;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::exchange::{self, Answer};
use super::outcome::{Facts, UNREACHED};
use super::relay;
use crate::limits::MAIL_RECIPIENTS_MAX;
use crate::peers::Peer;
use crate::state::FederationState;

/// The most items looked at in one walk.
const ITEMS_MAX: usize = 1000;
/// The longest pause without a walk.
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);
/// The tries that are made before a message fails, however old it is by the clock.
const ATTEMPTS_MIN: u32 = 8;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The pause after an error of the store.
const ERROR_PAUSE: Duration = Duration::from_secs(5);

/// Sends what is due until the node stops.
pub(crate) async fn run(state: Arc<FederationState>) {
    let mut events = state.node.events.subscribe();
    let mut sending: JoinSet<PersonId> = JoinSet::new();
    let mut busy: HashSet<PersonId> = HashSet::new();
    loop {
        let pause = match walk(&state, &mut sending, &mut busy).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "the mail for friends' nodes can't be read");
                ERROR_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause.min(PAUSE_MAX)) => {}
            () = change(&mut events) => {}
            () = state.refresh.mail.notified() => {}
            Some(sent) = sending.join_next() => match sent {
                Ok(person) => _ = busy.remove(&person),
                // A task that panicked does not say whose it was.
                Err(_) => {
                    sending.abort_all();
                    busy.clear();
                }
            },
        }
    }
}

/// Waits for a change of the queue or of friends; missed events count as one.
async fn change(events: &mut Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Queue | Event::Friends | Event::Smarthost) | Err(RecvError::Lagged(_)) => {
                return;
            }
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The items that wait, each with the friends to whose nodes it goes.
type Waiting = Vec<(QueuedMessage, Vec<PersonId>)>;

/// Starts to send what is due to nodes that are connected, and records what becomes of the rest.
/// Returns the pause until something is due.
async fn walk(
    state: &Arc<FederationState>,
    sending: &mut JoinSet<PersonId>,
    busy: &mut HashSet<PersonId>,
) -> Result<Duration, StoreError> {
    let node = state.node.clone();
    let items = try_blocking(move || for_friends(&node, ITEMS_MAX)).await?;
    let now = state.node.clock.now();
    let mut next: Option<Timestamp> = None;
    let mut due: HashMap<PersonId, Vec<QueueId>> = HashMap::new();
    for (item, people) in waiting(items) {
        let facts = facts(state, &item)?;
        for person in people {
            let of_person = |to: &&Recipient| to.waits_for_friend() == Some(person);
            let recipients = item.recipients.iter().filter(of_person);
            if connected(state, person).is_some() {
                let is_due = |to: &Recipient| is_due(to, now) || facts.is_abandoned(to);
                match recipients.clone().any(is_due) {
                    true => due.entry(person).or_default().push(item.id),
                    false => recipients.for_each(|to| sooner(&mut next, to.next_attempt)),
                }
                continue;
            }
            let is_friend = friends::is_friend(&state.node, &person)?;
            let mut outcomes = Vec::new();
            for to in recipients {
                match facts.unconnected(to, is_friend) {
                    Some(outcome) => outcomes.push((to.address.clone(), outcome)),
                    None => sooner(&mut next, facts.waits_until(to)),
                }
            }
            record(state, item.id, outcomes).await?;
        }
    }
    for (person, items) in due {
        if let Some(peer) = connected(state, person)
            && busy.insert(person)
        {
            sending.spawn(send_all(Arc::clone(state), peer, person, items));
        }
    }
    Ok(next.map_or(PAUSE_MAX, |at| Duration::from_millis(at.millis_since(now).max(1))))
}

fn sooner(next: &mut Option<Timestamp>, at: Timestamp) {
    *next = Some(next.map_or(at, |next| next.min(at)));
}

/// The items that are not held.
fn waiting(items: Vec<QueuedMessage>) -> Waiting {
    let people = |item: &QueuedMessage| {
        let mut people: Vec<PersonId> =
            item.recipients.iter().filter_map(Recipient::waits_for_friend).collect();
        people.sort();
        people.dedup();
        people
    };
    let not_held = items.into_iter().filter(|item| !item.held);
    not_held.map(|item| (people(&item), item)).map(|(people, item)| (item, people)).collect()
}

/// Whether a recipient whose node is connected is to be tried now.
pub(super) fn is_due(to: &Recipient, now: Timestamp) -> bool {
    to.next_attempt <= now || to.last_reply == UNREACHED
}

pub(super) fn facts(state: &FederationState, item: &QueuedMessage) -> Result<Facts, StoreError> {
    Ok(Facts {
        is_local: state.config.is_local(),
        outbound: outbound(&state.node)?,
        domains: state.config.mail_domains.clone(),
        created: begun(item, state.node.clock.now()),
        now: state.node.clock.now(),
    })
}

/// When the time began in which a message is tried.
fn begun(item: &QueuedMessage, now: Timestamp) -> Timestamp {
    let waiting = item.recipients.iter().filter(|to| to.waits_for_friend().is_some());
    begun_after(item.created, waiting.map(|to| to.attempts).min().unwrap_or(0), now)
}

/// The clock may have been wrong when the message was queued. So it counts as a day old at most
/// until it was tried several times.
fn begun_after(created: Timestamp, attempts: u32, now: Timestamp) -> Timestamp {
    match attempts {
        0..ATTEMPTS_MIN => created.max(Timestamp(now.0.saturating_sub(DAY_MS))),
        _ => created,
    }
}

/// The connected node of a friend.
fn connected(state: &FederationState, person: PersonId) -> Option<Arc<Peer>> {
    state.peers.connected().into_iter().find(|peer| {
        let identity = peer.identity.borrow();
        peer.is_friend()
            && identity.as_ref().is_some_and(|identity| identity.person == Some(person))
    })
}

/// Sends these items to a friend's node, one after the other.
async fn send_all(
    state: Arc<FederationState>,
    peer: Arc<Peer>,
    person: PersonId,
    items: Vec<QueueId>,
) -> PersonId {
    for id in items {
        let sent = peer.disconnected.run_until_cancelled(send(&state, &peer, person, id)).await;
        match sent {
            Some(Ok(true)) => {}
            Some(Ok(false)) | None => break,
            Some(Err(error)) => {
                tracing::error!(%id, %error, "a message for a friend's node is not sent yet");
                tokio::time::sleep(ERROR_PAUSE).await;
                break;
            }
        }
    }
    person
}

/// Sends one item and records the outcome; false if the next ones are to wait.
async fn send(
    state: &FederationState,
    peer: &Peer,
    person: PersonId,
    id: QueueId,
) -> Result<bool, StoreError> {
    let Some(item) = queue::item(&state.node, id)?.filter(|item| !item.held) else {
        return Ok(true);
    };
    Ok(send_straight(state, peer, person, &item).await?
        && Box::pin(relay::send(state, peer, person, &item)).await?)
}

/// Sends one item to its recipients at the friend's own domain.
async fn send_straight(
    state: &FederationState,
    peer: &Peer,
    person: PersonId,
    item: &QueuedMessage,
) -> Result<bool, StoreError> {
    let (id, now) = (item.id, state.node.clock.now());
    let due = |to: &&Recipient| {
        let is_of_friend = to.waits_for_friend() == Some(person) && to.relay_batch().is_none();
        is_of_friend && is_due(to, now)
    };
    let recipients: Vec<&Recipient> =
        item.recipients.iter().filter(due).take(MAIL_RECIPIENTS_MAX).collect();
    if recipients.is_empty() {
        return Ok(true);
    }
    let to: Vec<String> = recipients.iter().map(|to| to.address.clone()).collect();
    let sent = Box::pin(exchange::send(state, peer, item, &to)).await;
    // The time in which the message was sent has passed since.
    let facts = facts(state, item)?;
    let outcome = |to: &&Recipient| {
        let outcome = match &sent {
            Ok(answer) => facts.answered(to, answer)?,
            Err(error) => facts.broken(to, &error.to_string()),
        };
        Some((to.address.clone(), outcome))
    };
    let outcomes: Vec<(String, Outcome)> = recipients.iter().filter_map(outcome).collect();
    let is_going_on = match &sent {
        Ok(answer) => {
            matches!(answer, Answer::Accepted { .. } | Answer::Refused(_) | Answer::Dropped)
        }
        Err(_) => false,
    };
    let person = person.short();
    let is_accepted = matches!(sent, Ok(Answer::Accepted { .. }));
    tracing::info!(%id, %person, is_accepted, "a message was offered to a friend's node");
    record(state, id, outcomes).await?;
    Ok(is_going_on)
}

pub(super) async fn record(
    state: &FederationState,
    id: QueueId,
    outcomes: Vec<(String, Outcome)>,
) -> Result<(), StoreError> {
    if outcomes.is_empty() {
        return Ok(());
    }
    match record_friend_outcomes(&state.node, id, outcomes).await {
        // The item was removed meanwhile.
        Ok(()) | Err(RecordError::NoSuchItem) => Ok(()),
        Err(RecordError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Unavailable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_a_wrong_clock_is_tried_several_times() {
        let (now, day) = (Timestamp(30 * DAY_MS), |day: u64| Timestamp(day * DAY_MS));
        for attempts in 0..ATTEMPTS_MIN {
            assert_eq!(begun_after(day(0), attempts, now), day(29), "queued by a clock behind");
            assert_eq!(begun_after(now, attempts, now), now);
            assert_eq!(begun_after(Timestamp(0), attempts, Timestamp(1)), Timestamp(0));
        }
        assert_eq!(begun_after(day(0), ATTEMPTS_MIN, now), day(0));
    }
}
