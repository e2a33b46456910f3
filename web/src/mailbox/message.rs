//! One message: sender, recipients, text, attachments, and the actions on it.

mod open;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, header};
use freehold_core::mailbox::{
    self, FlagChange, FlagError, Flags, FolderId, Message, SpecialUse, Summary, TransferError,
};
use serde::Deserialize;

use self::open::{OpenMessage, open_message};
use super::blocks::Block;
use super::leave::LeavingWay;
use super::list_place::{ListPlace, with_field};
use super::moved_away;
use super::parts::PicturesQuery;
use super::picture_senders::{AlwaysPictures, NotOffered};
use super::proof::Proof;
use super::remote_pictures;
use super::thread::Thread;
use super::throw_away;
use super::{Sidebar, sidebar};
use crate::done::Done;
use crate::headers;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

pub(in crate::mailbox) use open::{ShownBlock, shown};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/{folder}/{uid}", Access::Owner, show)
        .post("/home/mail/{folder}/{uid}/move", Access::Owner, move_to)
        .post("/home/mail/{folder}/{uid}/unread", Access::Owner, mark_unread)
}

#[derive(Template)]
#[template(path = "mailbox/message.html")]
struct MessagePage {
    page: Layout,
    sidebar: Sidebar,
    message: OpenMessage,
    /// The name of the message that stays when it is moved.
    lasting_name: String,
    /// The other messages of its thread.
    thread: Thread,
}

async fn show(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
    Query(query): Query<PicturesQuery>,
    Query(place): Query<ListPlace>,
    headers: HeaderMap,
    done: Done,
) -> PageResult {
    let (message, summary) = find(&site, folder, uid)?;
    // A link on another site must not mark a message as read.
    let is_elsewhere = is_from_elsewhere(&headers);
    if !is_elsewhere {
        match change_flags(&site, &message, FlagChange::Add(Flags::of(Flags::SEEN))).await {
            // A disk that can't be written must not prevent reading.
            Err(FlagError::Store(error)) if error.is_refusal() => {}
            changed => changed?,
        }
    }
    let thread = Thread::of(&site, &message).await?;
    if !is_elsewhere {
        thread.mark_read(&site).await?;
    }
    let lasting_name = moved_away::lasting_name(&site, &message)?;
    let sidebar = Sidebar { place, ..sidebar(&site, folder, None, Some(uid)).await? };
    let message = open_message(&site, &message, summary).await?;
    let is_granted = remote_pictures::is_granted(&site, (folder, uid), &query.pictures);
    let pictures = match is_granted {
        true => query.pictures,
        // A link on another site must not tell the sender that it was followed.
        false if message.always_pictures.is_chosen() && message.has_remote() && !is_elsewhere => {
            site.remote_pictures.grant(&site, (folder, uid))
        }
        false => String::new(),
    };
    let message = OpenMessage { pictures, ..message };
    let page = site.owner_layout(&message.subject, "Mail")?.saying(done);
    let mut response =
        response::page(&MessagePage { page, sidebar, message, lasting_name, thread })?;
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, headers::PAGE_WITH_MESSAGE_POLICY.clone());
    Ok(response)
}

/// Whether a page of another site led here.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    matches!(site, Some(b"cross-site" | b"same-site"))
}

/// The message and its summary.
///
/// # Errors
/// [`Problem::NotFound`] if the folder has no message of this UID.
pub(super) fn find(site: &Site, folder: u32, uid: u32) -> Result<(Message, Summary), Problem> {
    let message = mailbox::message(&site.node, FolderId(folder), uid)?.ok_or(Problem::NotFound)?;
    let summary = mailbox::summary(&site.node, FolderId(folder), uid)?.unwrap_or_default();
    Ok((message, summary))
}

