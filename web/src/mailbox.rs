//! Mail in the browser: the folders, the list of messages, one open message, and the form that
//! writes one.

mod away;
mod blocks;
mod came_for;
mod chosen;
mod compose;
mod empty;
mod file_names;
mod host_names;
#[cfg(test)]
mod hostile;
mod import;
mod keys;
mod leave;
mod links;
mod list;
mod list_place;
mod mailto;
mod message;
mod moved_away;
mod named_people;
mod normalize;
mod parsed;
mod part_path;
mod parts;
mod picture_senders;
mod pictures;
mod proof;
mod queue;
mod refused;
pub(crate) mod remote_pictures;
mod rules;
mod sanitise;
mod search;
mod senders;
mod thread;
mod throw_away;
mod unsubscribe;
mod why;

use axum::extract::{Form, Path, Query, State};
use axum::http::header;
use freehold_core::mailbox::{self, Folder, SpecialUse};
use serde::Deserialize;

use self::chosen::{Chooser, Moved};
use self::list::MessageRow;
use self::list_place::ListPlace;
use self::search::Search;
use crate::done::Done;
use crate::headers;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail", Access::Owner, inbox)
        .get("/home/mail/{folder}", Access::Owner, folder)
        .post("/home/mail/listing", Access::Owner, save_listing)
        .merge(away::routes())
        .merge(chosen::routes())
        .merge(compose::routes())
        .merge(empty::routes())
        .merge(import::routes())
        .merge(keys::routes())
        .merge(leave::routes())
        .merge(message::routes())
        .merge(parts::routes())
        .merge(queue::routes())
        .merge(refused::routes())
        .merge(remote_pictures::routes())
        .merge(rules::routes())
        .merge(search::routes())
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

/// The folders and the list of messages beside the open message.
struct Sidebar {
    folder: u32,
    title: String,
    folders: Vec<FolderRow>,
    messages: Vec<MessageRow>,
    /// The text shown if the list is empty.
    empty_text: &'static str,
    /// The address of the next page; empty at the end.
    older: String,
    /// The page of the list; beside an open message the page from which it was opened.
    place: ListPlace,
    /// True if the list is by threads.
    by_threads: bool,
    /// True if single keys act.
    heeds_keys: bool,
    search: Search,
    /// The changes that are offered for several messages; `None` beside an open message.
    chooser: Option<Chooser>,
    /// Where the messages are that were moved away from this folder just now, to undo that.
    moved: Option<Moved>,
    /// The id in the queue of a message that was sent just now, to undo that.
    sent: Option<String>,
    /// The number of messages that wait to be sent.
    waiting: usize,
    /// True for the bin and for junk if there is anything in them.
    can_be_emptied: bool,
}

impl Sidebar {
    /// The address of the list with the row of the open message.
    fn back(&self) -> String {
        let row = self.messages.iter().find(|row| row.is_current);
        let anchor = row.map(|row| format!("#{}", row.anchor)).unwrap_or_default();
        format!("{}{anchor}", self.place.list(self.folder))
    }
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
    /// The messages that were moved away from this folder, as `folder.uid,uid`.
    #[serde(default)]
    moved: String,
    /// The id in the queue of the message that was sent.
    #[serde(default)]
    sent: String,
}

async fn inbox(
    State(site): State<Site>,
    owner: Owner,
    Query(query): Query<ListQuery>,
    done: Done,
) -> PageResult {
    let inbox = mailbox::special_folder(&site.node, SpecialUse::Inbox)?.ok_or(Problem::NotFound)?;
    folder(State(site), owner, Path(inbox.id.0), Query(query), done).await
}

async fn folder(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<u32>,
    Query(query): Query<ListQuery>,
    done: Done,
) -> PageResult {
    let sidebar = sidebar(&site, id, query.before, None).await?;
    let moved = chosen::moved(&site, &query.moved)?;
    let sidebar = Sidebar { moved, sent: queue::undoable(&site, &query.sent)?, ..sidebar };
    list_page(&site, sidebar, done)
}

/// A page with a list and no open message.
fn list_page(site: &Site, sidebar: Sidebar, done: Done) -> PageResult {
    let is_search = !sidebar.search.scope.is_empty();
    let title = if is_search { "Search" } else { &sidebar.title };
    let page = site.owner_layout(title, "Mail")?.saying(done);
    let mut response = response::page(&ListPage { page, sidebar })?;
    let policy = headers::PAGE_WITH_MAILBOX_POLICY.clone();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// The folders, and the messages of folder `id` with a UID below `before`; `open` is the UID of the
/// open message, around which the list is shown.
async fn sidebar(
    site: &Site,
    id: u32,
    before: Option<u32>,
    open: Option<u32>,
) -> Result<Sidebar, Problem> {
    let folders = mailbox::folders(&site.node)?;
    let current = folders.iter().find(|folder| folder.id.0 == id).ok_or(Problem::NotFound)?;
    // A draft is one letter, also if it answers another.
    let by_threads = mailbox::lists_threads(&site.node)?;
    let is_grouped = by_threads && current.special != Some(SpecialUse::Drafts);
    let listed = list::listed(site, current, before, open, is_grouped).await?;
    let empty_text =
        if before.is_some() { "That was all of it." } else { empty_text(current.special) };
    Ok(Sidebar {
        folder: id,
        title: current.title().to_owned(),
        empty_text,
        messages: listed.rows,
        older: listed.older.map(|uid| ListPlace { before: Some(uid) }.list(id)).unwrap_or_default(),
        place: ListPlace { before },
        by_threads,
        heeds_keys: mailbox::heeds_keys(&site.node)?,
        search: Search { folder: id, ..Search::default() },
        chooser: open.is_none().then(|| Chooser::of(current, &folders)),
        moved: None,
        sent: None,
        waiting: mailbox::queued_blobs(&site.node)?.len(),
        can_be_emptied: empty::is_purgeable(current.special) && current.total > 0,
        folders: folders.iter().map(|folder| folder_row(folder, id)).collect(),
    })
}

#[derive(Deserialize)]
struct ListingForm {
    /// `threads` or `letters`.
    by: String,
    folder: u32,
}

/// Sets whether folders are listed by threads.
async fn save_listing(
    State(site): State<Site>,
    _: Owner,
    Form(form): Form<ListingForm>,
) -> PageResult {
    let by_threads = match form.by.as_str() {
        "threads" => true,
        "letters" => false,
        _ => return Err(Problem::BadRequest),
    };
    mailbox::set_lists_threads(&site.node, by_threads).await?;
    Ok(response::see_other(&format!("/home/mail/{}", form.folder)))
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
