//! The mail queue, by command.

use anyhow::Result;
use freehold_core::clock::Timestamp;
use freehold_core::friends;
use freehold_core::identity::PersonId;
use freehold_core::mailbox::queue::{self, QueuedMessage, RecipientState};
use freehold_core::node::Node;
use freehold_core::notices::duration;
use serde_json::{Value, json};

use super::Response;
use super::execute::invalid;
use crate::exit;

/// The most messages in one response.
const LISTED_MAX: usize = 1000;
/// The characters of an id that a list shows.
const SHORT_ID_LEN: usize = 8;

pub(super) fn list(node: &Node) -> Result<Response> {
    let (items, now) = (queue::queued(node, LISTED_MAX)?, node.clock.now());
    let mut lines = Vec::new();
    for item in &items {
        let id: String = item.id.to_string().chars().take(SHORT_ID_LEN).collect();
        let waiting: Vec<&str> = waiting(item).map(|to| to.address.as_str()).collect();
        let more = match waiting.len() {
            0 | 1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let first = waiting.first().copied().unwrap_or_default();
        let next = match item.held {
            true => "held until you say `freehold queue retry` with this id".to_owned(),
            false => next_try(item.next_attempt, now),
        };
        lines.push(format!("{id}  {first}{more}  {}  {next}", subject(node, item)?));
        if let Some(reply) = waiting_reply(item) {
            lines.push(format!("          {reply}"));
        }
    }
    let text = match lines.is_empty() {
        true => "No message waits to be sent.".to_owned(),
        false => lines.join("\n"),
    };
    let values: Result<Vec<Value>> = items.iter().map(|item| value(node, item)).collect();
    Ok(Response::text(text).with(values?.into()))
}

pub(super) fn show(node: &Node, id: &str) -> Result<Response> {
    let (item, now) = (find(node, id)?, node.clock.now());
    let from = if item.from.is_empty() { "nobody: it is a report" } else { &item.from };
    let mut lines = vec![
        format!("id       {}", item.id),
        format!("subject  {}", subject(node, &item)?),
        format!("from     {from}"),
        format!("size     {} bytes", item.size),
        format!("since    {} ago", duration(now.millis_since(item.created))),
    ];
    if let Some(friend) = &item.on_behalf {
        lines.push(format!("for      {}, a friend whose mail goes out here", name(node, friend)?));
    }
    for to in &item.recipients {
        let state = match to.state {
            RecipientState::Delivered => "delivered".to_owned(),
            RecipientState::Failed => "failed".to_owned(),
            RecipientState::Waiting if item.held => "held".to_owned(),
            RecipientState::Waiting => {
                format!("waiting, {} tries, {}", to.attempts, next_try(to.next_attempt, now))
            }
        };
        lines.push(format!("to       {}  {state}", to.address));
        if let Some(friend) = to.friend() {
            let name = name(node, &friend)?;
            lines.push(match to.relay_batch() {
                Some(_) => format!("         by {name}'s node"),
                None => format!("         straight to the node of {name}"),
            });
        }
        if !to.last_reply.is_empty() {
            lines.push(format!("         {}", to.last_reply));
        }
    }
    Ok(Response::text(lines.join("\n")).with(value(node, &item)?))
}

pub(super) async fn retry(node: &Node, id: Option<&str>) -> Result<Response> {
    let items = match id {
        Some(id) => vec![find(node, id)?],
        // A message that is held is sent only by its id.
        None => queue::queued(node, LISTED_MAX)?.into_iter().filter(|item| !item.held).collect(),
    };
    let mut count = 0;
    for item in items {
        count += usize::from(queue::retry(node, item.id).await.map_err(invalid)?);
    }
    Ok(Response::text(match count {
        0 => "No message waits to be sent.".to_owned(),
        1 => "1 message is tried now.".to_owned(),
        count => format!("{count} messages are tried now."),
    }))
}

pub(super) async fn drop_one(node: &Node, id: &str) -> Result<Response> {
    let item = find(node, id)?;
    let addresses: Vec<&str> = waiting(&item).map(|to| to.address.as_str()).collect();
    let text = format!("Given up for {}.", addresses.join(", "));
    queue::drop_item(node, item.id).await.map_err(invalid)?;
    Ok(Response::text(text))
}

/// The one message whose id begins with these characters.
fn find(node: &Node, id: &str) -> Result<QueuedMessage> {
    let mut items = queue::queued(node, LISTED_MAX)?;
    items.retain(|item| !id.is_empty() && item.id.to_string().starts_with(id));
    match items.len() {
        1 => Ok(items.remove(0)),
        0 => Err(exit::with(exit::DATA, format!("no message in the queue has the id {id:?}"))),
        count => {
            let text = format!("{count} messages have an id that begins with {id:?}");
            Err(exit::with(exit::DATA, text))
        }
    }
}

fn waiting(item: &QueuedMessage) -> impl Iterator<Item = &queue::Recipient> {
    item.recipients.iter().filter(|to| to.state == RecipientState::Waiting)
}

fn waiting_reply(item: &QueuedMessage) -> Option<&str> {
    waiting(item).map(|to| to.last_reply.as_str()).find(|reply| !reply.is_empty())
}

fn next_try(at: Timestamp, now: Timestamp) -> String {
    match at <= now {
        true => "tried now".to_owned(),
        false => format!("tried in {}", duration(at.millis_since(now))),
    }
}

/// The name of a friend.
fn name(node: &Node, person: &PersonId) -> Result<String> {
    let friend = friends::get(node, person)?;
    Ok(friend.map_or_else(|| person.short(), |friend| friend.name))
}

/// The subject as a list shows it.
fn subject(node: &Node, item: &QueuedMessage) -> Result<String> {
    let subject = queue::subject(node, item.id)?.filter(|subject| !subject.is_empty());
    Ok(subject.map_or("(no subject)".to_owned(), |subject| format!("“{subject}”")))
}

fn value(node: &Node, item: &QueuedMessage) -> Result<Value> {
    let recipients: Vec<Value> = item
        .recipients
        .iter()
        .map(|to| {
            let state = match to.state {
                RecipientState::Delivered => "delivered",
                RecipientState::Failed => "failed",
                RecipientState::Waiting => "waiting",
            };
            let (attempts, reply) = (to.attempts, &to.last_reply);
            let route = match (to.friend(), to.relay_batch()) {
                (None, _) => "smtp",
                (Some(_), None) => "libp2p",
                (Some(_), Some(_)) => "friend",
            };
            json!({ "address": to.address, "state": state, "attempts": attempts, "reply": reply, "route": route })
        })
        .collect();
    Ok(json!({
        "id": item.id.to_string(),
        "subject": subject(node, item)?,
        "from": item.from,
        "size": item.size,
        "held": item.held,
        "on_behalf": item.on_behalf.map(|person| person.to_string()),
        "recipients": recipients,
    }))
}
