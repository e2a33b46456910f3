//! Search keys (RFC 3501 6.4.4; WITHIN, RFC 5032; CONDSTORE, RFC 7162 3.1.5; OBJECTID,
//! RFC 8474 6; SAVEDATE, RFC 8514 4.3; `$`, RFC 5182 3).

use freehold_core::mailbox::{self, MessageId, ThreadId};

use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::date::Day;
use crate::imap::listing::Needs;
use crate::imap::object_id;
use crate::imap::sequence::Set;

/// Deepest nesting of NOT, OR and parentheses.
const DEPTH_MAX: usize = 32;
/// Most keys of one search.
const KEYS_MAX: usize = 2_000;

/// The date of a message that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dated {
    /// The internal date.
    Internal,
    /// The date on which the message was added to the folder.
    Saved,
    /// The `Date` header.
    Sent,
}

/// The comparison of the date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Before,
    On,
    Since,
}

/// The data that a key needs, the cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cost {
    /// Flags, size and dates.
    State,
    /// The texts in the index.
    Index,
    /// The whole header.
    Header,
    /// The whole message.
    Message,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// An address field, as text or as in the envelope, contains a text.
    Address(String, String),
    All,
    /// All of them.
    And(Vec<Key>),
    Body(String),
    Date(Dated, Order, Day),
    /// The message has this EMAILID; none has it for `None`.
    EmailId(Option<MessageId>),
    /// A flag is set; its name as in FETCH.
    Flag(String),
    /// A header field contains a text; an empty text matches every message that has the field.
    Header(String, String),
    Larger(u32),
    ModSeq(u64),
    Not(Box<Key>),
    Numbers(Set),
    /// The internal date is more than so many seconds ago.
    Older(u32),
    Or(Box<Key>, Box<Key>),
    /// The message is recent in this session.
    Recent,
    Smaller(u32),
    Text(String),
    /// The message has this THREADID; none has it for `None`.
    ThreadId(Option<ThreadId>),
    Uids(Set),
    /// The internal date is within so many seconds.
    Younger(u32),
}

impl Key {
    /// One or more keys up to the end of the command, all of which must match.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let mut count = 0;
        let mut keys = vec![one(cursor, 0, &mut count)?];
        while !cursor.is_done() && cursor.rest() != b" " {
            cursor.space()?;
            keys.push(one(cursor, 0, &mut count)?);
        }
        Ok(all(keys))
    }

    /// The data that the key needs.
    pub(crate) fn cost(&self) -> Cost {
        match self {
            Self::Body(_) | Self::Text(_) => Cost::Message,
            Self::Header(name, _) if !mailbox::is_kept(name) => Cost::Header,
            Self::Address(..)
            | Self::Header(..)
            | Self::Date(Dated::Saved | Dated::Sent, ..)
            | Self::EmailId(_)
            | Self::ThreadId(_) => Cost::Index,
            Self::And(keys) => keys.iter().map(Self::cost).max().unwrap_or(Cost::State),
            Self::Not(key) => key.cost(),
            Self::Or(a, b) => a.cost().max(b.cost()),
            _ => Cost::State,
        }
    }

    /// The columns of the index that the key needs.
    pub(crate) fn needs(&self) -> Needs {
        match self {
            Self::Address(..) => Needs { search: true, ..Needs::default() },
            Self::Header(name, _) if name.eq_ignore_ascii_case("subject") => {
                Needs { search: true, ..Needs::default() }
            }
            Self::Header(..) | Self::Date(Dated::Sent, ..) => {
                Needs { header: true, ..Needs::default() }
            }
            Self::Date(Dated::Saved, ..) | Self::EmailId(_) | Self::ThreadId(_) => {
                Needs { content: true, ..Needs::default() }
            }
            Self::And(keys) => keys.iter().map(Self::needs).fold(Needs::default(), Needs::with),
            Self::Not(key) => key.needs(),
            Self::Or(a, b) => a.needs().with(b.needs()),
            _ => Needs::default(),
        }
    }

    /// True if MODSEQ occurs in the key (RFC 7162 3.1.5).
    pub(crate) fn has_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::And(keys) => keys.iter().any(Self::has_modseq),
            Self::Not(key) => key.has_modseq(),
            Self::Or(a, b) => a.has_modseq() || b.has_modseq(),
            _ => false,
        }
    }
}

fn all(mut keys: Vec<Key>) -> Key {
    if keys.len() == 1 {
        return keys.pop().unwrap_or(Key::All);
    }
    Key::And(keys)
}

