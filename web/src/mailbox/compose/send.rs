//! Sending the form: its message is queued, and its draft is deleted.

use axum::http::StatusCode;
use freehold_core::mailbox::queue::{QueueId, ReportRequest, SendLimits, SubmitError};
use freehold_core::mailbox::{
    self, FlagChange, Flags, FolderId, IdempotencyKey, SpecialUse, Submission,
};

use super::draft::{self, SaveError};
use super::form::{MessageForm, NewFile, Posted};
use super::gather::{self, Gathered};
use super::recipients::{self, Recipient};
use super::{from, outgoing, repeated, reply_target, send_back, send_back_with};
use crate::done::Done;
use crate::fault::Fault;
use crate::idempotency;
use crate::mailbox::mailto::Mailto;
use crate::mailbox::queue;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::site::Site;

/// The keyword of a message that was forwarded (RFC 5788 registry).
const FORWARDED: &str = "$Forwarded";

pub(super) async fn send(site: &Site, posted: Posted) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let id = submission_id(site, &posted.form, &posted.files);
    if !posted.form.draft.is_empty() && draft::place(site, &posted.form.draft)?.is_none() {
        // The form was sent twice, or the draft was changed in another window.
        return match is_submitted(site, id)? {
            true => sent(site, &posted.form, QueueId(id.0)).await,
            false => super::changed(site, posted.form).await,
        };
    }
    if is_submitted(site, id)? {
        // A second press of the button.
        return sent(site, &posted.form, QueueId(id.0)).await;
    }
    let (form, gathered) = gather::gather(site, posted, None).await?;
    let friends = recipients::known_friends(site)?;
    let to = recipients::complete(recipients::typed(&form.to), &friends);
    let cc = recipients::complete(recipients::typed(&form.cc), &friends);
    let all: Vec<Recipient> = to.iter().chain(&cc).cloned().collect();
    let has_files = !gathered.enclosures.is_empty() || gathered.fault.is_some();
    if let Some(fault) = outgoing::check(site, &profile, (&form, has_files), &all)? {
        return keep(site, form, gathered, fault).await;
    }
    let from = match from::address(site, &profile, &form.from)? {
        Ok(from) => from,
        Err(fault) => return keep(site, form, gathered, fault).await,
    };
    if let Some(fault) = repeated::check(site, &form, &all).await? {
        return keep(site, form, gathered, fault).await;
    }
    let undo_ms = site.mail.as_ref().map_or(0, |mail| mail.undo_ms);
    let at_once = site.node.clock.now().plus_millis(undo_ms);
    let not_before = match outgoing::later(&form, site.node.clock.now()) {
        Ok(later) => later.or((undo_ms > 0).then_some(at_once)),
        Err(fault) => return keep(site, form, gathered, fault).await,
    };
    if let Gathered { fault: Some(fault), enclosures, has_new } = gathered {
        let gathered = Gathered { fault: None, enclosures, has_new };
        return keep(site, form, gathered, fault).await;
    }
    let message = outgoing::message(site, (&profile, &from), &form, &to, &cc)?;
    let blob = match draft::stored(site, message, gathered.enclosures).await {
        Ok(blob) => blob,
        Err(error) => return not_saved(site, form, error).await,
    };
    let recipients = all.into_iter().map(|recipient| recipient.address.into()).collect();
    let request = ReportRequest::default();
    let limits = site.mail.as_ref().map_or(SendLimits::NONE, |mail| mail.limits);
    let submission =
        Submission { id, from, recipients, blob, copy_to_sent: true, request, limits, not_before };
    match mailbox::submit(&site.node, submission).await {
        Ok(id) => sent(site, &form, id).await,
        Err(SubmitError::Store(error)) => Err(error.into()),
        Err(error) => send_back(site, form, refusal(&error)).await,
    }
}

/// The key of a form: the same form sent again is sent once.
fn submission_id(site: &Site, form: &MessageForm, files: &[NewFile]) -> IdempotencyKey {
    let mut texts: Vec<&str> = vec![&form.to];
    // Without copies the id is that of the form without the field, so that a form that was opened
    // before an update is still recognised; likewise without files.
    if !form.cc.is_empty() {
        texts.push(&form.cc);
    }
    texts.extend([form.subject.as_str(), &form.text, &form.reply]);
    if !form.draft.is_empty() {
        texts.extend(["draft", &form.draft]);
    }
    texts.extend(form.take.iter().map(String::as_str));
    let id =
        |new: &NewFile| format!("{} {}", data_encoding::HEXLOWER.encode(&new.file.id.0), new.name);
    let ids: Vec<String> = files.iter().map(id).collect();
    texts.extend(ids.iter().map(String::as_str));
    IdempotencyKey(idempotency::id_for(site, &form.key, &texts))
}

