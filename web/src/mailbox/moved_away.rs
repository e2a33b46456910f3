//! A message that was moved while a page of it was open: where it is now.
//!
//! A move gives a message a new UID in another folder (RFC 9051 6.4.8), so the address of the page
//! names nothing any more. The form therefore has a name that stays: thread and id of the message.

use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::{self, FolderId, Message, MessageId, SpecialUse, ThreadId};
use freehold_core::store::StoreError;

use crate::done::Done;
use crate::problem::Problem;
use crate::site::Site;

/// Most messages of a thread among which it is looked for.
const MEMBERS_MAX: usize = 5_000;

/// The name of a message in every folder, as `thread.id`; empty for one of an earlier version.
pub(super) fn lasting_name(site: &Site, message: &Message) -> Result<String, Problem> {
    let content = mailbox::content(&site.node, message)?;
    let name = content.and_then(|content| Some((content.thread?, content.id)));
    Ok(name.map(|(thread, id)| format!("{thread}.{id}")).unwrap_or_default())
}

/// The folders and UIDs of the messages with this name.
pub(super) async fn places(site: &Site, name: &str) -> Result<Vec<(FolderId, u32)>, Problem> {
    let parse = |name: &str| {
        let (thread, id) = name.split_once('.')?;
        Some((thread.parse::<ThreadId>().ok()?, id.parse::<MessageId>().ok()?))
    };
    let Some((thread, id)) = parse(name) else { return Ok(Vec::new()) };
    let node = site.node.clone();
    let look = move || {
        let mut places = Vec::new();
        for (folder, uid) in mailbox::thread_messages(&node, thread, MEMBERS_MAX)? {
            let Some(message) = mailbox::message(&node, folder, uid)? else { continue };
            let content = mailbox::content(&node, &message)?;
            if content.is_some_and(|content| content.id == id) {
                places.push((folder, uid));
            }
        }
        Ok::<_, StoreError>(places)
    };
    Ok(try_blocking(look).await?)
}

/// The line about a message that is no longer in its folder, and is at one of `places`.
pub(super) fn outcome(site: &Site, places: &[(FolderId, u32)]) -> Result<Done, Problem> {
    let Some((folder, _)) = places.first() else { return Ok(Done::Gone) };
    Ok(match mailbox::folder(&site.node, *folder)?.and_then(|folder| folder.special) {
        Some(SpecialUse::Inbox) => Done::GoneToInbox,
        Some(SpecialUse::Archive) => Done::GoneToArchive,
        Some(SpecialUse::Junk) => Done::GoneToJunk,
        Some(SpecialUse::Trash) => Done::GoneToTrash,
        _ => Done::GoneElsewhere,
    })
}
