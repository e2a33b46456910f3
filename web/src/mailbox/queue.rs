//! The mail queue: the state of each message, a retry at once, and dropping it.

use askama::Template;
use axum::extract::{Path, State};
use freehold_core::mailbox::queue::{self, QueueId, QueuedMessage, RecipientState};

use crate::dates;
use crate::done::Done;
use crate::friends::friend_name;
use crate::layout::Layout;
use crate::problem::{Problem, parse_id};
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// The most messages of the page.
const LISTED_MAX: usize = 100;
const PAGE: &str = "/home/mail/queue";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/queue", Access::Owner, show)
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
}

#[derive(Template)]
#[template(path = "mailbox/queue.html")]
struct QueuePage {
    page: Layout,
    rows: Vec<Row>,
}

/// The state of each recipient of a message.
pub(super) fn statuses(site: &Site, item: &QueuedMessage) -> Result<Vec<RecipientStatus>, Problem> {
    let now = site.node.clock.now();
    let quoted = |reply: &str| {
        if reply.is_empty() { String::new() } else { format!(" The answer: “{reply}”.") }
    };
    let states = item.recipients.iter().map(|to| {
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
                format!("{text} {}’s house carries it.", friend_name(site, &friend)?)
            }
        };
        Ok(RecipientStatus { state, text })
    });
    states.collect()
}

async fn show(State(site): State<Site>, _: Owner, done: Done) -> PageResult {
    let items = queue::queued(&site.node, LISTED_MAX)?;
    let rows: Result<Vec<Row>, Problem> = items.iter().map(|item| row(&site, item)).collect();
    let page = site.owner_layout("On the way", "Mail")?.saying(done);
    response::page(&QueuePage { page, rows: rows? })
}

fn row(site: &Site, item: &QueuedMessage) -> Result<Row, Problem> {
    let now = site.node.clock.now();
    let copy = queue::sent_copy(&site.node, item.id)?;
    let subject = queue::subject(&site.node, item.id)?;
    let nameless = match (item.from.is_empty(), item.on_behalf) {
        (true, None) => "A report to a sender",
        (_, Some(_)) => "A friend’s letter",
        (false, None) => "No subject",
    };
    Ok(Row {
        id: item.id.to_string(),
        subject: subject.filter(|text| !text.is_empty()).unwrap_or_else(|| nameless.to_owned()),
        copy: copy.map(|(folder, uid)| (folder.0, uid)),
        when: dates::ago(item.created, now),
        machine_time: dates::machine(item.created),
        held: item.held,
        can_be_taken_back: copy.is_some() && queue::can_be_taken_back(item, now),
        recipients: statuses(site, item)?,
        on_behalf: item.on_behalf.map(|person| friend_name(site, &person)).transpose()?,
    })
}

async fn retry(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let id: QueueId = parse_id(&id)?;
    let done = match queue::retry(&site.node, id).await? {
        true => Done::MessageRetried,
        false => Done::Nothing,
    };
    Ok(response::see_other(&done.at(PAGE)))
}

async fn drop_item(State(site): State<Site>, _: Owner, Path(id): Path<String>) -> PageResult {
    let id: QueueId = parse_id(&id)?;
    let done = match queue::drop_item(&site.node, id).await? {
        true => Done::MessageDropped,
        false => Done::Nothing,
    };
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