/// The folders to which a message can be moved from its folder: form value and label.
pub(super) fn targets(from: Option<SpecialUse>) -> Vec<(&'static str, &'static str)> {
    match from {
        Some(SpecialUse::Junk) => vec![("inbox", "Not junk"), ("trash", "Throw away")],
        Some(SpecialUse::Trash) => vec![("inbox", "Take back")],
        Some(SpecialUse::Archive) => vec![("inbox", "Back to the inbox"), ("trash", "Throw away")],
        Some(SpecialUse::Sent | SpecialUse::Drafts) => vec![("trash", "Throw away")],
        Some(SpecialUse::Inbox) | None => {
            vec![("archive", "Keep"), ("junk", "Junk"), ("trash", "Throw away")]
        }
    }
}

async fn change_flags(site: &Site, message: &Message, change: FlagChange) -> Result<(), FlagError> {
    mailbox::store_flags(&site.node, message.folder, &[message.uid], change, None).await.map(drop)
}

async fn mark_unread(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
    Form(place): Form<ListPlace>,
) -> PageResult {
    let (message, _) = find(&site, folder, uid)?;
    change_flags(&site, &message, FlagChange::Remove(Flags::of(Flags::SEEN))).await?;
    Ok(response::see_other(&Done::MarkedUnread.at(&place.list(folder))))
}

#[derive(Deserialize)]
struct MoveForm {
    /// The name of a special folder, or the number of any folder.
    to: String,
    /// The name of the message that stays when it is moved; empty in the form of an undo.
    #[serde(default)]
    letter: String,
    /// The page of the list from which it was opened.
    before: Option<u32>,
}

async fn move_to(
    State(site): State<Site>,
    _: Owner,
    Path((folder, uid)): Path<(u32, u32)>,
    Form(form): Form<MoveForm>,
) -> PageResult {
    let special = |special| mailbox::special_folder(&site.node, special);
    let (target, done) = match form.to.as_str() {
        "inbox" => (special(SpecialUse::Inbox)?, Done::MovedToInbox),
        "archive" => (special(SpecialUse::Archive)?, Done::MovedToArchive),
        "junk" => (special(SpecialUse::Junk)?, Done::MovedToJunk),
        "trash" => (special(SpecialUse::Trash)?, Done::MovedToTrash),
        id => {
            let id = id.parse().map_err(|_| Problem::BadRequest)?;
            (mailbox::folder(&site.node, FolderId(id))?, Done::Moved)
        }
    };
    let target = target.ok_or(Problem::NotFound)?.id;
    let place = ListPlace { before: form.before };
    if done == Done::MovedToTrash
        && let Some((list, moved, done)) = throw_away::one(&site, (folder, uid), target).await?
    {
        let place = if list == folder { place } else { ListPlace::default() };
        let undo = format!("moved={}.{moved}", target.0);
        return Ok(response::see_other(&done.at(&with_field(&place.list(list), &undo))));
    }
    let with_undo = |uid: u32| {
        let list = with_field(&place.list(folder), &format!("moved={}.{uid}", target.0));
        response::see_other(&done.at(&list))
    };
    match mailbox::move_messages(&site.node, FolderId(folder), &[uid], target).await {
        // A second press of an undo.
        Ok(moved) if moved.is_empty() && done == Done::Moved && form.letter.is_empty() => {
            Ok(response::see_other(&place.list(folder)))
        }
        Ok(moved) if moved.is_empty() => {
            let places = moved_away::places(&site, &form.letter).await?;
            // A second press of the button.
            if let Some((_, uid)) = places.iter().find(|(folder, _)| *folder == target) {
                return Ok(with_undo(*uid));
            }
            let outcome = moved_away::outcome(&site, &places)?;
            let page = match (outcome, places.first()) {
                (Done::GoneElsewhere, Some((folder, uid))) => {
                    format!("/home/mail/{}/{uid}", folder.0)
                }
                _ => place.list(folder),
            };
            Ok(response::see_other(&outcome.at(&page)))
        }
        // An undo leads to the folder in which the message is again.
        Ok(_) if done == Done::Moved => Ok(response::see_other(&done.at(&place.list(target.0)))),
        Ok(moved) => Ok(match moved.first() {
            Some((_, new)) => with_undo(*new),
            None => response::see_other(&done.at(&place.list(folder))),
        }),
        Err(TransferError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::NotFound),
    }
}
