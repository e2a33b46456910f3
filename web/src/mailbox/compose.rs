//! A plain form to write a letter with, or to answer one.

use std::borrow::Cow;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use freehold_core::blobs::AtRest;
use freehold_core::mailbox::queue::SubmitError;
use freehold_core::mailbox::{
    self, DeliveryId, FlagChange, Flags, FolderId, SpecialUse, Submission,
};
use freehold_core::profile::{self, Profile};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::{Address, EmailAddress};
use serde::Deserialize;

use super::{letter, parts};
use crate::answer::{self, Answer, Problem};
use crate::aside::aside;
use crate::frame::Frame;
use crate::once;
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

const TEXT_LEN_MAX: usize = 1024 * 1024;
/// Each byte of the longest text may be sent as three; the rest is short.
const FORM_LEN_MAX: usize = 3 * TEXT_LEN_MAX + 64 * 1024;
const SUBJECT_LEN_MAX: usize = 900; // one header line of RFC 5322 2.1.1, with room for its name
const RECIPIENTS_MAX: usize = 50;
/// How much of the letter that is answered is quoted.
const QUOTED_LEN_MAX: usize = 4000;

pub(super) fn routes() -> Routes {
    Routes::new().get("/home/mail/write", Access::Owner, show).post_up_to(
        FORM_LEN_MAX,
        "/home/mail/write",
        Access::Owner,
        send,
    )
}

/// A letter as its writer has it so far.
#[derive(Clone, Default, Deserialize)]
struct Draft {
    #[serde(default)]
    to: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    text: String,
    /// `folder.uid` of the letter this answers.
    #[serde(default)]
    reply: String,
    /// The form's mark.
    #[serde(default)]
    once: String,
}

#[derive(Template)]
#[template(path = "mailbox/compose.html")]
struct ComposePage {
    page: Frame,
    draft: Draft,
    /// Which field is wrong, and what to do about it.
    fault: Option<(&'static str, String)>,
}

impl ComposePage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        self.fault.as_ref().filter(|(wrong, _)| *wrong == field).map(|(_, text)| text.as_str())
    }
}

fn place_of(reply: &str) -> Option<(u32, u32)> {
    let (folder, uid) = reply.split_once('.')?;
    Some((folder.parse().ok()?, uid.parse().ok()?))
}

async fn show(State(site): State<Site>, _: Owner, Query(query): Query<Draft>) -> Answer {
    let draft = match place_of(&query.reply) {
        Some((folder, uid)) => answering(&site, folder, uid).await?,
        None => query,
    };
    let draft = Draft { once: once::mark(&site), ..draft };
    answer::page(&ComposePage { page: site.home_frame("Write", "Mail")?, draft, fault: None })
}

async fn answering(site: &Site, folder: u32, uid: u32) -> Result<Draft, Problem> {
    let (message, summary) = letter::found(site, folder, uid)?;
    let text =
        parts::taken_apart(site, &message, |parsed| parsed.body_text(0).map(Cow::into_owned));
    let mut text = text.await?.flatten().unwrap_or_default();
    text.truncate(text.floor_char_boundary(QUOTED_LEN_MAX));
    let quoted: String = text.trim_end().lines().map(|line| format!("> {line}\n")).collect();
    let is_answer = summary.subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    Ok(Draft {
        to: summary.from.address.clone(),
        subject: if is_answer {
            summary.subject.clone()
        } else {
            format!("Re: {}", summary.subject)
        },
        text: format!("\n\n{} wrote:\n{quoted}", summary.from.shown()),
        reply: format!("{folder}.{uid}"),
        once: String::new(),
    })
}

async fn send(State(site): State<Site>, _: Owner, Form(draft): Form<Draft>) -> Answer {
    let profile = site.profile()?.ok_or(Problem::NotFound)?;
    let recipients = addresses(&draft.to);
    let letter = match checked(&draft, &recipients) {
        Ok(()) => match nobody_here(&site, &profile, &recipients)? {
            Some(address) => {
                return again(
                    &site,
                    draft,
                    ("to", format!("Nobody lives here by the name of {address}.")),
                );
            }
            None => built(&site, &profile, &draft, &recipients)?,
        },
        Err(fault) => return again(&site, draft, fault),
    };
    let blobs = site.node.blobs.clone();
    #[allow(clippy::disallowed_methods, reason = "runs inside `aside`")]
    let blob = aside(move || Ok(blobs.put(&letter, AtRest::Sealed)?)).await?;
    let from = profile::address(&profile);
    let id = DeliveryId(once::named(
        &site,
        &draft.once,
        &[&draft.to, &draft.subject, &draft.text, &draft.reply],
    ));
    match mailbox::submit(&site.node, Submission { id, from, recipients, blob, copy_to_sent: true })
        .await
    {
        Ok(_) => {
            answered(&site, &draft.reply).await;
            let sent =
                mailbox::special_folder(&site.node, SpecialUse::Sent)?.ok_or(Problem::NotFound)?;
            Ok(answer::see(&format!("/home/mail/{}", sent.id.0)))
        }
        Err(SubmitError::Store(error)) => Err(error.into()),
        Err(error) => again(&site, draft, ("to", format!("It was not sent: {error}."))),
    }
}

