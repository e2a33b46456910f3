//! Mail in the browser: the folders, the list of messages, one open message, and the form that
//! writes one.

mod away;
mod blocks;
mod compose;
mod empty;
mod file_names;
mod host_names;
#[cfg(test)]
mod hostile;
mod import;
mod links;
mod message;
mod named_people;
mod normalize;
mod parsed;
mod part_path;
mod parts;
mod pictures;
mod proof;
mod queue;
mod refused;
mod rules;
mod sanitise;
mod senders;
mod why;

use axum::extract::{Path, Query, State};
use freehold_core::mailbox::queue::NOT_DELIVERED;
use freehold_core::mailbox::{self, Flags, Folder, FolderId, Message, SpecialUse, Summary};
use serde::Deserialize;

use crate::dates;
use crate::done::Done;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// Number of messages in one page of a list.
const LIST_LEN: usize = 30;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail", Access::Owner, inbox)
        .get("/home/mail/{folder}", Access::Owner, folder)
        .merge(away::routes())
        .merge(compose::routes())
        .merge(empty::routes())
        .merge(import::routes())
        .merge(message::routes())
        .merge(parts::routes())
        .merge(queue::routes())
        .merge(refused::routes())
        .merge(rules::routes())
        .merge(senders::routes())
}

/// A folder in the sidebar.
struct FolderRow {
    id: u32,
    title: String,
    count: u32,
    /// True if `count` is the number of unread messages, false if it is that of all.
    is_unread: bool,
    is_current: bool,
}

/// A message in the list.
struct MessageRow {
    uid: u32,
    /// The sender; in the folders Sent and Drafts the first recipient.
    correspondent: String,
    subject: String,
    preview: String,
    time: String,
    machine_time: String,
    is_unread: bool,
    is_current: bool,
    /// True if it is in the queue for at least one recipient.
    is_queued: bool,
    /// True if it did not reach every recipient.
    has_failed: bool,
}

/// The folders and the list of messages beside the open message.
struct Sidebar {
    folder: u32,
    title: String,
    folders: Vec<FolderRow>,
    messages: Vec<MessageRow>,
    /// The text shown if the list is empty.
    empty_text: &'static str,
    /// The UID before which older messages begin.
    older: Option<u32>,
    /// Where the message is that was moved away from this folder just now, to undo that.
    moved: Option<(u32, u32)>,
    /// The id in the queue of a message that was sent just now, to undo that.
    sent: Option<String>,
    /// The number of messages that wait to be sent.
    waiting: usize,
    /// True for the bin and for junk if there is anything in them.
    can_be_emptied: bool,
}

#[derive(askama::Template)]
#[template(path = "mailbox/list.html")]
struct ListPage {
    page: Layout,
    sidebar: Sidebar,
}

#[derive(Default, Deserialize)]
struct ListQuery {
    before: Option<u32>,
    /// The message that was moved away from this folder, as `folder.uid`.
    #[serde(default)]
    moved: String,
    /// The id in the queue of the message that was sent.
    #[serde(default)]
    sent: String,
}

async fn inbox(State(site): State<Site>, owner: Owner, done: Done) -> PageResult {
    let inbox = mailbox::special_folder(&site.node, SpecialUse::Inbox)?.ok_or(Problem::NotFound)?;
    folder(State(site), owner, Path(inbox.id.0), Query(ListQuery::default()), done).await
}

async fn folder(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<u32>,
    Query(query): Query<ListQuery>,
    done: Done,
) -> PageResult {
    let sidebar = sidebar(&site, id, query.before, None)?;
    let moved = message::moved(&site, &query.moved)?;
    let sidebar = Sidebar { moved, sent: queue::undoable(&site, &query.sent)?, ..sidebar };
    let page = site.owner_layout(&sidebar.title, "Mail")?.saying(done);
    response::page(&ListPage { page, sidebar })
}

