//! Matches messages against the search keys. Keys that need only the row are evaluated first, then
//! those that need the header, last those that need the whole message.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use std::sync::Arc;

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{self, Message, Searched, TextCandidates};
use freehold_core::store::StoreError;
use freehold_mime::{header, search as text};

use super::key::{Cost, Dated, Key, Order};
use crate::imap::context::Context;
use crate::imap::date::Day;
use crate::imap::flags;
use crate::imap::listing::{Listing, Needs};
use crate::imap::selected::Selected;
use crate::imap::sequence::{Numbering, Set};
use crate::imap::structure_cache::Header;

/// The most texts of one search for which the index of texts is asked: an answer takes up to 4
/// bytes for each message of the folder.
const FILTERS_MAX: usize = 16;

/// Search keys with resolved sets and folded texts.
#[derive(Debug)]
pub(crate) struct Terms {
    key: Key,
    cost: Cost,
    needs: Needs,
    now: Timestamp,
    filters: Vec<Filter>,
}

/// The messages that may contain a text, by the index.
#[derive(Debug)]
struct Filter {
    searched: Searched,
    text: String,
    candidates: TextCandidates,
}

/// The message being examined, with the parts of it that were read for earlier keys.
pub(crate) struct Candidate<'a> {
    cx: &'a Context,
    listing: &'a Listing,
    message: &'a Message,
    number: u32,
    is_recent: bool,
    header: Option<Arc<Header>>,
    /// The text parts of the body, decoded and in lower case.
    body: Option<String>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(
        cx: &'a Context,
        listing: &'a Listing,
        message: &'a Message,
        number: u32,
        is_recent: bool,
    ) -> Self {
        Self { cx, listing, message, number, is_recent, header: None, body: None }
    }

    /// True if its bytes were read.
    pub(crate) fn was_read(&self) -> bool {
        self.header.is_some() || self.body.is_some()
    }

    /// The message.
    pub(crate) fn message(&self) -> &'a Message {
        self.message
    }

    /// The number by which a response names the message.
    pub(crate) fn number(&self, by: Numbering) -> u32 {
        match by {
            Numbering::Sequence => self.number,
            Numbering::Uid => self.message.uid,
        }
    }

    /// The decoded subject in lower case; `None` if the index does not have it.
    pub(crate) fn listed_subject(&self) -> Option<&'a str> {
        let values = self.listing.searched(self.message.uid, "subject")?;
        Some(values.strip_prefix('\n').unwrap_or(values).lines().next().unwrap_or_default())
    }

    /// Runs `read` on a header that has all fields of this name.
    pub(crate) fn with_field<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, StoreError> {
        match self.listing.header(self.message.uid).filter(|_| mailbox::is_kept(name)) {
            Some(kept) => Ok(read(kept)),
            None => Ok(read(&self.header()?.bytes)),
        }
    }

    fn header(&mut self) -> Result<Arc<Header>, StoreError> {
        if let Some(header) = &self.header {
            return Ok(Arc::clone(header));
        }
        let header = self.cx.shared.structure_cache.header(&self.cx.node, self.message)?;
        Ok(Arc::clone(self.header.insert(header)))
    }

    fn body(&mut self) -> Result<&str, StoreError> {
        let body = match self.body.take() {
            Some(body) => body,
            None => mailbox::body_text(&self.cx.node, self.message)?,
        };
        Ok(self.body.insert(body))
    }
}

