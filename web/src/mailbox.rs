//! Mail in the browser: folders, a list of letters, one letter open beside it, and a plain form to
//! write one.

mod compose;
mod inside;
mod letter;
mod parts;
mod sanitise;
mod straighten;
mod tokens;

pub(crate) use parts::disposition;

use axum::extract::{Path, Query, State};
use freehold_core::mailbox::{self, Flags, Folder, FolderId, SpecialUse};
use serde::Deserialize;

use crate::answer::{self, Answer, Problem};
use crate::dates;
use crate::frame::Frame;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

/// How many letters a list shows at once.
const LIST_LEN: usize = 30;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail", Access::Owner, inbox)
        .get("/home/mail/{folder}", Access::Owner, folder)
        .merge(compose::routes())
        .merge(letter::routes())
        .merge(parts::routes())
}

/// A folder as the column at the left shows it.
struct FolderLine {
    id: u32,
    title: String,
    count: u32,
    /// Whether the count is of unread letters.
    is_unread: bool,
    is_current: bool,
}

/// A letter as the list shows it.
struct LetterLine {
    uid: u32,
    who: String,
    subject: String,
    preview: String,
    time: String,
    machine_time: String,
    is_unread: bool,
    is_current: bool,
    /// Whether it is the owner's own and has not reached everyone yet.
    is_waiting: bool,
}

/// Everything left of the open letter.
struct Office {
    folder: u32,
    title: String,
    folders: Vec<FolderLine>,
    letters: Vec<LetterLine>,
    /// What to say where there are no letters.
    nothing: &'static str,
    /// Where older letters begin.
    older: Option<u32>,
}

#[derive(askama::Template)]
#[template(path = "mailbox/list.html")]
struct ListPage {
    page: Frame,
    office: Office,
}

#[derive(Deserialize)]
struct Older {
    before: Option<u32>,
}

async fn inbox(State(site): State<Site>, owner: Owner) -> Answer {
    let inbox = mailbox::special_folder(&site.node, SpecialUse::Inbox)?.ok_or(Problem::NotFound)?;
    folder(State(site), owner, Path(inbox.id.0), Query(Older { before: None })).await
}

async fn folder(
    State(site): State<Site>,
    _: Owner,
    Path(id): Path<u32>,
    Query(query): Query<Older>,
) -> Answer {
    let office = office(&site, id, query.before, None)?;
    let page = site.home_frame(&office.title, "Mail")?;
    answer::page(&ListPage { page, office })
}

/// The folders, and the letters of one of them below `before`; `open` is the letter shown beside
/// them.
fn office(site: &Site, id: u32, before: Option<u32>, open: Option<u32>) -> Result<Office, Problem> {
    let found = mailbox::folders(&site.node)?;
    let current = found.iter().find(|folder| folder.id.0 == id).ok_or(Problem::NotFound)?;
    let is_outgoing = matches!(current.special, Some(SpecialUse::Sent | SpecialUse::Drafts));
    let now = site.node.clock.now();
    let listed = mailbox::summaries(&site.node, FolderId(id), before, LIST_LEN)?;
    let older =
        (listed.len() == LIST_LEN).then(|| listed.last().map(|(message, _)| message.uid)).flatten();
    let out = if current.special == Some(SpecialUse::Sent) {
        mailbox::queued_blobs(&site.node)?
    } else {
        Vec::new()
    };
    let letters = listed.into_iter().map(|(message, summary)| {
        let other = if is_outgoing { summary.to.first() } else { Some(&summary.from) };
        let who = other
            .map(|person| person.shown())
            .filter(|shown| !shown.is_empty())
            .unwrap_or("Nobody named")
            .to_owned();
        LetterLine {
            uid: message.uid,
            who,
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
            is_waiting: out.contains(&message.blob),
        }
    });
    let (title, letters): (_, Vec<_>) = (current.title().to_owned(), letters.collect());
    let nothing =
        if before.is_some() { "That was all of it." } else { nothing_in(current.special) };
    Ok(Office {
        folder: id,
        title,
        nothing,
        folders: found.iter().map(|folder| line(folder, id)).collect(),
        letters,
        older,
    })
}

/// What an empty folder is for.
fn nothing_in(special: Option<SpecialUse>) -> &'static str {
    match special {
        Some(SpecialUse::Inbox) => "Nothing here. What is sent to you arrives in this folder.",
        Some(SpecialUse::Drafts) => {
            "Nothing unfinished. What a mail program saves before it is sent lies here."
        }
        Some(SpecialUse::Sent) => "Nothing sent yet. A copy of each letter you send is kept here.",
        Some(SpecialUse::Junk) => "No junk. What you call so is put here.",
        Some(SpecialUse::Trash) => "The bin is empty.",
        Some(SpecialUse::Archive) => {
            "Nothing kept yet. “Keep” puts a letter here, out of the inbox."
        }
        None => "Nothing in this folder yet.",
    }
}

fn line(folder: &Folder, current: u32) -> FolderLine {
    // Of unfinished letters all count; of junk and the bin none is worth a look.
    let (count, is_unread) = match folder.special {
        Some(SpecialUse::Drafts) => (folder.total, false),
        Some(SpecialUse::Junk | SpecialUse::Trash | SpecialUse::Sent) => (0, false),
        _ => (folder.unseen, true),
    };
    FolderLine {
        id: folder.id.0,
        title: folder.title().to_owned(),
        count,
        is_unread,
        is_current: folder.id.0 == current,
    }
}
