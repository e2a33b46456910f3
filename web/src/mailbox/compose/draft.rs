//! Drafts: messages in the folder Drafts, so that every mail program sees them.
//!
//! Each time the form is saved, a message replaces the draft in one commit. The UID in the form
//! names the version that the form was made of: if it is gone, the draft was changed elsewhere, and
//! the form is not saved over it. The files of a draft are its parts. Nothing else refers to a file
//! that was uploaded, so that none is left behind.

use std::ops::Range;

use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::{
    self, Delivery, Flags, FolderId, IdempotencyKey, Message, ReplaceError, SpecialUse, Summary,
};
use freehold_core::profile;
use freehold_core::store::StoreError;
use freehold_mime::{Content, Kind, Shown, Structure, content, header, people};

use super::enclosures::{self, Enclosure};
use super::form::MessageForm;
use super::recipients::{self, is_address};
use super::{TEXT_LEN_MAX, conversation, form_state, message_len_max, outgoing, reply_target};
use crate::idempotency;
use crate::mailbox::file_names::saved_name;
use crate::mailbox::host_names::honest_address;
use crate::mailbox::message;
use crate::mailbox::parsed::{ParsedMessage, parsed};
use crate::problem::Problem;
use crate::site::Site;
use crate::sizes::size;

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

/// A file of a draft, in the list of the form.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) size: String,
    /// The bytes of its part with the header.
    range: Range<usize>,
}

impl Listed {
    /// The bytes that it takes in the draft.
    pub(super) fn len(&self) -> u64 {
        self.range.len() as u64
    }
}

/// The text of a draft and its files; `None` if the form can't show all of it.
fn parts(message: &ParsedMessage) -> Option<(String, Vec<Listed>)> {
    let (bytes, structure) = (&message.bytes, &message.structure);
    let has_field = |name: &str| header::first(message.header(), name).is_some();
    if has_field("bcc") || has_field("reply-to") {
        return None;
    }
    let root = structure.part(Structure::ROOT);
    let (text, files) = match root.kind {
        Kind::Multipart if root.media.is("multipart", Some("mixed")) => {
            let mut parts = structure.children(Structure::ROOT);
            (parts.next()?, parts.collect())
        }
        _ => (Structure::ROOT, Vec::new()),
    };
    let content = Content::of(bytes, structure);
    let part = structure.part(text);
    let is_text = part.kind == Kind::Leaf
        && part.media.is("text", Some("plain"))
        && !content.files.contains(&text)
        && !content.shown.iter().any(|shown| matches!(shown, Shown::Html(_)));
    let read = content::text_of(bytes, structure, text, TEXT_LEN_MAX + 1);
    if !is_text || read.len() > TEXT_LEN_MAX || files.len() > enclosures::ENCLOSED_MAX {
        return None;
    }
    if !content::embedded(bytes, structure, text).is_empty() {
        return None;
    }
    let file = |id| {
        let part = structure.part(id);
        let len = match part.kind {
            Kind::Leaf => structure.decoded(bytes, id).bytes.len(),
            Kind::Message | Kind::Multipart => part.body.len(),
        };
        Listed {
            name: saved_name(message, id),
            size: size(len as u64),
            range: part.header.start..part.body.end,
        }
    };
    Some((read, files.into_iter().map(file).collect()))
}

/// The text of a message that the form can show.
pub(super) fn text(message: &ParsedMessage) -> Option<String> {
    parts(message).map(|(text, _)| text)
}

/// Whether the form can show all of a message: one plain text that is not too long, files, and no
/// field that the form lacks.
pub(in crate::mailbox) fn fits(message: &ParsedMessage) -> bool {
    parts(message).is_some()
}

