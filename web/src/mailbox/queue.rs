//! The mail queue, page by page: the state of each message, a retry at once, and dropping it; for
//! all that are held at once too.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use freehold_core::blocking::try_blocking;
use freehold_core::clock::Timestamp;
use freehold_core::mailbox::queue::{self, QueueId, QueuedMessage, Recipient, RecipientState};
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use serde::Deserialize;

use crate::dates;
use crate::done::Done;
use crate::friends::friend_name;
use crate::layout::Layout;
use crate::problem::{Problem, parse_id};
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// The messages of a page.
const PAGE_LEN: usize = 50;
/// The recipients of a message that its row names; the others are counted.
const NAMED_MAX: usize = 20;
/// The most messages that one press of a button releases or drops.
const AT_ONCE_MAX: usize = 200;
const PAGE: &str = "/home/mail/queue";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/queue", Access::Owner, show)
        .get("/home/mail/queue/{id}", Access::Owner, show_one)
        .post("/home/mail/queue/held", Access::Owner, decide_held)
        .post("/home/mail/queue/{id}/retry", Access::Owner, retry)
        .post("/home/mail/queue/{id}/drop", Access::Owner, drop_item)
        .post("/home/mail/queue/{id}/undo", Access::Owner, undo)
}

/// The state of delivery for one recipient.
pub(super) struct RecipientStatus {
    /// `delivered`, `failed`, `held`, `new`, `scheduled`, `trying` or `waiting`.
    pub(super) state: &'static str,
    pub(super) text: String,
}

/// A message that waits.
struct Row {
    id: String,
    subject: String,
    /// Its copy in Sent.
    copy: Option<(u32, u32)>,
    when: String,
    machine_time: String,
    /// True if it waits for the owner's decision.
    held: bool,
    /// True if it can be taken back as a draft.
    can_be_taken_back: bool,
    recipients: Vec<RecipientStatus>,
    /// The friend for whom this node sends it.
    on_behalf: Option<String>,
    /// The number of recipients that are not named.
    more: usize,
}

#[derive(Template)]
#[template(path = "mailbox/queue.html")]
struct QueuePage {
    page: Layout,
    rows: Vec<Row>,
    /// Where this page begins; empty for the first one.
    place: String,
    /// The address of the next page; empty at the end.
    next: String,
    /// The number of messages that wait for the owner's decision, at most [`AT_ONCE_MAX`]; zero on
    /// the page of one message.
    held: usize,
    /// True for the page of one message.
    is_one: bool,
}

/// The state of each recipient of a message.
pub(super) fn statuses(
    node: &Node,
    item: &QueuedMessage,
) -> Result<Vec<RecipientStatus>, StoreError> {
    statuses_of(node, item, &item.recipients.iter().collect::<Vec<_>>())
}

fn statuses_of(
    node: &Node,
    item: &QueuedMessage,
    recipients: &[&Recipient],
) -> Result<Vec<RecipientStatus>, StoreError> {
    let now = node.clock.now();
    let quoted = |reply: &str| {
        if reply.is_empty() { String::new() } else { format!(" The answer: “{reply}”.") }
    };
    let states = recipients.iter().map(|to| {
        let (address, reply) = (&to.address, quoted(&to.last_reply));
        let (state, text) = match to.state {
            RecipientState::Delivered => ("delivered", format!("Delivered to {address}.")),
            RecipientState::Failed => ("failed", format!("Not delivered to {address}.{reply}")),
            RecipientState::Waiting if item.held => {
                ("held", format!("{address} waits for your word."))
            }
            RecipientState::Waiting if to.attempts == 0 && to.next_attempt > now => {
                let when = dates::ahead(to.next_attempt, now);
                ("scheduled", format!("Setting off to {address} {when}."))
            }
            RecipientState::Waiting if to.attempts == 0 => {
                ("new", format!("Setting off to {address}."))
            }
            RecipientState::Waiting if to.next_attempt <= now => {
                ("trying", format!("Trying {address} again now.{reply}"))
            }
            RecipientState::Waiting => {
                let minutes = to.next_attempt.millis_since(now).div_ceil(60_000);
                let when = if minutes == 1 {
                    "in a minute".to_owned()
                } else {
                    format!("in {minutes} minutes")
                };
                ("waiting", format!("Waiting to reach {address}; tried again {when}.{reply}"))
            }
        };
        let text = match (to.waits_for_friend(), to.relay_batch()) {
            (None, _) => text,
            (Some(_), None) => format!("{text} It goes straight to the friend’s house."),
            (Some(friend), Some(_)) => {
                format!("{text} {}’s house carries it.", friend_name(node, &friend)?)
            }
        };
        Ok(RecipientStatus { state, text })
    });
    states.collect()
}

/// Where a page begins: after this place in the order of attempts, as `time.id`; empty at the
/// start.
#[derive(Default, Deserialize)]
struct Place {
    #[serde(default)]
    after: String,
}

impl Place {
    fn parse(&self) -> Option<(Timestamp, QueueId)> {
        let (at, id) = self.after.split_once('.')?;
        Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
    }

    /// The address of the page.
    fn address(&self) -> String {
        match self.parse() {
            Some((at, id)) => format!("{PAGE}?after={}.{id}", at.0),
            None => PAGE.to_owned(),
        }
    }
}

