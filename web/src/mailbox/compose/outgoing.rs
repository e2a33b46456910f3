//! From the form's fields to a message: recipients, checks, the message itself.

use freehold_core::profile::{self, Profile};
use freehold_mime::address;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::{Address, EmailAddress};

use super::{MessageForm, TEXT_LEN_MAX, reply_target};
use crate::fault::Fault;
use crate::mailbox::message;
use crate::problem::Problem;
use crate::site::Site;

/// One header line (998 bytes, RFC 5322 2.1.1) with room for the field's name, in bytes.
const SUBJECT_LEN_MAX: usize = 900;
const RECIPIENTS_MAX: usize = 50;
/// The longest address, in bytes (RFC 5321 4.5.3.1.3 without the angle brackets).
const ADDRESS_LEN_MAX: usize = 254;

/// Checks the form; gives the first fault.
///
/// # Errors
/// If the store can't be read.
pub(super) fn check(
    site: &Site,
    profile: &Profile,
    form: &MessageForm,
    recipients: &[String],
) -> Result<Option<Fault>, Problem> {
    let fault = if recipients.is_empty() {
        Fault::new("to", "There is no recipient. Type an address, like dora@finch.example.")
    } else if let Some(bad) = recipients.iter().find(|address| !is_address(address)) {
        Fault::new("to", format!("“{bad}” is not an address. One looks like dora@finch.example."))
    } else if recipients.len() > RECIPIENTS_MAX {
        let count = recipients.len();
        Fault::new(
            "to",
            format!(
                "There are {count} recipients; {RECIPIENTS_MAX} is the most. Send it in parts."
            ),
        )
    } else if form.subject.len() > SUBJECT_LEN_MAX {
        Fault::new("subject", "The subject is too long. Move some of it into the message.")
    } else if form.text.len() > TEXT_LEN_MAX {
        let mebibytes = TEXT_LEN_MAX / (1024 * 1024);
        Fault::new(
            "text",
            format!("The message is longer than {mebibytes} MB. Shorten it, or send two."),
        )
    } else if let Some(address) = unknown_local_address(site, profile, recipients)? {
        Fault::new("to", format!("This server has no address {address}. Check how it is written."))
    } else {
        return Ok(None);
    };
    Ok(Some(fault))
}

/// The first address at the owner's domain that is not the owner's: mail to it would bounce.
fn unknown_local_address<'a>(
    site: &Site,
    profile: &Profile,
    recipients: &'a [String],
) -> Result<Option<&'a str>, Problem> {
    let is_local = |address: &str| {
        address
            .rsplit_once('@')
            .is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(&profile.domain))
    };
    for address in recipients.iter().filter(|address| is_local(address)) {
        if !profile::owns(&site.node, address)? {
            return Ok(Some(address));
        }
    }
    Ok(None)
}

/// The addresses in a field: separated by commas, semicolons or lines, each alone or as
/// `Name <address>`. Words that are no address are given as they are, to be refused.
pub(super) fn addresses(typed: &str) -> Vec<String> {
    let separated = typed.replace(['\n', ';'], ",");
    let entries = address::parse(separated.as_bytes());
    let typed = |mailbox: &address::Mailbox| match mailbox.address() {
        address if address.is_empty() => mailbox.display_name(None),
        address => address,
    };
    address::mailboxes(&entries).map(typed).filter(|address| !address.is_empty()).collect()
}

fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    let is_forbidden = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '(' | ')' | ',')
    };
    parts.is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.starts_with('.')
    }) && !text.contains(is_forbidden)
        && text.len() <= ADDRESS_LEN_MAX
}

/// The message of the form, in the format of RFC 5322.
pub(super) fn message(
    site: &Site,
    profile: &Profile,
    form: &MessageForm,
    to: &[String],
    cc: &[String],
) -> Result<Vec<u8>, Problem> {
    let id = data_encoding::HEXLOWER.encode(&site.node.random.array::<16>());
    let list = |addresses: &[String]| {
        let address = |address: &String| {
            Address::Address(EmailAddress { name: None, email: address.clone().into() })
        };
        Address::List(addresses.iter().map(address).collect())
    };
    let seconds = i64::try_from(site.node.clock.now().as_secs()).unwrap_or(i64::MAX);
    let mut builder = MessageBuilder::new()
        .from((profile.name.clone(), profile::address(profile)))
        .to(list(to))
        .subject(one_line(&form.subject))
        .date(seconds)
        .message_id(format!("{id}@{}", profile.domain))
        .text_body(form.text.replace("\r\n", "\n"));
    if !cc.is_empty() {
        builder = builder.cc(list(cc));
    }
    let replied_to =
        reply_target(&form.reply).and_then(|(folder, uid)| message::find(site, folder, uid).ok());
    if let Some((_, summary)) = replied_to
        && let Some(message_id) = summary.message_id
    {
        let mut references = summary.references;
        references.push(message_id.clone());
        builder = builder.in_reply_to(message_id).references(references);
    }
    builder.write_to_vec().map_err(|error| Problem::Internal(error.to_string()))
}

/// `text` without line breaks, so that no header can be added through the subject.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_addresses_are_parsed_and_checked() {
        assert_eq!(
            addresses("Dora Finch <dora@finch.example>, per@x.example;\nme@y.example,"),
            ["dora@finch.example", "per@x.example", "me@y.example"]
        );
        assert_eq!(
            addresses("\"Mueller, Ada\" <ada@x.example>, Mueller, Bo <bo@x.example>"),
            ["ada@x.example", "bo@x.example"]
        );
        assert_eq!(addresses("Dora Finch"), ["Dora Finch"]);
        for good in ["a@b.example", "a.b+c@d.example"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a b@c.example", "a@b\r\nBcc: x@y", "a@.example"] {
            assert!(!is_address(bad), "{bad}");
        }
        assert_eq!(one_line("a\r\nBcc: x@y.example"), "a Bcc: x@y.example");
    }
}
