//! The parameters of MAIL and RCPT. A parameter of an extension that is not offered is refused (RFC
//! 5321 4.1.1.11), and so is one given twice.

use freehold_core::mailbox::queue::{Notify, xtext_decoded};

use super::super::envelope::{Recipient, Sender};
use super::CommandError;

/// The longest ENVID once decoded, in bytes (RFC 3461 4.4).
const ENVELOPE_ID_LEN_MAX: usize = 100;
/// The longest ORCPT, in bytes (RFC 3461 4.2).
const ORIGINAL_LEN_MAX: usize = 500;

/// RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 3461 (RET, ENVID), RFC 4954 (AUTH).
pub(super) fn mail(sender: &mut Sender, parameters: &str) -> Result<(), CommandError> {
    let mut seen = Vec::new();
    for parameter in parameters.split_ascii_whitespace() {
        let (key, value) = split(parameter, &mut seen)?;
        match (key.as_str(), value) {
            ("SIZE", Some(value)) => sender.size = Some(size(value)?),
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("7BIT") => sender.eight_bit = false,
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("8BITMIME") => {
                sender.eight_bit = true
            }
            ("SMTPUTF8", None) => sender.international = true,
            ("RET", Some(value)) if value.eq_ignore_ascii_case("FULL") => sender.return_full = true,
            ("RET", Some(value)) if value.eq_ignore_ascii_case("HDRS") => {
                sender.return_full = false
            }
            ("ENVID", Some(value)) => {
                let id = xtext_decoded(value)
                    .filter(|id| !id.is_empty() && id.len() <= ENVELOPE_ID_LEN_MAX)
                    .ok_or(CommandError::Value)?;
                sender.envelope_id = Some(id);
            }
            // The original submitter, as the client claims: parsed and ignored (RFC 4954 5).
            ("AUTH", Some(value)) => drop(xtext_decoded(value).ok_or(CommandError::Value)?),
            ("SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID" | "AUTH", _) => {
                return Err(CommandError::Value);
            }
            _ => return Err(CommandError::Parameter),
        }
    }
    let international = sender.mailbox.as_ref().is_some_and(super::Mailbox::is_international);
    if international && !sender.international { Err(CommandError::Address) } else { Ok(()) }
}

/// RFC 3461 4.1 (NOTIFY) and 4.2 (ORCPT).
pub(super) fn rcpt(recipient: &mut Recipient, parameters: &str) -> Result<(), CommandError> {
    let mut seen = Vec::new();
    for parameter in parameters.split_ascii_whitespace() {
        let (key, value) = split(parameter, &mut seen)?;
        match (key.as_str(), value) {
            ("NOTIFY", Some(value)) => recipient.notify = Some(notify(value)?),
            ("ORCPT", Some(value)) => {
                let (kind, address) = value.split_once(';').ok_or(CommandError::Value)?;
                let is_kind = |c: char| c.is_ascii_alphanumeric() || c == '-';
                let is_sound = !kind.is_empty()
                    && kind.chars().all(is_kind)
                    && xtext_decoded(address).is_some_and(|address| !address.is_empty());
                if !is_sound || value.len() > ORIGINAL_LEN_MAX {
                    return Err(CommandError::Value);
                }
                recipient.original = Some(value.to_owned());
            }
            ("NOTIFY" | "ORCPT", _) => return Err(CommandError::Value),
            _ => return Err(CommandError::Parameter),
        }
    }
    Ok(())
}

fn split<'a>(
    parameter: &'a str,
    seen: &mut Vec<String>,
) -> Result<(String, Option<&'a str>), CommandError> {
    let (key, value) = match parameter.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (parameter, None),
    };
    let key = key.to_ascii_uppercase();
    if seen.contains(&key) {
        return Err(CommandError::Value);
    }
    seen.push(key.clone());
    Ok((key, value))
}

fn size(value: &str) -> Result<u64, CommandError> {
    if value.is_empty() || value.len() > 20 || !value.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(CommandError::Value);
    }
    Ok(value.parse().unwrap_or(u64::MAX))
}

fn notify(value: &str) -> Result<Notify, CommandError> {
    let mut wanted = Notify::NEVER;
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(wanted);
    }
    for word in value.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => wanted.success = true,
            "FAILURE" => wanted.failure = true,
            "DELAY" => wanted.delay = true,
            _ => return Err(CommandError::Value),
        }
    }
    Ok(wanted)
}
