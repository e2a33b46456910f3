//! Going on with a draft: the form has its text, and the sent message replaces it.

use freehold_core::mailbox::{self, FolderId, SpecialUse, Summary};
use freehold_mime::{Content, Shown, content, header, people};

use super::{MessageForm, TEXT_LEN_MAX, reply_target};
use crate::mailbox::host_names::honest_address;
use crate::mailbox::message;
use crate::mailbox::parsed::{ParsedMessage, parsed};
use crate::problem::Problem;
use crate::site::Site;

/// The folder and the UID in the field `draft`, if a draft is there.
pub(super) fn place(site: &Site, field: &str) -> Result<Option<(u32, u32)>, Problem> {
    let Some((folder, uid)) = reply_target(field) else { return Ok(None) };
    let drafts = mailbox::special_folder(&site.node, SpecialUse::Drafts)?;
    let is_there = drafts.is_some_and(|drafts| drafts.id.0 == folder)
        && mailbox::message(&site.node, FolderId(folder), uid)?.is_some();
    Ok(is_there.then_some((folder, uid)))
}

/// The summary of the draft in the field, if it is there.
pub(super) fn summary(site: &Site, field: &str) -> Option<Summary> {
    let (folder, uid) = place(site, field).ok()??;
    message::find(site, folder, uid).ok().map(|(_, summary)| summary)
}

/// Whether the form can show all of a message: one plain text that is not too long, and no field
/// that the form lacks.
pub(in crate::mailbox) fn fits(message: &ParsedMessage) -> bool {
    let (bytes, structure) = (&message.bytes, &message.structure);
    let content = Content::of(bytes, structure);
    let is_text = match content.shown.as_slice() {
        [] => true,
        [Shown::Text(id)] => {
            let text = content::text_of(bytes, structure, *id, TEXT_LEN_MAX + 1);
            text.len() <= TEXT_LEN_MAX && content::embedded(bytes, structure, *id).is_empty()
        }
        _ => false,
    };
    let has_field = |name: &str| header::first(message.header(), name).is_some();
    is_text
        && content.files.is_empty()
        && content.related.is_empty()
        && !has_field("bcc")
        && !has_field("reply-to")
}

/// The fields of a draft.
#[derive(Default)]
struct Fields {
    to: String,
    cc: String,
    text: String,
}

impl Fields {
    fn of(message: &ParsedMessage) -> Option<Self> {
        if !fits(message) {
            return None;
        }
        let charset = content::main_charset(&message.structure);
        let typed = |name: &str| {
            let people = people::of(message.header(), name, charset.as_deref());
            let address = |person: &people::Person| honest_address(&person.address).into_owned();
            people.iter().map(address).collect::<Vec<_>>().join(", ")
        };
        let (bytes, structure) = (&message.bytes, &message.structure);
        let text = match Content::of(bytes, structure).shown.as_slice() {
            [Shown::Text(id)] => content::text_of(bytes, structure, *id, TEXT_LEN_MAX),
            _ => String::new(),
        };
        Some(Self { to: typed("to"), cc: typed("cc"), text })
    }
}

/// The form with the draft.
///
/// # Errors
/// [`Problem::NotFound`] if there is more in it than the form can show.
pub(super) async fn form(site: &Site, place: (u32, u32)) -> Result<MessageForm, Problem> {
    let (folder, uid) = place;
    let (message, summary) = message::find(site, folder, uid)?;
    let fields = parsed(site, &message, Fields::of).await?.flatten().ok_or(Problem::NotFound)?;
    Ok(MessageForm {
        to: fields.to,
        cc: fields.cc,
        subject: summary.subject,
        text: fields.text,
        draft: format!("{folder}.{uid}"),
        ..MessageForm::default()
    })
}

/// Deletes the draft that was sent. The message is queued already, so a failure is only logged.
pub(super) async fn delete(site: &Site, field: &str) {
    let Ok(Some((folder, uid))) = place(site, field) else { return };
    if let Err(error) = mailbox::delete_for_good(&site.node, FolderId(folder), &[uid]).await {
        tracing::warn!(%error, "a draft that was sent could not be deleted");
    }
}