fn again(site: &Site, draft: Draft, fault: (&'static str, String)) -> Answer {
    let page = ComposePage { page: site.home_frame("Write", "Mail")?, draft, fault: Some(fault) };
    answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn checked(draft: &Draft, recipients: &[String]) -> Result<(), (&'static str, String)> {
    if recipients.is_empty() {
        return Err(("to", "Whom is it for? An address looks like dora@finch.example.".to_owned()));
    }
    if let Some(bad) = recipients.iter().find(|address| !is_address(address)) {
        return Err(("to", format!("“{bad}” is no address. One looks like dora@finch.example.")));
    }
    if recipients.len() > RECIPIENTS_MAX {
        return Err(("to", format!("That is more than {RECIPIENTS_MAX} people at once.")));
    }
    if draft.subject.len() > SUBJECT_LEN_MAX {
        return Err((
            "subject",
            "That is long for a subject. Move some of it into the letter.".to_owned(),
        ));
    }
    if draft.text.len() > TEXT_LEN_MAX {
        return Err(("text", "That is too long for one letter.".to_owned()));
    }
    Ok(())
}

/// The first address at the owner's own domain that is not the owner's: mail to it would only come
/// back.
fn nobody_here<'a>(
    site: &Site,
    profile: &Profile,
    recipients: &'a [String],
) -> Result<Option<&'a str>, Problem> {
    let is_at_home = |address: &str| {
        address
            .rsplit_once('@')
            .is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(&profile.domain))
    };
    for address in recipients.iter().filter(|address| is_at_home(address)) {
        if !profile::owns(&site.node, address)? {
            return Ok(Some(address));
        }
    }
    Ok(None)
}

/// The addresses in what was typed: parted by commas, semicolons or lines, each alone or as `Name
/// <address>`.
fn addresses(typed: &str) -> Vec<String> {
    let inner = |part: &str| match part.rsplit_once('<') {
        Some((_, rest)) => rest.trim_end().trim_end_matches('>').trim().to_owned(),
        None => part.trim().to_owned(),
    };
    typed.split([',', ';', '\n']).map(inner).filter(|address| !address.is_empty()).collect()
}

fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    let is_odd = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '(' | ')' | ',')
    };
    parts.is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.starts_with('.')
    }) && !text.contains(is_odd)
        && text.len() <= 254
}

fn built(
    site: &Site,
    profile: &Profile,
    draft: &Draft,
    recipients: &[String],
) -> Result<Vec<u8>, Problem> {
    let id = data_encoding::HEXLOWER.encode(&site.node.random.array::<16>());
    let to = recipients
        .iter()
        .map(|address| {
            Address::Address(EmailAddress { name: None, email: address.as_str().into() })
        })
        .collect();
    let seconds = i64::try_from(site.node.clock.now().as_secs()).unwrap_or(i64::MAX);
    let mut letter = MessageBuilder::new()
        .from((profile.name.clone(), profile::address(profile)))
        .to(Address::List(to))
        .subject(one_line(&draft.subject))
        .date(seconds)
        .message_id(format!("{id}@{}", profile.domain))
        .text_body(draft.text.replace("\r\n", "\n"));
    let answered =
        place_of(&draft.reply).and_then(|(folder, uid)| letter::found(site, folder, uid).ok());
    if let Some((_, summary)) = answered
        && let Some(message_id) = summary.message_id
    {
        let mut references = summary.references;
        references.push(message_id.clone());
        letter = letter.in_reply_to(message_id).references(references);
    }
    letter.write_to_vec().map_err(|error| Problem::Unwell(error.to_string()))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Marks what was answered; the letter is on its way whether or not that works.
async fn answered(site: &Site, reply: &str) {
    if let Some((folder, uid)) = place_of(reply) {
        let change = FlagChange::Add(Flags::of(Flags::ANSWERED));
        if let Err(error) =
            mailbox::store_flags(&site.node, FolderId(folder), &[uid], change, None).await
        {
            tracing::warn!(%error, "an answered letter could not be marked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_type_them() {
        assert_eq!(
            addresses("Dora Finch <dora@finch.example>, per@x.example;\nme@y.example,"),
            ["dora@finch.example", "per@x.example", "me@y.example"]
        );
        for good in ["a@b.example", "a.b+c@d.example"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a b@c.example", "a@b\r\nBcc: x@y", "a@.example"] {
            assert!(!is_address(bad), "{bad}");
        }
        assert_eq!(one_line("a\r\nBcc: x@y.example"), "a Bcc: x@y.example");
    }
}
