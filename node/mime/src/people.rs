//! The people of a header, safe to show.

use crate::address::{self, ADDRESSES_MAX, Entry};
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
        Entry::Mailbox(mailbox) => Some(Person {
            name: visible(one_line(&mailbox.display_name(charset), NAME_LEN_MAX)),
            address: one_line(&mailbox.address(), ADDRESS_LEN_MAX),
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
}