/// The fields of a draft and its files.
fn fields(message: &ParsedMessage) -> Option<(MessageForm, Vec<Listed>)> {
    let (text, files) = parts(message)?;
    let mut form = form_state::read(message.header());
    let charset = content::main_charset(&message.structure);
    for (name, typed) in [("to", &mut form.to), ("cc", &mut form.cc)] {
        let people = people::of(message.header(), name, charset.as_deref());
        let address = |person: &people::Person| honest_address(&person.address).into_owned();
        let named: Vec<String> = people.iter().map(address).collect();
        // Another program may have changed the draft.
        let mut kept = recipients::typed(typed);
        kept.retain(|recipient| is_address(&recipient.address));
        let is_same = named.iter().all(|address| {
            kept.is_empty() || kept.iter().any(|kept| kept.address.eq_ignore_ascii_case(address))
        });
        if typed.is_empty() || !is_same {
            *typed = named.join(", ");
        }
    }
    let from = people::first(message.header(), "from", charset.as_deref());
    form.from = from.into_iter().next().map(|author| author.address).unwrap_or_default();
    form.text = text.replace("\r\n", "\n");
    Some((form, files))
}

/// The form with the draft, and the draft's files.
///
/// # Errors
/// [`Problem::NotFound`] if there is more in it than the form can show.
pub(super) async fn form(
    site: &Site,
    place: (u32, u32),
) -> Result<(MessageForm, Vec<Listed>), Problem> {
    let (folder, uid) = place;
    let (message, summary) = message::find(site, folder, uid)?;
    let read = parsed(site, &message, fields).await?.flatten();
    let (form, files) = read.ok_or(Problem::NotFound)?;
    let draft = format!("{folder}.{uid}");
    let form = MessageForm { subject: summary.subject.clone(), draft, ..form };
    // The message that it answers may have been moved.
    let answered = reply_target(&form.reply)
        .and_then(|(folder, uid)| message::find(site, folder, uid).ok())
        .and_then(|(_, answered)| answered.message_id);
    let reply = if answered == summary.in_reply_to { form.reply } else { String::new() };
    let references = conversation::of_draft(&summary);
    Ok((MessageForm { reply, references, ..form }, files))
}

/// The files of the draft in the field; none without a draft.
pub(super) async fn files(site: &Site, field: &str) -> Result<Vec<Listed>, Problem> {
    match place(site, field)? {
        Some(place) => Ok(form(site, place).await?.1),
        None => Ok(Vec::new()),
    }
}

/// The files of the draft in the field but for the one of number `without`, to be kept.
pub(super) async fn kept(
    site: &Site,
    field: &str,
    without: Option<usize>,
) -> Result<Vec<Enclosure>, Problem> {
    let Some((folder, uid)) = place(site, field)? else { return Ok(Vec::new()) };
    let (message, _) = message::find(site, folder, uid)?;
    let listed = form(site, (folder, uid)).await?.1;
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let blob = pinned(site, &message).await?;
    let kept = listed.into_iter().enumerate().filter(|(number, _)| Some(*number) != without);
    Ok(kept
        .map(|(_, file)| {
            let range = file.range.start as u64..file.range.end as u64;
            Enclosure::kept(blob.clone(), range)
        })
        .collect())
}

/// The bytes of a stored message, kept while they are copied.
///
/// # Errors
/// [`Problem::NotFound`] if the message is gone.
pub(super) async fn pinned(
    site: &Site,
    message: &Message,
) -> Result<freehold_core::blobs::Pinned, Problem> {
    let content = mailbox::content(&site.node, message)?.ok_or(Problem::NotFound)?;
    let blobs = site.node.blobs.clone();
    Ok(try_blocking(move || blobs.pin(&content.blob)).await?)
}

/// Why a form was not saved.
pub(super) enum SaveError {
    /// The draft was changed, sent or thrown away since the form was made of it.
    Changed,
    /// It has more bytes than a message may have.
    TooLarge,
    Problem(Problem),
}

impl From<Problem> for SaveError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for SaveError {
    fn from(error: StoreError) -> Self {
        Self::Problem(error.into())
    }
}

