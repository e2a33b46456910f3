//! From the form's fields to a message: recipients, checks, the message itself.

use freehold_core::aliases;
use freehold_core::clock::Timestamp;
use freehold_core::domain_name;
use freehold_core::friends;
use freehold_core::mailbox::queue::{Outbound, outbound};
use freehold_core::profile::Profile;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::{Address, EmailAddress};

use super::form::MessageForm;
use super::recipients::{Recipient, is_address};
use super::{TEXT_LEN_MAX, conversation, draft, reply_target};
use crate::dates;
use crate::fault::{self, Fault};
use crate::mailbox::message;
use crate::problem::Problem;
use crate::site::Site;

/// One header line (998 bytes, RFC 5322 2.1.1) with room for the field's name, in bytes.
const SUBJECT_LEN_MAX: usize = 900;
const RECIPIENTS_MAX: usize = 50;
/// How far ahead a message can be sent, in milliseconds.
const LATER_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

/// Checks the form, with files or without; gives the first fault.
///
/// # Errors
/// If the store can't be read.
pub(super) fn check(
    site: &Site,
    profile: &Profile,
    (form, has_files): (&MessageForm, bool),
    recipients: &[Recipient],
) -> Result<Option<Fault>, Problem> {
    let is_empty = form.text.trim().is_empty() && !has_files;
    let fault = if recipients.is_empty() {
        Fault::new("to", "There is no recipient. Type an address, like dora@finch.example.")
    } else if let Some(bad) = recipients.iter().find(|to| !is_address(&to.address)) {
        let text = format!(
            "“{}” is neither an address, like dora@finch.example, nor the name of one friend.",
            bad.address
        );
        Fault::new("to", text)
    } else if recipients.len() > RECIPIENTS_MAX {
        let count = recipients.len();
        Fault::new(
            "to",
            format!(
                "There are {count} recipients; {RECIPIENTS_MAX} is the most. Send it in parts."
            ),
        )
    } else if form.subject.len() > SUBJECT_LEN_MAX {
        Fault::new("subject", fault::too_long("subject", form.subject.len(), SUBJECT_LEN_MAX))
    } else if form.text.len() > TEXT_LEN_MAX {
        Fault::new("text", fault::too_long("message", form.text.len(), TEXT_LEN_MAX))
    } else if let Some(address) = unknown_local_address(site, profile, recipients)? {
        Fault::new("to", format!("This server has no address {address}. Check how it is written."))
    } else if let Some(address) = unreachable_address(site, profile, recipients)? {
        let reason = match outbound(&site.node)? {
            Outbound::None => "the settings name no carrier for the world yet",
            Outbound::Direct | Outbound::Friend(_) | Outbound::Smarthost(_) => {
                "the world knows no such domain"
            }
        };
        Fault::new("to", format!("{address} is out of reach: {reason}."))
    } else if is_empty && form.empty.is_empty() {
        Fault::new("text", "The letter has no text. Tick the box to send it without.")
    } else {
        return Ok(None);
    };
    Ok(Some(fault))
}

/// The first address at the owner's domain that is not the owner's: mail to it would bounce.
fn unknown_local_address<'a>(
    site: &Site,
    profile: &Profile,
    recipients: &'a [Recipient],
) -> Result<Option<&'a str>, Problem> {
    let is_local = |address: &str| {
        address
            .rsplit_once('@')
            .is_some_and(|(_, domain)| domain_name::is_same(domain, &profile.domain))
    };
    for recipient in recipients.iter().filter(|recipient| is_local(&recipient.address)) {
        if !aliases::accepts(&site.node, &recipient.address)? {
            return Ok(Some(&recipient.address));
        }
    }
    Ok(None)
}

/// The first address to which the node has no route.
fn unreachable_address<'a>(
    site: &Site,
    profile: &Profile,
    recipients: &'a [Recipient],
) -> Result<Option<&'a str>, Problem> {
    let Some(mail) = site.mail.as_ref() else { return Ok(None) };
    let outbound = outbound(&site.node)?;
    let is_reached = |address: &str| {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        outbound.reaches(domain)
            || domain_name::is_same(domain, &profile.domain)
            || mail.domains.iter().any(|known| domain_name::is_same(known, domain))
    };
    for recipient in recipients.iter().filter(|to| !is_reached(&to.address)) {
        if friends::mail_friend(&site.node, &recipient.address)?.is_none() {
            return Ok(Some(&recipient.address));
        }
    }
    Ok(None)
}

