//! The recipients that a person typed: addresses, with names or without, and friends by name.

use freehold_core::domain_name;
use freehold_core::feed;
use freehold_core::friends::{self, FriendState};
use freehold_core::names::is_control_or_invisible;
use freehold_mime::address;

use crate::problem::Problem;
use crate::site::Site;

/// The longest address, in bytes (RFC 5321 4.5.3.1.3 without the angle brackets).
const ADDRESS_LEN_MAX: usize = 254;

/// A recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recipient {
    /// The name; may be empty.
    pub(super) name: String,
    /// The address, or the words that are none.
    pub(super) address: String,
}

impl Recipient {
    /// As a field of recipients takes it.
    pub(super) fn typed(&self) -> String {
        let quoted = |text: &str| {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{escaped}\"")
        };
        match (self.name.is_empty(), is_address(&self.address)) {
            (true, true) => self.address.clone(),
            (true, false) => quoted(&self.address),
            (false, _) => format!("{} <{}>", quoted(&self.name), self.address),
        }
    }
}

/// The recipients in a field: separated by commas, semicolons or lines, each alone, as
/// `Name <address>`, as `"Last, First" <address>` or as `address (Name)`. Words that are no address
/// are given as they are.
pub(super) fn typed(field: &str) -> Vec<Recipient> {
    let visible: String = field
        .chars()
        .map(|c| if matches!(c, '\n' | '\r') { ',' } else { c })
        .filter(|c| *c == '\t' || !is_control_or_invisible(*c))
        .collect();
    let entries = address::parse(visible.as_bytes());
    let recipient = |mailbox: &address::Mailbox| match mailbox.address() {
        address if address.is_empty() => {
            Recipient { address: mailbox.display_name(None), ..Recipient::default() }
        }
        address => Recipient { name: mailbox.display_name(None), address: plain(&address) },
    };
    let recipients = address::mailboxes(&entries).map(recipient);
    recipients.filter(|recipient| !recipient.address.is_empty()).collect()
}

/// The address without `mailto:`, and its domain as DNS has it where the rest is ASCII: every
/// server takes that form.
fn plain(address: &str) -> String {
    let address = match address.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => address.get(7..),
        _ => None,
    }
    .unwrap_or(address);
    match address.rsplit_once('@') {
        Some((local, domain)) if local.is_ascii() && !domain.is_ascii() => {
            let ascii = domain_name::ascii(domain).unwrap_or(domain.into());
            format!("{local}@{ascii}")
        }
        _ => address.to_owned(),
    }
}

/// A friend to whom mail can be written.
pub(super) struct KnownFriend {
    pub(super) name: String,
    pub(super) address: String,
}

impl KnownFriend {
    /// As a field of recipients takes it.
    pub(super) fn typed(&self) -> String {
        Recipient { name: self.name.clone(), address: self.address.clone() }.typed()
    }
}

/// The friends whose profile has an address.
///
/// # Errors
/// If the store can't be read.
pub(super) fn known_friends(site: &Site) -> Result<Vec<KnownFriend>, Problem> {
    let mut known = Vec::new();
    for friend in friends::list(&site.node)? {
        if friend.state != FriendState::Friend {
            continue;
        }
        let profile = feed::profile_of(&site.node, &friend.person)?;
        let address = profile.map(|profile| profile.address).filter(|address| is_address(address));
        known.extend(address.map(|address| KnownFriend { name: friend.name, address }));
    }
    Ok(known)
}

/// The most friends whom the form names.
const NAMED_MAX: usize = 20;

/// The names of the friends to whose nodes mail goes without SMTP.
///
/// # Errors
/// If the store can't be read.
pub(super) fn straight(site: &Site, known: &[KnownFriend]) -> Result<Vec<String>, Problem> {
    let mut names = Vec::new();
    for friend in known.iter().take(NAMED_MAX) {
        if friends::mail_friend(&site.node, &friend.address)?.is_some() {
            names.push(friend.name.clone());
        }
    }
    Ok(names)
}