impl Terms {
    /// Resolves keys for one folder at one moment, and asks the index of texts. A sequence number
    /// without a message matches none: RFC 3501 section 9 makes it an error, but programs search
    /// for one that another session has just expunged.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) fn new(
        cx: &Context,
        key: Key,
        selected: &Selected,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let (cost, needs) = (key.cost(), key.needs());
        let key = resolve(key, selected);
        let mut filters: Vec<Filter> = Vec::new();
        for (searched, text) in texts(&key) {
            let is_known =
                filters.iter().any(|known| known.searched == searched && known.text == text);
            if filters.len() >= FILTERS_MAX || is_known {
                continue;
            }
            let candidates =
                mailbox::text_candidates(&cx.node, selected.folder, searched, &[text])?;
            filters.push(Filter { searched, text: text.to_owned(), candidates });
        }
        Ok(Self { key, cost, needs, now, filters })
    }

    /// True if the index of texts alone says that a message does not match.
    pub(crate) fn excludes(&self, uid: u32) -> bool {
        let excludes = |key: &Key| match key {
            Key::Body(text) => self.by_index(Searched::Body, text, uid) == Some(false),
            Key::Text(text) => self.by_index(Searched::Whole, text, uid) == Some(false),
            _ => false,
        };
        match &self.key {
            Key::And(keys) => keys.iter().any(excludes),
            key => excludes(key),
        }
    }

    /// Whether a message contains a text, if the index says so for certain.
    fn by_index(&self, searched: Searched, text: &str, uid: u32) -> Option<bool> {
        let asked = |filter: &&Filter| filter.searched == searched && filter.text == text;
        let candidates = &self.filters.iter().find(asked)?.candidates;
        match candidates.contains(uid) {
            false => Some(false),
            true => candidates.is_certain(uid).then_some(true),
        }
    }

    /// The columns of the index that the keys need.
    pub(crate) fn needs(&self) -> Needs {
        self.needs
    }

    /// The data that is read of each message.
    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    /// True if a message matches all keys.
    pub(crate) fn match_message(&self, candidate: &mut Candidate<'_>) -> Result<bool, StoreError> {
        self.matches(&self.key, candidate)
    }

    fn matches(&self, key: &Key, candidate: &mut Candidate<'_>) -> Result<bool, StoreError> {
        let message = candidate.message;
        Ok(match key {
            Key::All => true,
            Key::And(keys) => {
                for key in keys {
                    if !self.matches(key, candidate)? {
                        return Ok(false);
                    }
                }
                true
            }
            Key::Recent => candidate.is_recent,
            Key::Or(a, b) => self.matches(a, candidate)? || self.matches(b, candidate)?,
            Key::Not(key) => !self.matches(key, candidate)?,
            Key::Flag(name) => match flags::system(name) {
                Some(bit) => message.flags.has(bit),
                None => message.flags.has_keyword(name),
            },
            Key::Larger(size) => message.size > u64::from(*size),
            Key::Smaller(size) => message.size < u64::from(*size),
            Key::ModSeq(least) => message.modseq >= *least,
            Key::Older(seconds) => {
                self.now.millis_since(message.internal_date) / 1_000 >= u64::from(*seconds)
            }
            Key::Younger(seconds) => {
                self.now.millis_since(message.internal_date) / 1_000 <= u64::from(*seconds)
            }
            Key::Numbers(set) => set.contains(candidate.number),
            Key::Uids(set) => set.contains(message.uid),
            Key::Date(Dated::Internal, order, day) => {
                compare(Day::of(message.internal_date), *order, *day)
            }
            Key::Date(Dated::Saved, order, day) => candidate
                .listing
                .content(message.uid)
                .is_some_and(|content| compare(Day::of(content.saved), *order, *day)),
            Key::EmailId(wanted) => {
                let content = candidate.listing.content(message.uid);
                content.is_some_and(|content| Some(content.id) == *wanted)
            }
            Key::ThreadId(wanted) => {
                let content = candidate.listing.content(message.uid);
                wanted.is_some() && content.is_some_and(|content| content.thread == *wanted)
            }
            Key::Date(Dated::Sent, order, day) => {
                let of_header =
                    |header: &[u8]| header::first(header, "date").and_then(Day::of_header);
                let sent = match message.sent_day {
                    Some(day) => Some(Day(day)),
                    None => candidate.with_field("date", of_header)?,
                };
                // RFC 3501 6.4.4 compares the Date header; a message without one is compared by its
                // internal date.
                let sent = sent.unwrap_or_else(|| Day::of(message.internal_date));
                compare(sent, *order, *day)
            }
            Key::Address(name, wanted) => match candidate.listing.searched(message.uid, name) {
                Some(text) => !text.is_empty() && text.contains(wanted),
                None => candidate.with_field(name, |header| {
                    values(header, name).any(|value| {
                        contains(value, wanted)
                            || text::fold(&text::addresses(value)).contains(wanted)
                    })
                })?,
            },
            Key::Header(name, wanted) => match candidate.listing.searched(message.uid, name) {
                Some(text) if name.eq_ignore_ascii_case("subject") => {
                    !text.is_empty() && text.contains(wanted)
                }
                _ => candidate.with_field(name, |header| {
                    values(header, name).any(|value| contains(value, wanted))
                })?,
            },
            Key::Body(wanted) => match self.by_index(Searched::Body, wanted, message.uid) {
                Some(contains) => contains,
                None => candidate.body()?.contains(wanted.as_str()),
            },
            Key::Text(wanted) => match self.by_index(Searched::Whole, wanted, message.uid) {
                Some(contains) => contains,
                None => {
                    let header = candidate.header()?;
                    text::fold(&text::header(&header.bytes)).contains(wanted)
                        || candidate.body()?.contains(wanted.as_str())
                }
            },
        })
    }
}