fn one(cursor: &mut Cursor<'_>, depth: usize, count: &mut usize) -> Result<Key, SyntaxError> {
    *count = count.saturating_add(1);
    if depth > DEPTH_MAX || *count > KEYS_MAX {
        return Err(cursor.over_limit("the search is nested too deep or too long"));
    }
    let deeper = depth.saturating_add(1);
    match cursor.peek() {
        Some(b'(') => {
            let keys = cursor.list(|cursor| one(cursor, deeper, count))?;
            return if keys.is_empty() {
                Err(SyntaxError("an empty list is no search key"))
            } else {
                Ok(all(keys))
            };
        }
        Some(b'0'..=b'9' | b'*' | b'$') => return cursor.set().map(Key::Numbers),
        _ => {}
    }
    let name = cursor.atom()?.to_ascii_uppercase();
    let key = match name.as_str() {
        "ALL" => Key::All,
        "ANSWERED" | "DELETED" | "DRAFT" | "FLAGGED" | "SEEN" => system(&name),
        "UNANSWERED" | "UNDELETED" | "UNDRAFT" | "UNFLAGGED" | "UNSEEN" => {
            not(system(name.trim_start_matches("UN")))
        }
        "BCC" | "CC" | "FROM" | "TO" => Key::Address(name, text(cursor)?),
        "SUBJECT" => Key::Header(name, text(cursor)?),
        "BEFORE" => Key::Date(Dated::Internal, Order::Before, day(cursor)?),
        "ON" => Key::Date(Dated::Internal, Order::On, day(cursor)?),
        "SINCE" => Key::Date(Dated::Internal, Order::Since, day(cursor)?),
        "SAVEDBEFORE" => Key::Date(Dated::Saved, Order::Before, day(cursor)?),
        "SAVEDON" => Key::Date(Dated::Saved, Order::On, day(cursor)?),
        "SAVEDSINCE" => Key::Date(Dated::Saved, Order::Since, day(cursor)?),
        // RFC 8514 4.3: every folder keeps the save date of every message.
        "SAVEDATESUPPORTED" => Key::All,
        "SENTBEFORE" => Key::Date(Dated::Sent, Order::Before, day(cursor)?),
        "SENTON" => Key::Date(Dated::Sent, Order::On, day(cursor)?),
        "SENTSINCE" => Key::Date(Dated::Sent, Order::Since, day(cursor)?),
        "BODY" => Key::Body(text(cursor)?),
        "TEXT" => Key::Text(text(cursor)?),
        "HEADER" => {
            let field = text(cursor)?;
            Key::Header(field, text(cursor)?)
        }
        "KEYWORD" => Key::Flag(flag(cursor)?),
        "UNKEYWORD" => not(Key::Flag(flag(cursor)?)),
        "LARGER" => Key::Larger(number(cursor)?),
        "SMALLER" => Key::Smaller(number(cursor)?),
        "OLDER" => Key::Older(number(cursor)?),
        "YOUNGER" => Key::Younger(number(cursor)?),
        "MODSEQ" => {
            cursor.space()?;
            if cursor.peek() == Some(b'"') {
                // An entry name and type: this server has one modification sequence for each
                // message, so they are ignored.
                cursor.string()?;
                cursor.space()?;
                cursor.atom()?;
                cursor.space()?;
            }
            Key::ModSeq(cursor.number64()?)
        }
        "NEW" => Key::And(vec![Key::Recent, not(system("SEEN"))]),
        "OLD" => not(Key::Recent),
        "RECENT" => Key::Recent,
        "NOT" => {
            cursor.space()?;
            not(one(cursor, deeper, count)?)
        }
        "OR" => {
            cursor.space()?;
            let first = one(cursor, deeper, count)?;
            cursor.space()?;
            Key::Or(Box::new(first), Box::new(one(cursor, deeper, count)?))
        }
        "EMAILID" => {
            cursor.space()?;
            Key::EmailId(object_id::email(&object_id::parse(cursor)?))
        }
        "THREADID" => {
            cursor.space()?;
            Key::ThreadId(object_id::thread(&object_id::parse(cursor)?))
        }
        "UID" => {
            cursor.space()?;
            Key::Uids(cursor.set()?)
        }
        _ => return Err(SyntaxError("unknown search key")),
    };
    Ok(key)
}

fn not(key: Key) -> Key {
    Key::Not(Box::new(key))
}

fn system(name: &str) -> Key {
    Key::Flag(format!("\\{name}"))
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    cursor.space()?;
    String::from_utf8(cursor.astring()?).map_err(|_| SyntaxError("the search text is not UTF-8"))
}

fn flag(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    cursor.space()?;
    cursor.atom()
}

fn day(cursor: &mut Cursor<'_>) -> Result<Day, SyntaxError> {
    cursor.space()?;
    cursor.day()
}

fn number(cursor: &mut Cursor<'_>) -> Result<u32, SyntaxError> {
    cursor.space()?;
    cursor.number()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Key, SyntaxError> {
        Key::parse(&mut Cursor::new(text.as_bytes()))
    }

    #[test]
    fn key_cost_is_the_highest_of_its_parts() {
        let Key::And(keys) = parse("BODY x FROM y UNSEEN").unwrap() else { panic!("no list") };
        assert_eq!(
            keys.iter().map(Key::cost).collect::<Vec<_>>(),
            [Cost::Message, Cost::Index, Cost::State]
        );
        assert_eq!(parse("OR (SEEN FROM y) NOT BODY x").unwrap().cost(), Cost::Message);
    }

    #[test]
    fn search_nesting_is_bounded() {
        assert!(parse(&("NOT ".repeat(30) + "ALL")).is_ok());
        assert!(parse(&("NOT ".repeat(100_000) + "ALL")).is_err());
        assert!(parse(&("(".repeat(100_000))).is_err());
        assert!(parse(&("OR ALL ".repeat(3_000) + "ALL")).is_err());
        assert!(parse(&("ALL ".repeat(3_000) + "ALL")).is_err());
    }

    #[test]
    fn malformed_searches_are_refused() {
        for text in [
            "",
            "FROM",
            "SINCE 31-Feb-2026",
            "()",
            "OR ALL",
            "LARGER x",
            "EMAILID",
            "EMAILID \"M1\"",
            "THREADID (T1)",
            "SAVEDON",
            "NOSUCH",
            "1:",
            "ALL  ALL",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