/// The folders, and the messages of folder `id` with a UID below `before`; `open` is the UID of the
/// open message.
fn sidebar(
    site: &Site,
    id: u32,
    before: Option<u32>,
    open: Option<u32>,
) -> Result<Sidebar, Problem> {
    let folders = mailbox::folders(&site.node)?;
    let current = folders.iter().find(|folder| folder.id.0 == id).ok_or(Problem::NotFound)?;
    let is_outgoing = matches!(current.special, Some(SpecialUse::Sent | SpecialUse::Drafts));
    let now = site.node.clock.now();
    let listed = mailbox::summaries(&site.node, FolderId(id), before, LIST_LEN)?;
    let older =
        (listed.len() == LIST_LEN).then(|| listed.last().map(|(message, _)| message.uid)).flatten();
    let queued = if current.special == Some(SpecialUse::Sent) {
        queued_uids(site, &listed)?
    } else {
        Vec::new()
    };
    let messages = listed.into_iter().map(|(message, summary)| {
        let other = if is_outgoing { summary.to.first() } else { Some(&summary.from) };
        let correspondent = other
            .map(|person| host_names::honest_address(person.shown()).into_owned())
            .filter(|shown| !shown.is_empty())
            .unwrap_or_else(|| "Nobody named".to_owned());
        MessageRow {
            uid: message.uid,
            correspondent,
            subject: if summary.subject.is_empty() {
                "No subject".to_owned()
            } else {
                summary.subject
            },
            preview: summary.preview,
            time: dates::brief(message.internal_date, now),
            machine_time: dates::machine(message.internal_date),
            is_unread: !message.flags.has(Flags::SEEN) && open != Some(message.uid),
            is_current: open == Some(message.uid),
            is_queued: queued.contains(&message.uid),
            has_failed: message.flags.has_keyword(NOT_DELIVERED),
        }
    });
    let empty_text =
        if before.is_some() { "That was all of it." } else { empty_text(current.special) };
    Ok(Sidebar {
        folder: id,
        title: current.title().to_owned(),
        empty_text,
        folders: folders.iter().map(|folder| folder_row(folder, id)).collect(),
        messages: messages.collect(),
        older,
        moved: None,
        sent: None,
        waiting: mailbox::queued_blobs(&site.node)?.len(),
        can_be_emptied: empty::is_purgeable(current.special) && current.total > 0,
    })
}

/// The UIDs of messages that are still to be sent.
fn queued_uids(site: &Site, listed: &[(Message, Summary)]) -> Result<Vec<u32>, Problem> {
    let blobs = mailbox::queued_blobs(&site.node)?;
    let mut uids = Vec::new();
    for (message, _) in listed.iter().filter(|_| !blobs.is_empty()) {
        if mailbox::content(&site.node, message)?.is_some_and(|c| blobs.contains(&c.blob)) {
            uids.push(message.uid);
        }
    }
    Ok(uids)
}

/// The text that explains an empty folder.
fn empty_text(special: Option<SpecialUse>) -> &'static str {
    match special {
        Some(SpecialUse::Inbox) => "Nothing here. What is sent to you arrives in this folder.",
        Some(SpecialUse::Drafts) => {
            "Nothing unfinished. What a mail program saves before it is sent lies here."
        }
        Some(SpecialUse::Sent) => "Nothing sent yet. A copy of each letter you send is kept here.",
        Some(SpecialUse::Junk) => {
            "No junk. What you call so is put here, and what is very like it."
        }
        Some(SpecialUse::Trash) => "The bin is empty.",
        Some(SpecialUse::Archive) => {
            "Nothing kept yet. “Keep” puts a letter here, out of the inbox."
        }
        None => "Nothing in this folder yet.",
    }
}

fn folder_row(folder: &Folder, current: u32) -> FolderRow {
    // Drafts are counted whole; Junk, Trash and Sent show no count.
    let (count, is_unread) = match folder.special {
        Some(SpecialUse::Drafts) => (folder.total, false),
        Some(SpecialUse::Junk | SpecialUse::Trash | SpecialUse::Sent) => (0, false),
        _ => (folder.unseen, true),
    };
    FolderRow {
        id: folder.id.0,
        title: folder.title().to_owned(),
        count,
        is_unread,
        is_current: folder.id.0 == current,
    }
}