/// The texts that a key looks for in bodies and whole messages.
fn texts(key: &Key) -> Vec<(Searched, &str)> {
    match key {
        Key::Body(text) => vec![(Searched::Body, text)],
        Key::Text(text) => vec![(Searched::Whole, text)],
        Key::And(keys) => keys.iter().flat_map(texts).collect(),
        Key::Not(key) => texts(key),
        Key::Or(a, b) => [texts(a), texts(b)].concat(),
        _ => Vec::new(),
    }
}

/// The raw values of all fields of this name.
fn values<'a>(header: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    header::fields(header)
        .filter(move |field| field.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|field| field.value)
}

/// True if a field's text contains `wanted`, which is folded.
fn contains(value: &[u8], wanted: &str) -> bool {
    wanted.is_empty() || text::fold(&text::field(value)).contains(wanted)
}

/// Lower-cases texts, resolves sets, and puts cheap keys first.
fn resolve(key: Key, selected: &Selected) -> Key {
    match key {
        Key::Body(text) => Key::Body(text::fold(&text)),
        Key::Text(text) => Key::Text(text::fold(&text)),
        Key::Address(name, text) => Key::Address(name, text::fold(&text)),
        Key::Header(name, text) => Key::Header(name, text::fold(&text)),
        Key::Numbers(set) if set.has_saved => {
            or_saved(Key::Numbers(set.resolved(selected.len())), selected)
        }
        Key::Uids(set) if set.has_saved => {
            or_saved(Key::Uids(set.resolved(selected.largest_uid())), selected)
        }
        Key::Numbers(set) => Key::Numbers(set.resolved(selected.len())),
        Key::Uids(set) => Key::Uids(set.resolved(selected.largest_uid())),
        Key::Not(key) => Key::Not(Box::new(resolve(*key, selected))),
        Key::Or(a, b) => Key::Or(Box::new(resolve(*a, selected)), Box::new(resolve(*b, selected))),
        Key::And(keys) => {
            let mut keys: Vec<Key> = keys.into_iter().map(|key| resolve(key, selected)).collect();
            keys.sort_by_key(Key::cost);
            Key::And(keys)
        }
        other => other,
    }
}

/// The messages of a set, or of `$`, in whose place their UIDs are taken.
fn or_saved(set: Key, selected: &Selected) -> Key {
    let saved: Vec<u32> = selected.saved().map(|message| message.uid).collect();
    Key::Or(Box::new(set), Box::new(Key::Uids(Set::of(&saved))))
}

fn compare(found: Day, order: Order, wanted: Day) -> bool {
    match order {
        Order::Before => found < wanted,
        Order::On => found == wanted,
        Order::Since => found >= wanted,
    }
}