/// The moment at which the form asks to send; `None` to send at once.
///
/// # Errors
/// If it is none, has passed, or is too far ahead.
pub(super) fn later(form: &MessageForm, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    if form.later.trim().is_empty() {
        return Ok(None);
    }
    let fault = |text: &str| Err(Fault::new("later", text));
    match dates::typed(&form.later) {
        None => fault("That is no date with a time."),
        Some(at) if at <= now => fault("That moment has passed."),
        Some(at) if at.millis_since(now) > LATER_MS_MAX => fault("That is more than a year away."),
        Some(at) => Ok(Some(at)),
    }
}

/// The message of the form, in the format of RFC 5322.
pub(super) fn message(
    site: &Site,
    (profile, from): (&Profile, &str),
    form: &MessageForm,
    to: &[Recipient],
    cc: &[Recipient],
) -> Result<Vec<u8>, Problem> {
    let id = data_encoding::HEXLOWER.encode(&site.node.random.array::<16>());
    let list = |recipients: &[Recipient]| {
        let address = |recipient: &Recipient| {
            let name = Some(one_line(&recipient.name)).filter(|name| !name.is_empty());
            let email = recipient.address.clone().into();
            Address::Address(EmailAddress { name: name.map(Into::into), email })
        };
        Address::List(recipients.iter().map(address).collect())
    };
    let seconds = i64::try_from(site.node.clock.now().as_secs()).unwrap_or(i64::MAX);
    // A masked address tells nobody the owner's name.
    let author = match aliases::shows_name(from) {
        true => Address::from((one_line(&profile.name), from.to_owned())),
        false => Address::from(from.to_owned()),
    };
    let mut builder = MessageBuilder::new()
        .from(author)
        .subject(one_line(&form.subject))
        .date(seconds)
        .message_id(format!("{id}@{}", profile.domain))
        .text_body(body(&form.text));
    // A draft may have none yet.
    if !to.is_empty() {
        builder = builder.to(list(to));
    }
    if !cc.is_empty() {
        builder = builder.cc(list(cc));
    }
    let ids = conversation::ids(&form.references);
    let replied_to =
        reply_target(&form.reply).and_then(|(folder, uid)| message::find(site, folder, uid).ok());
    if let Some(answered) = ids.last() {
        let (answered, ids) = ((*answered).to_owned(), ids.into_iter().map(str::to_owned));
        builder = builder.in_reply_to(answered).references(ids.collect::<Vec<String>>());
    } else if let Some((_, summary)) = replied_to
        && let Some(message_id) = summary.message_id
    {
        let mut references = summary.references;
        references.push(message_id.clone());
        builder = builder.in_reply_to(message_id).references(references);
    } else if let Some(draft) = draft::summary(site, &form.draft)
        && let Some(answered) = draft.in_reply_to
    {
        // A draft keeps its place in the conversation.
        builder = builder.in_reply_to(answered).references(draft.references);
    }
    builder.write_to_vec().map_err(|error| Problem::Internal(error.to_string()))
}

/// `text` without line breaks and control characters, so that no header can be added through the
/// subject.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `text` with LF at each line end and without NUL. In a message CR and LF occur together alone
/// (RFC 5322 2.3): a bare one can be taken for the end of a line, and a line of one dot for that of
/// the message (RFC 5321 4.1.1.4). The builder writes CRLF for LF.
pub(super) fn body(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_adds_no_header() {
        assert_eq!(one_line("a\r\nBcc: x@y.example"), "a Bcc: x@y.example");
        assert_eq!(one_line("\ra\0\rb\n"), "a b");
    }

    #[test]
    fn text_has_whole_line_ends_alone() {
        assert_eq!(body("a\r.\rMAIL\r\n\n.\n\rb\0"), "a\n.\nMAIL\n\n.\n\nb ");
    }
}
