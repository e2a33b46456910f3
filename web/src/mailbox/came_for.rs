//! The owner's address for which a message came: the one as which it is answered.
//!
//! The recipients in a header are the author's: a list, nobody, or another address of the owner. So
//! the envelope decides, as it was stored with the message; for one that came before it was stored,
//! the trace field that this server put on top (RFC 5321 4.4). The header decides where neither is
//! there: for messages that were written here, imported, or stored by a mail program.

use freehold_core::aliases::{self, Standing};
use freehold_core::mailbox::{self, Message};
use freehold_core::profile::Profile;
use freehold_mime::{header, people};

use crate::problem::Problem;
use crate::site::Site;

/// The most recipients of a header that are looked at.
const NAMED_MAX: usize = 100;

/// The addresses in a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    /// The recipient in the trace field of this server.
    traced: Option<String>,
    /// The first author.
    author: String,
    /// The recipients of To and Cc.
    named: Vec<String>,
}

impl Addresses {
    pub(super) fn of(fields: &[u8]) -> Self {
        let of = |name| people::of(fields, name, None);
        let named = [of("to"), of("cc")].concat();
        let author = people::first(fields, "from", None).into_iter().next();
        Self {
            traced: traced(fields),
            author: author.map(|author| author.address).unwrap_or_default(),
            named: named.into_iter().take(NAMED_MAX).map(|person| person.address).collect(),
        }
    }
}

/// The address in the `for` clause of this server's Received field. It is believed only at its
/// place: behind Return-Path and the results of this server, on top of all that a sender wrote.
fn traced(fields: &[u8]) -> Option<String> {
    let mut fields = header::fields(fields).peekable();
    fields.next().filter(|field| field.is("return-path"))?;
    fields.next_if(|field| field.is("authentication-results"));
    let received = fields.next().filter(|field| field.is("received"))?;
    let value = String::from_utf8_lossy(&header::unfold(received.value)).into_owned();
    let mut words = value.split_whitespace();
    words.find(|word| *word == "by")?;
    words.nth(1).filter(|word| *word == "(Freehold)")?;
    words.find(|word| *word == "for")?;
    let address = words.next()?.trim_end_matches(';');
    Some(address.strip_prefix('<')?.strip_suffix('>')?.to_owned())
}

/// The address; empty for the owner's first one, and where nothing names another one. It may be an
/// alias that was closed, or removed since.
///
/// # Errors
/// If the store can't be read.
pub(super) fn address(
    site: &Site,
    message: &Message,
    addresses: &Addresses,
) -> Result<String, Problem> {
    let Some(owner) = site.profile()? else { return Ok(String::new()) };
    let locals = mailbox::addressed(&site.node, message)?;
    if !locals.is_empty() {
        return of_envelope(site, &owner, &locals, addresses);
    }
    let traced = addresses.traced.iter().chain([&addresses.author]);
    for address in traced {
        match own(site, &owner, address)? {
            Own::First => return Ok(String::new()),
            Own::Alias(address) => return Ok(address),
            Own::Removed(address) if Some(&address) == addresses.traced.as_ref() => {
                return Ok(address);
            }
            Own::Removed(_) | Own::Foreign => {}
        }
    }
    let (mut is_for_first, mut removed) = (false, String::new());
    for address in &addresses.named {
        match own(site, &owner, address)? {
            Own::Alias(address) => return Ok(address),
            Own::First => is_for_first = true,
            Own::Removed(address) if removed.is_empty() => removed = address,
            Own::Removed(_) | Own::Foreign => {}
        }
    }
    Ok(if is_for_first { String::new() } else { removed })
}

/// The one of several in the envelope that the header names, else the first alias: it tells the
/// sender no more than they know.
fn of_envelope(
    site: &Site,
    owner: &Profile,
    locals: &[String],
    addresses: &Addresses,
) -> Result<String, Problem> {
    let mut local = locals.iter().find(|local| !local.is_empty());
    for address in &addresses.named {
        let named = match aliases::standing(&site.node, address)? {
            Standing::Owner => Some(String::new()),
            _ => aliases::local_of(owner, address),
        };
        if let Some(found) = locals.iter().find(|local| Some(*local) == named.as_ref()) {
            local = Some(found);
            break;
        }
    }
    let alias = local.filter(|local| !local.is_empty());
    Ok(alias.map(|local| aliases::address(owner, local)).unwrap_or_default())
}

/// The standing of an address in a header.
enum Own {
    First,
    Alias(String),
    /// At the owner's domain, and nobody's (any more).
    Removed(String),
    Foreign,
}

fn own(site: &Site, owner: &Profile, address: &str) -> Result<Own, Problem> {
    let local = aliases::local_of(owner, address);
    let alias = local.map(|local| aliases::address(owner, &local));
    Ok(match (aliases::standing(&site.node, address)?, alias) {
        (Standing::Owner, _) => Own::First,
        (Standing::Alias(_) | Standing::Off | Standing::Caught(_), Some(alias)) => {
            Own::Alias(alias)
        }
        (Standing::Foreign, Some(alias)) => Own::Removed(alias),
        _ => Own::Foreign,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_field_is_believed_on_top_alone() {
        let own = "Received: from b.example ([192.0.2.7])\r\n\tby alice.example (Freehold) with \
                   ESMTPS id 1\r\n\t(TLSv1.3 X)\r\n\tfor <mask@alice.example>;\r\n\tFri, 1 May\r\n";
        let read = |header: &str| traced(format!("{header}\r\n").as_bytes());
        let mask = Some("mask@alice.example".to_owned());
        let results = "Authentication-Results: alice.example; none\r\n";
        assert_eq!(read(&format!("Return-Path: <>\r\n{own}")), mask);
        assert_eq!(read(&format!("Return-Path: <>\r\n{results}{own}")), mask);
        let several = own.replace("\r\n\tfor <mask@alice.example>", "");
        for header in [
            own.to_owned(),
            format!("Return-Path: <>\r\nX: y\r\n{own}"),
            // The sender's own field below the server's.
            format!("Return-Path: <>\r\n{several}{own}"),
            format!("Return-Path: <>\r\n{}", own.replace("(Freehold)", "(Other)")),
            format!("Return-Path: <>\r\n{}", own.replace('<', "")),
            String::new(),
        ] {
            assert_eq!(read(&header), None, "{header}");
        }
    }
}
