//! The form that writes a message or a reply.

mod outgoing;

use std::borrow::Cow;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use freehold_core::mailbox::queue::SubmitError;
use freehold_core::mailbox::{
    self, FlagChange, Flags, FolderId, IdempotencyKey, SpecialUse, Submission,
};
use freehold_core::profile;
use serde::Deserialize;

use super::message;
use super::parsed::parsed;
use crate::blobs;
use crate::fault::Fault;
use crate::idempotency;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

/// The longest text, in bytes.
const TEXT_LEN_MAX: usize = 1024 * 1024;
/// The longest form, in bytes: each byte of the text may be sent as three (`%0A`), and the other
/// fields are short.
const FORM_LEN_MAX: usize = 3 * TEXT_LEN_MAX + 64 * 1024;
/// How much of the original message a reply quotes, in bytes.
const QUOTED_LEN_MAX: usize = 4000;

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/mail/write", Access::Owner, show).post_up_to(
        FORM_LEN_MAX,
        "/home/mail/write",
        Access::Owner,
        send,
    )
}

/// The form's fields.
#[derive(Clone, Default, Deserialize)]
struct MessageForm {
    #[serde(default)]
    to: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    text: String,
    /// `folder.uid` of the message to which this replies.
    #[serde(default)]
    reply: String,
    /// The idempotency key.
    #[serde(default)]
    key: String,
}

#[derive(Template)]
#[template(path = "mailbox/compose.html")]
struct ComposePage {
    page: Layout,
    form: MessageForm,
    fault: Option<Fault>,
}

impl ComposePage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

/// The folder and the UID in the field `reply`.
fn reply_target(reply: &str) -> Option<(u32, u32)> {
    let (folder, uid) = reply.split_once('.')?;
    Some((folder.parse().ok()?, uid.parse().ok()?))
}

async fn show(State(site): State<Site>, _: Owner, Query(query): Query<MessageForm>) -> PageResult {
    let form = match reply_target(&query.reply) {
        Some((folder, uid)) => reply_form(&site, folder, uid).await?,
        None => query,
    };
    let form = MessageForm { key: idempotency::new_key(&site), ..form };
    response::page(&ComposePage { page: site.owner_layout("Write", "Mail")?, form, fault: None })
}

async fn reply_form(site: &Site, folder: u32, uid: u32) -> Result<MessageForm, Problem> {
    let (message, summary) = message::find(site, folder, uid)?;
    let text = parsed(site, &message, |parsed| parsed.body_text(0).map(Cow::into_owned));
    let mut text = text.await?.flatten().unwrap_or_default();
    text.truncate(text.floor_char_boundary(QUOTED_LEN_MAX));
    let quoted: String = text.trim_end().lines().map(|line| format!("> {line}\n")).collect();
    let is_reply = summary.subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    Ok(MessageForm {
        to: summary.from.address.clone(),
        subject: if is_reply {
            summary.subject.clone()
        } else {
            format!("Re: {}", summary.subject)
        },
        text: format!("\n\n{} wrote:\n{quoted}", summary.from.shown()),
        reply: format!("{folder}.{uid}"),
        key: String::new(),
    })
}

async fn send(State(site): State<Site>, _: Owner, Form(form): Form<MessageForm>) -> PageResult {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let recipients = outgoing::addresses(&form.to);
    if let Some(fault) = outgoing::check(&site, &profile, &form, &recipients)? {
        return send_back(&site, form, fault);
    }
    let message = outgoing::message(&site, &profile, &form, &recipients)?;
    let blob = blobs::put(&site, message).await?;
    let texts = [form.to.as_str(), &form.subject, &form.text, &form.reply];
    let id = IdempotencyKey(idempotency::id_for(&site, &form.key, &texts));
    let from = profile::address(&profile);
    let submission = Submission { id, from, recipients, blob, copy_to_sent: true };
    match mailbox::submit(&site.node, submission).await {
        Ok(_) => sent(&site, &form).await,
        Err(SubmitError::Store(error)) => Err(error.into()),
        Err(error) => send_back(&site, form, refusal(&error)),
    }
}

async fn sent(site: &Site, form: &MessageForm) -> PageResult {
    mark_answered(site, &form.reply).await;
    let sent = mailbox::special_folder(&site.node, SpecialUse::Sent)?.ok_or(Problem::NotFound)?;
    Ok(response::see_other(&format!("/home/mail/{}", sent.id.0)))
}

fn refusal(error: &SubmitError) -> Fault {
    Fault::new("to", format!("The message was not sent: {error}. Nothing you typed is lost."))
}

fn send_back(site: &Site, form: MessageForm, fault: Fault) -> PageResult {
    let page = ComposePage { page: site.owner_layout("Write", "Mail")?, form, fault: Some(fault) };
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// Sets `\Answered` on the message to which this replied. The reply is queued already, so a failure
/// is only logged.
async fn mark_answered(site: &Site, reply: &str) {
    if let Some((folder, uid)) = reply_target(reply) {
        let change = FlagChange::Add(Flags::of(Flags::ANSWERED));
        if let Err(error) =
            mailbox::store_flags(&site.node, FolderId(folder), &[uid], change, None).await
        {
            tracing::warn!(%error, "the flag \\Answered could not be set");
        }
    }
}