/// Whether the form with this key was sent before.
fn is_submitted(site: &Site, id: IdempotencyKey) -> Result<bool, Problem> {
    let id = QueueId(id.0);
    let is_queued = mailbox::queue::item(&site.node, id)?.is_some();
    Ok(is_queued || mailbox::queue::sent_copy(&site.node, id)?.is_some())
}

/// Sends the form back with a fault. No page can fill in a file, so that new ones are saved with a
/// draft first.
async fn keep(site: &Site, form: MessageForm, gathered: Gathered, fault: Fault) -> PageResult {
    if !gathered.has_new {
        return send_back(site, form, fault).await;
    }
    match draft::save(site, &form, gathered.enclosures).await {
        Ok(place) => send_back(site, super::saved_form(form, place), fault).await,
        Err(error) => not_saved(site, form, error).await,
    }
}

/// The answer to a form that could not be saved.
pub(super) async fn not_saved(site: &Site, form: MessageForm, error: SaveError) -> PageResult {
    match error {
        SaveError::Changed => super::changed(site, form).await,
        SaveError::TooLarge => {
            let text = "The letter is too large with its files. Remove one and try again.";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            send_back_with(site, status, form, Fault::new("files", text)).await
        }
        SaveError::Problem(problem) => Err(problem),
    }
}

async fn sent(site: &Site, form: &MessageForm, id: QueueId) -> PageResult {
    mark(site, &form.reply, Flags::of(Flags::ANSWERED)).await;
    let forwarded = if form.forwarded.is_empty() { &form.forward } else { &form.forwarded };
    mark(site, forwarded, Flags { bits: 0, keywords: vec![FORWARDED.to_owned()] }).await;
    draft::delete(site, &form.draft).await;
    if mailbox::queue::item(&site.node, id)?.is_some_and(|item| item.held) {
        return Ok(response::see_other(&Done::MessageHeld.at("/home/mail/queue")));
    }
    if !form.later.trim().is_empty() {
        return Ok(response::see_other(&Done::MessageScheduled.at("/home/mail/queue")));
    }
    let sent = mailbox::special_folder(&site.node, SpecialUse::Sent)?.ok_or(Problem::NotFound)?;
    let undo = queue::undoable(site, &id.to_string())?.map(|id| format!("?sent={id}"));
    let list = format!("/home/mail/{}{}", sent.id.0, undo.unwrap_or_default());
    Ok(response::see_other(&Done::MessageSent.at(&list)))
}

/// Sends the message of a link, such as one that leaves a list, from the owner's address `from`, or
/// from the first one if it is empty. Its recipient, a stranger's choice, does not become a person
/// to whom the owner wrote.
///
/// # Errors
/// [`Problem::BadRequest`] if the link has no recipient to whom mail can be sent, or the address is
/// not the owner's (any more).
pub(in crate::mailbox) async fn send_mailto(
    site: &Site,
    id: IdempotencyKey,
    mailto: &Mailto,
    from: &str,
) -> Result<(), Problem> {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let from = from::address(site, &profile, from)?.map_err(|_| Problem::BadRequest)?;
    let to: Vec<Recipient> = recipients::typed(&mailto.to).into_iter().take(1).collect();
    if to.is_empty() || !to.iter().all(|to| recipients::is_address(&to.address)) {
        return Err(Problem::BadRequest);
    }
    let (subject, text) = (mailto.subject.clone(), mailto.text.clone());
    let form = MessageForm { subject, text, ..MessageForm::default() };
    let message = outgoing::message(site, (&profile, &from), &form, &to, &[])?;
    let blob = crate::blobs::put(site, message).await?;
    let submission = Submission {
        id,
        from,
        recipients: to.into_iter().map(|to| to.address.into()).collect(),
        blob,
        copy_to_sent: true,
        request: ReportRequest::default(),
        limits: site.mail.as_ref().map_or(SendLimits::NONE, |mail| mail.limits),
        not_before: None,
    };
    match mailbox::submit_request(&site.node, submission).await {
        Ok(_) => Ok(()),
        Err(SubmitError::Store(error)) => Err(error.into()),
        Err(_) => Err(Problem::BadRequest),
    }
}

fn refusal(error: &SubmitError) -> Fault {
    Fault::new("to", format!("The message was not sent: {error}. Nothing you typed is lost."))
}

/// Sets flags on the message that was answered or forwarded. The new one is queued already, so a
/// failure is only logged.
async fn mark(site: &Site, field: &str, flags: Flags) {
    if let Some((folder, uid)) = reply_target(field) {
        let change = FlagChange::Add(flags);
        if let Err(error) =
            mailbox::store_flags(&site.node, FolderId(folder), &[uid], change, None).await
        {
            tracing::warn!(%error, "an answered message could not be marked");
        }
    }
}
