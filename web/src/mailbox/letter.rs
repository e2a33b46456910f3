//! One letter: who, how, its words, its files, and what can be done with it.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::header;
use freehold_core::mailbox::queue::RecipientState;
use freehold_core::mailbox::{
    self, FlagChange, Flags, FolderId, Message, SpecialUse, Summary, TransferError,
};
use freehold_core::store::StoreError;
use mail_parser::Address;
use serde::Deserialize;

use super::parts::{self, Words};
use super::{Office, office};
use crate::answer::{self, Answer, Problem};
use crate::doors::PersonDoor;
use crate::frame::Frame;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;
use crate::{dates, headers};

/// A letter that was written so long before or after it came has its own date shown.
const WRITTEN_APART_MS: u64 = 60 * 60 * 1000;
/// How many recipients are named before "and others".
const NAMED_MAX: usize = 4;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/{folder}/{uid}", Access::Owner, show)
        .post("/home/mail/{folder}/{uid}/move", Access::Owner, carry)
        .post("/home/mail/{folder}/{uid}/unread", Access::Owner, unread)
}

/// A file that came with a letter.
pub(super) struct File {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) size: String,
}

/// The open letter.
struct Letter {
    uid: u32,
    subject: String,
    door: PersonDoor,
    name: String,
    address: String,
    to: String,
    when: String,
    machine_time: String,
    words: Words,
    files: Vec<File>,
    /// When it says it was written, if that is not when it came.
    written: Option<String>,
    /// Whether it is one that the owner sent, or is writing.
    is_own: bool,
    /// How far it is on its way out, a sentence each; nothing once it is done.
    waiting: Vec<String>,
    /// Where it can be put: the title of the folder, the word for it.
    places: Vec<(&'static str, &'static str)>,
}

#[derive(Template)]
#[template(path = "mailbox/letter.html")]
struct LetterPage {
    page: Frame,
    office: Office,
    letter: Letter,
}

async fn show(State(site): State<Site>, _: Owner, Path((folder, uid)): Path<(u32, u32)>) -> Answer {
    let (message, summary) = found(&site, folder, uid)?;
    mark(&site, &message, FlagChange::Add(Flags::of(Flags::SEEN))).await?;
    let office = office(&site, folder, uid.checked_add(super::LIST_LEN as u32 / 2), Some(uid))?;
    let letter = letter(&site, &message, summary).await?;
    let page = site.home_frame(&letter.subject, "Mail")?;
    let mut response = answer::page(&LetterPage { page, office, letter })?;
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, headers::PAGE_WITH_LETTER_POLICY);
    Ok(response)
}

/// The message and what lists show of it; not there is not found.
pub(super) fn found(site: &Site, folder: u32, uid: u32) -> Result<(Message, Summary), Problem> {
    let message = mailbox::message(&site.node, FolderId(folder), uid)?.ok_or(Problem::NotFound)?;
    let summary = mailbox::summary(&site.node, FolderId(folder), uid)?.unwrap_or_default();
    Ok((message, summary))
}

async fn letter(site: &Site, message: &Message, summary: Summary) -> Result<Letter, Problem> {
    let now = site.node.clock.now();
    let nobody = || "nobody named".to_owned();
    let inside = parts::taken_apart(site, message, move |parsed| {
        (parsed.to().map_or_else(nobody, recipients), parts::words(parsed), parts::files(parsed))
    });
    let (to, words, files) =
        inside.await?.unwrap_or_else(|| (nobody(), Words::TooLong, Vec::new()));
    let special = mailbox::folder(&site.node, message.folder)?.and_then(|folder| folder.special);
    let name = Some(summary.from.shown())
        .filter(|shown| !shown.is_empty())
        .unwrap_or("Nobody named")
        .to_owned();
    Ok(Letter {
        uid: message.uid,
        subject: if summary.subject.is_empty() { "No subject".to_owned() } else { summary.subject },
        door: PersonDoor::of(&name, summary.from.address.to_ascii_lowercase().as_bytes()),
        address: if summary.from.address == name { String::new() } else { summary.from.address },
        name,
        to,
        when: dates::ago(message.internal_date, now),
        machine_time: dates::machine(message.internal_date),
        words,
        files,
        written: summary
            .date
            .filter(|date| date.0.abs_diff(message.internal_date.0) > WRITTEN_APART_MS)
            .map(dates::long),
        is_own: matches!(special, Some(SpecialUse::Sent | SpecialUse::Drafts)),
        waiting: if special == Some(SpecialUse::Sent) {
            waiting(site, message)?
        } else {
            Vec::new()
        },
        places: places(special),
    })
}

