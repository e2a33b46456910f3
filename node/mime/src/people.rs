//! The people of a header, safe to show.

use crate::address::{self, ADDRESSES_MAX, Entry, Mailbox};
use crate::text::{is_visible, one_line};
use crate::{header, word};

/// Longest name that is shown, in bytes.
const NAME_LEN_MAX: usize = 120;
/// Longest address (RFC 5321 4.5.3.1.3).
const ADDRESS_LEN_MAX: usize = 254;

/// A person, or a group by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name; may be empty.
    pub name: String,
    /// The address; may be empty.
    pub address: String,
}

impl Person {
    /// The name, or the address if there is none.
    pub fn shown(&self) -> &str {
        if self.name.is_empty() { &self.address } else { &self.name }
    }
}

/// The people of all fields of this name (RFC 5322 3.6 allows one, but a reply must reach everyone
/// who is named). `charset` is that of the message's text. An entry without an address is shown by
/// its name, and a group without members by the group's name.
pub fn of(fields: &[u8], name: &str, charset: Option<&str>) -> Vec<Person> {
    let entries: Vec<Entry> =
        header::all(fields, name).flat_map(address::parse).take(ADDRESSES_MAX).collect();
    let has_people = address::mailboxes(&entries).next().is_some();
    let person = |entry: Entry| match entry {
        Entry::Mailbox(mailbox) => Some(match encoded(&mailbox, charset) {
            Some(name) => {
                Person { name: visible(one_line(&name, NAME_LEN_MAX)), address: String::new() }
            }
            None => Person {
                name: visible(one_line(&mailbox.display_name(charset), NAME_LEN_MAX)),
                address: one_line(&mailbox.address(), ADDRESS_LEN_MAX),
            },
        }),
        Entry::GroupStart(group) if !has_people => Some(Person {
            name: one_line(&word::decode(&group, charset), NAME_LEN_MAX),
            address: String::new(),
        }),
        Entry::GroupStart(_) | Entry::GroupEnd => None,
    };
    entries.into_iter().filter_map(person).filter(|person| !person.shown().is_empty()).collect()
}

/// The people of the first field of this name that has any.
pub fn first(fields: &[u8], name: &str, charset: Option<&str>) -> Vec<Person> {
    let mut lists = header::fields(fields).filter(|field| field.is(name));
    lists
        .find_map(|field| Some(of(field.raw, name, charset)).filter(|l| !l.is_empty()))
        .unwrap_or_default()
}

/// The words of an entry that is encoded words and nothing else, such as
/// `=?utf-8?Q?Ann_=3Cann=40a.example=3E?=`. RFC 2047 5 (3) forbids them in an address. A
/// check of the author sees no address there, so an address that comes out of the encoding is shown
/// and is not used.
fn encoded(mailbox: &Mailbox, charset: Option<&str>) -> Option<String> {
    let mut raw = mailbox.local.clone();
    if !mailbox.host.is_empty() {
        raw.push(b'@');
        raw.extend_from_slice(&mailbox.host);
    }
    if mailbox.name.is_some() || !raw.starts_with(b"=?") || !raw.ends_with(b"?=") {
        return None;
    }
    let decoded = word::decode(&raw, charset);
    if decoded.as_bytes() == raw {
        return None;
    }
    let entries = address::parse(decoded.as_bytes());
    let is_one = decoded.matches('<').count() == 1 && decoded.trim_end().ends_with('>');
    match (entries.as_slice(), is_one) {
        ([Entry::Mailbox(Mailbox { name: Some(name), local, host, .. })], true)
            if !local.is_empty() && !host.is_empty() =>
        {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some(format!("{} <{}@{}>", text(name), text(local), text(host)))
        }
        _ => Some(decoded),
    }
}

/// A name that has something to see, else nothing.
fn visible(name: String) -> String {
    if name.contains(is_visible) { name } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_of_odd_headers_are_named() {
        let shown = |fields: &str| {
            let people = of(fields.as_bytes(), "to", None);
            people.iter().map(Person::shown).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(shown("To: undisclosed-recipients:;\r\n"), "undisclosed-recipients");
        assert_eq!(shown("To: a@x\r\nTo: Bob <b@x>\r\n"), "a@x; Bob");
        assert_eq!(shown("To: Mueller, Ada <ada@x>\r\n"), "Mueller, Ada");
        assert_eq!(shown("To: =?utf-8?q?a=E2=80=AEb?= <a@x>\r\n"), "ab");
        assert_eq!(shown("To: \u{3164}\u{200b} <a@x>\r\n"), "a@x");
        assert_eq!(shown("Cc: a@x\r\n"), "");
    }

    #[test]
    fn address_inside_an_encoded_word_is_a_name() {
        for (field, name) in [
            ("=?utf-8?B?Ik5hbWUiIDxhQGIuZXhhbXBsZT4=?=", "Name <a@b.example>"),
            ("=?utf-8?Q?Name_=3Ca@b.example=3E?=", "Name <a@b.example>"),
            ("=?utf-8?Q?a=40b.example?=", "a@b.example"),
            (
                "=?utf-8?Q?A_=3Ca=40b.example=3E=2C_B_=3Cc=40d.example=3E?=",
                "A <a@b.example>, B <c@d.example>",
            ),
            ("=?utf-8?Q?Name?=\r\n =?utf-8?Q?_=3Ca=40b.example=3E?=", "Name <a@b.example>"),
        ] {
            let people = of(format!("From: {field}\r\n").as_bytes(), "from", None);
            assert_eq!(people, [Person { name: name.into(), address: String::new() }], "{field}");
        }
    }

    #[test]
    fn encoded_word_in_an_address_stays_encoded() {
        let field = b"From: =?utf-8?Q?boss=40b.example=00?=@evil.example\r\n";
        let address = "=?utf-8?Q?boss=40b.example=00?=@evil.example";
        assert_eq!(of(field, "from", None)[0].address, address);
        let named = b"From: =?utf-8?Q?boss=40b.example?= <x@evil.example>\r\n";
        assert_eq!(of(named, "from", None)[0].address, "x@evil.example");
    }
}