/// The recipients with the addresses of friends who are named alone. In
/// `Dora Finch, Bob <bob@b.example>` a friend's name in front is a recipient and no part of the
/// next one's name.
pub(super) fn complete(recipients: Vec<Recipient>, friends: &[KnownFriend]) -> Vec<Recipient> {
    let friend = |name: &str| {
        let wanted = name.trim().to_lowercase();
        let mut same = friends.iter().filter(|friend| friend.name.to_lowercase() == wanted);
        let found = same.next().filter(|_| same.next().is_none())?;
        Some(Recipient { name: found.name.clone(), address: found.address.clone() })
    };
    let mut all = Vec::with_capacity(recipients.len());
    for mut recipient in recipients {
        if !recipient.address.contains('@') {
            all.push(friend(&recipient.address).unwrap_or(recipient));
            continue;
        }
        while friend(&recipient.name).is_none()
            && let Some((first, rest)) = recipient.name.split_once(", ")
            && let Some(named) = friend(first)
        {
            all.push(named);
            recipient.name = rest.to_owned();
        }
        all.push(recipient);
    }
    all
}

/// Whether mail can be sent to a text: a local part, quoted where it must be, and a domain or an
/// address literal.
pub(super) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let is_forbidden = |c: char| {
        c.is_whitespace() || matches!(c, '<' | '>' | '"' | '(' | ')' | ',' | ';' | ':' | '@' | '\\')
    };
    let is_local = is_quoted || (!local.is_empty() && !local.contains(is_forbidden));
    let is_literal = domain.starts_with('[') && domain.ends_with(']');
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let is_domain = is_literal
        || domain_name::ascii(domain).is_some_and(|domain| domain.split('.').all(is_label));
    is_local && is_domain && text.len() <= ADDRESS_LEN_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_read_in_every_usual_form() {
        let read = |field: &str| -> Vec<(String, String)> {
            typed(field).into_iter().map(|r| (r.name, r.address)).collect()
        };
        let one = |name: &str, address: &str| vec![(name.to_owned(), address.to_owned())];
        for (field, name, address) in [
            ("bob@b.example", "", "bob@b.example"),
            ("\"Doe, Bob\" <bob@b.example>", "Doe, Bob", "bob@b.example"),
            ("Doe, Bob <bob@b.example>", "Doe, Bob", "bob@b.example"),
            ("bob@b.example (Bob)", "Bob", "bob@b.example"),
            ("\"b b\"@b.example", "", "\"b b\"@b.example"),
            ("mailto:bob@b.example", "", "bob@b.example"),
            ("<mailto:bob@b.example>", "", "bob@b.example"),
            ("bob@b.example\u{200b}", "", "bob@b.example"),
            ("bob@müller.example", "", "bob@xn--mller-kva.example"),
            ("a..b@docomo.example", "", "a..b@docomo.example"),
        ] {
            assert_eq!(read(field), one(name, address), "{field}");
            assert!(is_address(&typed(field)[0].address), "{field}");
        }
        let three = read("Dora Finch <dora@f.example>, per@x.example;\nme@y.example,");
        let addresses: Vec<&str> = three.iter().map(|(_, address)| address.as_str()).collect();
        assert_eq!(addresses, ["dora@f.example", "per@x.example", "me@y.example"]);
        for bad in ["", "a", "@b", "a@", "a b@c.example", "a@b\r\nBcc: x@y", "a@.example", "a@b@c"]
        {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn friend_is_completed_by_name() {
        let friend =
            |name: &str, address: &str| KnownFriend { name: name.into(), address: address.into() };
        let friends =
            [friend("Doe, Bob", "bob@b.example"), friend("Ann", "a@a"), friend("ann", "b@b")];
        let recipients = complete(typed("\"doe, bob\", Ann, Carl, x@y.example"), &friends);
        let addresses: Vec<&str> = recipients.iter().map(|r| r.address.as_str()).collect();
        assert_eq!(addresses, ["bob@b.example", "Ann", "Carl", "x@y.example"]);
        assert_eq!(recipients[0].name, "Doe, Bob");
        assert_eq!(typed(&friends[0].typed())[0].name, "Doe, Bob");
        let friends = [friend("Dora Finch", "dora@f.example"), friend("Doe, Bob", "bob@b.example")];
        let both = complete(typed("Dora Finch, Per <per@x.example>"), &friends);
        let names: Vec<&str> = both.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["Dora Finch", "Per"]);
        let one = complete(typed("Doe, Bob <bob@b.example>"), &friends);
        assert_eq!((one.len(), one[0].name.as_str()), (1, "Doe, Bob"));
    }
}