fn recipients(to: &Address<'_>) -> String {
    let mut named: Vec<&str> = to
        .iter()
        .filter_map(|person| person.name().or_else(|| person.address()))
        .take(NAMED_MAX + 1)
        .collect();
    let more = named.len() > NAMED_MAX;
    named.truncate(NAMED_MAX);
    if more { format!("{} and others", named.join(", ")) } else { named.join(", ") }
}

/// Who has not got a letter of the owner's yet, and why.
fn waiting(site: &Site, message: &Message) -> Result<Vec<String>, Problem> {
    let Some(outgoing) = mailbox::queued_with_blob(&site.node, &message.blob)? else {
        return Ok(Vec::new());
    };
    let now = site.node.clock.now();
    let said = |reply: &str| {
        if reply.is_empty() { String::new() } else { format!(" The answer: “{reply}”.") }
    };
    let state = outgoing.recipients.iter().map(|to| match to.state {
        RecipientState::Delivered => format!("Delivered to {}.", to.address),
        RecipientState::Failed => {
            format!("Not delivered to {}.{}", to.address, said(&to.last_reply))
        }
        RecipientState::Waiting if to.attempts == 0 => format!("Setting off to {}.", to.address),
        RecipientState::Waiting if to.next_attempt <= now => {
            format!("Trying {} again now.{}", to.address, said(&to.last_reply))
        }
        RecipientState::Waiting => {
            let minutes = to.next_attempt.millis_since(now).div_ceil(60_000);
            let when = if minutes == 1 {
                "in a minute".to_owned()
            } else {
                format!("in {minutes} minutes")
            };
            format!("Waiting to reach {}; tried again {when}.{}", to.address, said(&to.last_reply))
        }
    });
    Ok(state.collect())
}

/// Where a letter can be put from the folder it lies in.
fn places(from: Option<SpecialUse>) -> Vec<(&'static str, &'static str)> {
    match from {
        Some(SpecialUse::Junk) => vec![("inbox", "Not junk"), ("bin", "Throw away")],
        Some(SpecialUse::Trash) => vec![("inbox", "Take back")],
        Some(SpecialUse::Archive) => vec![("inbox", "Back to the inbox"), ("bin", "Throw away")],
        Some(SpecialUse::Sent | SpecialUse::Drafts) => vec![("bin", "Throw away")],
        Some(SpecialUse::Inbox) | None => {
            vec![("kept", "Keep"), ("junk", "Junk"), ("bin", "Throw away")]
        }
    }
}

async fn mark(site: &Site, message: &Message, change: FlagChange) -> Result<(), Problem> {
    match mailbox::store_flags(&site.node, message.folder, &[message.uid], change, None).await {
        // A full disk keeps nobody from reading.
        Ok(_) | Err(mailbox::FlagError::Store(StoreError::Full)) => Ok(()),
        Err(mailbox::FlagError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}

async fn unread(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
) -> Answer {
    let (message, _) = found(&site, folder, uid)?;
    mark(&site, &message, FlagChange::Remove(Flags::of(Flags::SEEN))).await?;
    Ok(answer::see(&format!("/home/mail/{folder}")))
}

#[derive(Deserialize)]
struct Place {
    to: String,
}

async fn carry(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
    Form(place): Form<Place>,
) -> Answer {
    let special = match place.to.as_str() {
        "inbox" => SpecialUse::Inbox,
        "kept" => SpecialUse::Archive,
        "junk" => SpecialUse::Junk,
        "bin" => SpecialUse::Trash,
        _ => return Err(Problem::BadRequest),
    };
    let to = mailbox::special_folder(&site.node, special)?.ok_or(Problem::NotFound)?;
    match mailbox::move_messages(&site.node, FolderId(folder), &[uid], to.id).await {
        Ok(_) => Ok(answer::see(&format!("/home/mail/{folder}"))),
        Err(TransferError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}
