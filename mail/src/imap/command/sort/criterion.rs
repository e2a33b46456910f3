//! The criteria of SORT (RFC 5256 3, RFC 5957 3), and the key of a message: octets whose order is
//! the order of the messages.

use freehold_core::mailbox::Message;
use freehold_core::store::StoreError;
use freehold_mime::address::{self, Entry};
use freehold_mime::casemap::push_key;
use freehold_mime::imap::envelope::NO_MAILBOX;
use freehold_mime::{date, header, search as text, subject};

use crate::imap::command::search::matching::Candidate;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::listing::Needs;

/// The bytes of a text that are compared. A text is a stranger's and may be long.
const COMPARED_LEN_MAX: usize = 500;

/// `sort-key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortKey {
    Arrival,
    Cc,
    Date,
    DisplayFrom,
    DisplayTo,
    From,
    Size,
    Subject,
    To,
}

/// `sort-criterion`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Criterion {
    pub(crate) key: SortKey,
    pub(crate) is_reversed: bool,
}

impl Criterion {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let is_reversed = cursor.eat("REVERSE ");
        let key = match cursor.atom()?.to_ascii_uppercase().as_str() {
            "ARRIVAL" => SortKey::Arrival,
            "CC" => SortKey::Cc,
            "DATE" => SortKey::Date,
            "DISPLAYFROM" => SortKey::DisplayFrom,
            "DISPLAYTO" => SortKey::DisplayTo,
            "FROM" => SortKey::From,
            "SIZE" => SortKey::Size,
            "SUBJECT" => SortKey::Subject,
            "TO" => SortKey::To,
            _ => return Err(SyntaxError("unknown sort key")),
        };
        Ok(Self { key, is_reversed })
    }

    /// The columns of the index that the criterion needs.
    pub(crate) fn needs(self) -> Needs {
        match self.key {
            SortKey::Arrival | SortKey::Size => Needs::default(),
            SortKey::Subject => Needs { search: true, ..Needs::default() },
            _ => Needs { header: true, ..Needs::default() },
        }
    }

    /// True if its part of a key is made from texts of the message, which never change.
    pub(super) fn reads_texts(self) -> bool {
        self.needs() != Needs::default()
    }

    /// Appends the criterion's part of a message's key, as if it were not reversed.
    pub(super) fn push(
        self,
        out: &mut Vec<u8>,
        candidate: &mut Candidate<'_>,
    ) -> Result<(), StoreError> {
        match self.key {
            SortKey::Arrival => push_number(out, arrival(candidate.message())),
            SortKey::Date => {
                let date = sent_date(candidate)?;
                push_number(out, date);
            }
            SortKey::Size => out.extend(candidate.message().size.to_be_bytes()),
            SortKey::Subject => {
                if let Some(value) = candidate.listed_subject() {
                    push_text(out, subject::base(value).text);
                } else {
                    let subject = candidate.with_field("subject", |header| {
                        header::first(header, "subject").map(text::field)
                    })?;
                    push_text(out, subject::base(&subject.unwrap_or_default()).text);
                }
            }
            SortKey::Cc => push_text(out, &candidate.with_field("cc", |h| mailbox(h, "cc"))?),
            SortKey::From => push_text(out, &candidate.with_field("from", |h| mailbox(h, "from"))?),
            SortKey::To => push_text(out, &candidate.with_field("to", |h| mailbox(h, "to"))?),
            SortKey::DisplayFrom => {
                push_text(out, &candidate.with_field("from", |h| display(h, "from"))?);
            }
            SortKey::DisplayTo => {
                push_text(out, &candidate.with_field("to", |h| display(h, "to"))?);
            }
        }
        Ok(())
    }
}

/// The internal date in seconds, as clients see it.
pub(crate) fn arrival(message: &Message) -> i64 {
    i64::try_from(message.internal_date.as_secs()).unwrap_or(i64::MAX)
}

/// The sent date in seconds: the Date field in UTC, or the internal date if there is none that can
/// be read (RFC 5256 2.2).
pub(crate) fn sent_date(candidate: &mut Candidate<'_>) -> Result<i64, StoreError> {
    let of_header = |fields: &[u8]| header::first(fields, "date").and_then(date::parse);
    let date = candidate.with_field("date", of_header)?;
    Ok(date.map_or_else(|| arrival(candidate.message()), |date| date.sort_secs()))
}

/// A number whose octets have the order of the numbers.
fn push_number(out: &mut Vec<u8>, number: i64) {
    out.extend((number.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

/// The part of a text that is compared.
pub(crate) fn compared(text: &str) -> &str {
    text.get(..text.floor_char_boundary(COMPARED_LEN_MAX)).unwrap_or(text)
}

/// A text's key, ended by NUL, so that a text comes before those that it begins.
fn push_text(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    push_key(out, compared(text));
    out.iter_mut().skip(start).filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    out.push(0);
}

/// The first entry of an address field that has one.
fn first(fields: &[u8], name: &str) -> Option<Entry> {
    header::all(fields, name).find_map(|value| address::parse(value).into_iter().next())
}

/// `addr-mailbox` of the first address as in ENVELOPE: its local part, or the name of a group (RFC
/// 5256 3).
fn mailbox(fields: &[u8], name: &str) -> String {
    match first(fields, name) {
        Some(Entry::Mailbox(mailbox)) if mailbox.local.is_empty() => {
            String::from_utf8_lossy(NO_MAILBOX).into_owned()
        }
        Some(Entry::Mailbox(mailbox)) => String::from_utf8_lossy(&mailbox.local).into_owned(),
        Some(Entry::GroupStart(group)) => text::field(&group),
        Some(Entry::GroupEnd) | None => String::new(),
    }
}

/// The decoded name of the first address or group, or the address if it has none (RFC 5957 3).
fn display(fields: &[u8], name: &str) -> String {
    match first(fields, name) {
        Some(Entry::Mailbox(mailbox)) => {
            let name = mailbox.display_name(None);
            if name.trim().is_empty() { mailbox.address() } else { name }
        }
        Some(Entry::GroupStart(group)) => text::field(&group),
        Some(Entry::GroupEnd) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(push: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out);
        out
    }

    #[test]
    fn octets_have_the_order_of_numbers_and_texts() {
        let numbers = [i64::MIN, -1, 0, 1, i64::MAX].map(|n| key(|out| push_number(out, n)));
        assert!(numbers.is_sorted());
        let texts = ["", "A", "a b", "ab", "\u{e4}", "b\0", "b\0c"];
        let texts = texts.map(|text| key(|out| push_text(out, text)));
        assert!(texts.is_sorted());
        assert_eq!(key(|out| push_text(out, &"\u{e4}".repeat(9_000))).len(), 250 * 3 + 1);
    }

    #[test]
    fn first_address_of_odd_fields_is_compared() {
        for (field, local, shown) in [
            ("Bob <b@x.example>, c@x.example", "b", "Bob"),
            ("=?utf-8?q?J=C3=BCrgen?= <j@x.example>", "j", "J\u{fc}rgen"),
            ("b@x.example", "b", "b@x.example"),
            ("friends: b@x.example;", "friends", "friends"),
            ("\"\" <b@x.example>", "b", "b@x.example"),
            ("", "", ""),
        ] {
            let header = format!("From:{field}\r\n");
            assert_eq!(mailbox(header.as_bytes(), "from"), local, "{field}");
            assert_eq!(display(header.as_bytes(), "from"), shown, "{field}");
        }
    }
}