/// Saves the form as a draft: over the one that it was made of, or as a new one. Gives the place of
/// the draft. The same form sent again is saved once.
pub(super) async fn save(
    site: &Site,
    form: &MessageForm,
    enclosures: Vec<Enclosure>,
) -> Result<(u32, u32), SaveError> {
    let drafts = mailbox::special_folder(&site.node, SpecialUse::Drafts)?;
    let drafts = drafts.ok_or(Problem::NotFound)?.id;
    let ids: Vec<String> = enclosures.iter().map(Enclosure::id).collect();
    let mut texts: Vec<&str> = vec!["draft", &form.to, &form.cc, &form.subject, &form.text];
    texts.extend([form.from.as_str(), &form.later, &form.draft]);
    texts.extend(ids.iter().map(String::as_str));
    let id = IdempotencyKey(idempotency::id_for(site, &form.key, &texts));
    // Also where the first answer was lost and the draft has been replaced already.
    if let Some((folder, uid)) = mailbox::delivered_to(&site.node, id)? {
        return Ok((folder.0, uid));
    }
    let replaced = match place(site, &form.draft)? {
        None if !form.draft.is_empty() => return Err(SaveError::Changed),
        replaced => replaced,
    };
    let blob = write(site, form, enclosures).await?;
    let delivery = |id| Delivery {
        folder: drafts,
        blob: blob.clone(),
        id,
        internal_date: site.node.clock.now(),
        flags: Flags::of(Flags::SEEN | Flags::DRAFT),
    };
    let (saved, uid) = match replaced {
        Some((folder, uid)) => {
            let new = delivery(id);
            match mailbox::replace(&site.node, new, FolderId(folder), uid).await {
                Ok(saved) => (saved.folder.0, saved.uid),
                Err(ReplaceError::Expunged) => return Err(SaveError::Changed),
                Err(ReplaceError::Deliver(error)) => return Err(problem(error).into()),
            }
        }
        None => {
            let saved = mailbox::deliver(&site.node, delivery(id)).await.map_err(problem)?;
            (saved.folder.0, saved.uid)
        }
    };
    if mailbox::message(&site.node, FolderId(saved), uid)?.is_some() {
        return Ok((saved, uid));
    }
    // A draft of the same form and text was thrown away before.
    let new = delivery(IdempotencyKey::new(&site.node));
    let saved = mailbox::deliver(&site.node, new).await.map_err(problem)?;
    Ok((saved.folder.0, saved.uid))
}

fn problem(error: mailbox::DeliverError) -> Problem {
    match error {
        mailbox::DeliverError::Store(error) => error.into(),
        error => Problem::Internal(error.to_string()),
    }
}

/// Writes the message of a draft.
async fn write(
    site: &Site,
    form: &MessageForm,
    enclosures: Vec<Enclosure>,
) -> Result<freehold_core::blobs::Pinned, SaveError> {
    let owner = site.profile()?.ok_or(Problem::NotFound)?;
    let from = match form.from.as_str() {
        "" => profile::address(&owner),
        from if is_address(from) => from.to_owned(),
        _ => return Err(Problem::BadRequest.into()),
    };
    let friends = recipients::known_friends(site)?;
    let named = |field: &str| {
        let mut named = recipients::complete(recipients::typed(field), &friends);
        named.retain(|recipient| is_address(&recipient.address));
        named
    };
    let (to, cc) = (named(&form.to), named(&form.cc));
    let message = outgoing::message(site, (&owner, &from), form, &to, &cc)?;
    let text = [form_state::field(form).into_bytes(), message].concat();
    stored(site, text, enclosures).await
}

/// Stores a message with enclosures.
///
/// # Errors
/// [`SaveError::TooLarge`], or the store's.
pub(super) async fn stored(
    site: &Site,
    text: Vec<u8>,
    enclosures: Vec<Enclosure>,
) -> Result<freehold_core::blobs::Pinned, SaveError> {
    let (node, len_max) = (site.node.clone(), message_len_max(site));
    match try_blocking(move || enclosures::write(&node, &text, &enclosures, len_max)).await {
        Err(StoreError::TooLarge { .. }) => Err(SaveError::TooLarge),
        stored => Ok(stored?),
    }
}

/// Deletes the draft that was sent. The message is queued already, so a failure is only logged.
pub(super) async fn delete(site: &Site, field: &str) {
    let Ok(Some((folder, uid))) = place(site, field) else { return };
    if let Err(error) = mailbox::delete_for_good(&site.node, FolderId(folder), &[uid]).await {
        tracing::warn!(%error, "a draft that was sent could not be deleted");
    }
}