async fn show(
    State(site): State<Site>,
    _: Owner,
    Query(place): Query<Place>,
    done: Done,
) -> PageResult {
    let (node, after) = (site.node.clone(), place.parse());
    let read = move || {
        let mut places = queue::due_ids(&node, after, PAGE_LEN + 1)?;
        let has_next = places.len() > PAGE_LEN;
        places.truncate(PAGE_LEN);
        let mut rows = Vec::with_capacity(places.len());
        for (_, id) in &places {
            // It may have left the queue since. One message with its recipients at a time.
            if let Some(item) = queue::item(&node, *id)? {
                rows.push(row(&node, &item, NAMED_MAX)?);
            }
        }
        let next = places.last().filter(|_| has_next);
        let next = next.map(|(at, id)| Place { after: format!("{}.{id}", at.0) }.address());
        let held = queue::held(&node, AT_ONCE_MAX)?.len();
        Ok::<_, StoreError>((rows, next.unwrap_or_default(), held))
    };
    let (rows, next, held) = try_blocking(read).await?;
    let place = if place.parse().is_some() { place.after } else { String::new() };
    let page = site.owner_layout("On the way", "Mail")?.saying(done);
    response::page(&QueuePage { page, rows, place, next, held, is_one: false })
}

/// One message with all its recipients.
async fn show_one(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let (id, node): (QueueId, _) = (parse_id(&id)?, site.node.clone());
    let read = move || {
        let item = queue::item(&node, id)?;
        item.map(|item| row(&node, &item, queue::RECIPIENTS_MAX)).transpose()
    };
    let row = try_blocking(read).await?.ok_or(Problem::NotFound)?;
    let page = site.owner_layout("On the way", "Mail")?;
    let (place, next) = (String::new(), String::new());
    response::page(&QueuePage { page, rows: vec![row], place, next, held: 0, is_one: true })
}

/// The row of a message, with at most `named_max` of its recipients: those who wait come first.
fn row(node: &Node, item: &QueuedMessage, named_max: usize) -> Result<Row, StoreError> {
    let now = node.clock.now();
    let copy = queue::sent_copy(node, item.id)?;
    let subject = queue::subject(node, item.id)?;
    let nameless = match (item.from.is_empty(), item.on_behalf) {
        (true, None) => "A report to a sender",
        (_, Some(_)) => "A friend’s letter",
        (false, None) => "No subject",
    };
    let mut named: Vec<&Recipient> = item.recipients.iter().collect();
    if named.len() > named_max {
        named.sort_by_key(|to| match to.state {
            RecipientState::Failed => 0,
            RecipientState::Waiting => 1,
            RecipientState::Delivered => 2,
        });
        named.truncate(named_max);
    }
    Ok(Row {
        id: item.id.to_string(),
        subject: subject.filter(|text| !text.is_empty()).unwrap_or_else(|| nameless.to_owned()),
        copy: copy.map(|(folder, uid)| (folder.0, uid)),
        when: dates::ago(item.created, now),
        machine_time: dates::machine(item.created),
        held: item.held,
        can_be_taken_back: copy.is_some() && queue::can_be_taken_back(item, now),
        recipients: statuses_of(node, item, &named)?,
        more: item.recipients.len().saturating_sub(named.len()),
        on_behalf: item.on_behalf.map(|person| friend_name(node, &person)).transpose()?,
    })
}

async fn retry(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Form(place): Form<Place>,
) -> PageResult {
    let id: QueueId = parse_id(&id)?;
    let done = match queue::retry(&site.node, id).await? {
        true => Done::MessageRetried,
        false => Done::Nothing,
    };
    Ok(response::see_other(&done.at(&place.address())))
}

async fn drop_item(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<String>,
    Form(place): Form<Place>,
) -> PageResult {
    let id: QueueId = parse_id(&id)?;
    let done = match queue::drop_item(&site.node, id).await? {
        true => Done::MessageDropped,
        false => Done::Nothing,
    };
    Ok(response::see_other(&done.at(&place.address())))
}

#[derive(Deserialize)]
struct DecideForm {
    /// `send` or `drop`.
    action: String,
}

/// Releases or drops the messages that wait for the owner's decision, at most [`AT_ONCE_MAX`].
async fn decide_held(
    State(site): State<Site>,
    _: Owner,
    Form(form): Form<DecideForm>,
) -> PageResult {
    let done = match form.action.as_str() {
        "send" => Done::HeldReleased,
        "drop" => Done::HeldDropped,
        _ => return Err(Problem::BadRequest),
    };
    let held = queue::held(&site.node, AT_ONCE_MAX)?;
    for id in &held {
        match done {
            Done::HeldReleased => queue::retry(&site.node, *id).await?,
            _ => queue::drop_item(&site.node, *id).await?,
        };
    }
    let done = if held.is_empty() { Done::Nothing } else { done };
    Ok(response::see_other(&done.at(PAGE)))
}

/// Takes a message back that has not left: its text is in the form again.
async fn undo(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let id: QueueId = parse_id(&id)?;
    Ok(response::see_other(&match queue::take_back(&site.node, id).await? {
        Some((folder, uid)) => {
            Done::MessageTakenBack.at(&format!("/home/mail/write?draft={}.{uid}", folder.0))
        }
        None => Done::TooLate.at(PAGE),
    }))
}

/// The id of a message that was sent just now and can still be taken back.
pub(super) fn undoable(site: &Site, id: &str) -> Result<Option<String>, Problem> {
    let Ok(id) = parse_id::<QueueId>(id) else { return Ok(None) };
    let item = queue::item(&site.node, id)?;
    let now = site.node.clock.now();
    Ok(item.filter(|item| queue::can_be_taken_back(item, now)).map(|item| item.id.to_string()))
}
