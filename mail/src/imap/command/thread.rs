//! THREAD (RFC 5256 3): ORDEREDSUBJECT and REFERENCES, in slices as SEARCH.
//!
//! Nothing here recurses: a stranger decides how deep a thread is. Subjects and Message-IDs are
//! kept as keyed hashes of 64 bits, so that a message takes little memory and nobody can make two
//! of them equal.

mod forest;
mod message_id;
mod ordered_subject;
mod references;

use std::hash::{BuildHasher, RandomState};

use freehold_mime::casemap::push_key;
use freehold_mime::{date, header, search as text, subject};

use self::ordered_subject::OrderedSubject;
use self::references::References;
use super::search::matching::Candidate;
use super::search::query::Query;
use super::search::walk::Walk;
use super::sort::criterion::{arrival, compared};
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::listing::Needs;
use crate::imap::selected::Selected;
use crate::imap::sequence::Numbering;
use freehold_core::store::StoreError;

/// `thread-alg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    OrderedSubject,
    References,
    /// An algorithm that this server does not have.
    Unknown,
}

/// The algorithm and the search keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    pub(crate) by: Numbering,
    pub(crate) algorithm: Algorithm,
    pub(crate) query: Query,
}

impl Thread {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: Numbering) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let algorithm = match cursor.atom()?.to_ascii_uppercase().as_str() {
            "ORDEREDSUBJECT" => Algorithm::OrderedSubject,
            "REFERENCES" => Algorithm::References,
            _ => Algorithm::Unknown,
        };
        cursor.space()?;
        Ok(Self { by, algorithm, query: Query::parse_in_charset(cursor)? })
    }
}

/// A message to be put into a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Threaded {
    /// Its sequence number or UID.
    number: u32,
    /// Its sent date in seconds (RFC 5256 2.2).
    date: i64,
    /// The hash of its base subject; zero if that is empty.
    subject: u64,
    /// The subject is that of a reply or a forward (RFC 5256 2.1).
    is_reply: bool,
}

/// The header fields that decide about a thread.
#[derive(Clone, Copy, Debug, Default)]
struct Fields<'a> {
    date: Option<&'a [u8]>,
    in_reply_to: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
    references: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// The first field of each name.
    fn of(bytes: &'a [u8]) -> Self {
        let mut fields = Self::default();
        for field in header::fields(bytes) {
            let slot = match field.name.len() {
                4 if field.is("date") => &mut fields.date,
                7 if field.is("subject") => &mut fields.subject,
                10 if field.is("message-id") => &mut fields.message_id,
                10 if field.is("references") => &mut fields.references,
                11 if field.is("in-reply-to") => &mut fields.in_reply_to,
                _ => continue,
            };
            slot.get_or_insert(field.value);
        }
        fields
    }
}

/// A THREAD in progress.
#[derive(Debug)]
pub(crate) struct ThreadProgress {
    pub(crate) by: Numbering,
    walk: Walk,
    builder: Builder,
    hasher: RandomState,
    key: Vec<u8>,
}

#[derive(Debug)]
enum Builder {
    OrderedSubject(OrderedSubject),
    References(Box<References>),
}

impl ThreadProgress {
    /// Begins a THREAD.
    pub(crate) fn start(
        cx: &Context,
        selected: &Selected,
        thread: Thread,
    ) -> Result<Self, Completion> {
        let builder = match thread.algorithm {
            Algorithm::OrderedSubject => Builder::OrderedSubject(OrderedSubject::default()),
            Algorithm::References => Builder::References(Box::default()),
            Algorithm::Unknown => {
                return Err(Completion::no("unknown threading algorithm").code("CANNOT"));
            }
        };
        let needs = Needs { header: true, ..Needs::default() };
        let walk = Walk::start(cx, selected, thread.query, needs)?;
        let hasher = RandomState::new();
        Ok(Self { by: thread.by, walk, builder, hasher, key: Vec::new() })
    }

    /// Examines the next slice of messages; the completion once all are examined.
    pub(crate) fn slice(&mut self, cx: &mut Context, selected: &Selected) -> Option<Completion> {
        let Self { by, walk, builder, hasher, key } = self;
        let sliced =
            walk.slice(cx, selected, |candidate| add(builder, hasher, key, candidate, *by));
        match sliced {
            Ok(true) => None,
            Ok(false) => {
                let forest = match std::mem::take(&mut self.builder) {
                    Builder::OrderedSubject(builder) => builder.finish(),
                    Builder::References(builder) => builder.finish(),
                };
                cx.out.raw("* THREAD");
                forest.print(&mut cx.out);
                cx.out.end();
                Some(Completion::ok("threaded"))
            }
            Err(error) => Some(error.into()),
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::OrderedSubject(OrderedSubject::default())
    }
}

/// Adds a message that the search found.
fn add(
    builder: &mut Builder,
    hasher: &RandomState,
    key: &mut Vec<u8>,
    candidate: &mut Candidate<'_>,
    by: Numbering,
) -> Result<(), StoreError> {
    let number = candidate.number(by);
    let arrived = arrival(candidate.message());
    // The index keeps all five fields.
    candidate.with_field("references", |header| {
        let fields = Fields::of(header);
        let sent = fields.date.and_then(date::parse).map(|date| date.sort_secs());
        let decoded = fields.subject.map(text::field).unwrap_or_default();
        let base = subject::base(&decoded);
        key.clear();
        push_key(key, compared(base.text));
        let subject = if key.is_empty() { 0 } else { hasher.hash_one(&*key) };
        let date = sent.unwrap_or(arrived);
        let message = Threaded { number, date, subject, is_reply: base.is_reply };
        match builder {
            Builder::OrderedSubject(builder) => builder.add(message),
            Builder::References(builder) => builder.add(message, &fields),
        }
    })
}

/// The indexes of messages in the order of their sent dates; of equal dates in the order of the
/// folder (RFC 5256 2.2).
fn by_date(messages: &[Threaded]) -> Vec<u32> {
    let mut order: Vec<u32> = (0u32..).take(messages.len()).collect();
    order.sort_by_key(|index| messages.get(*index as usize).map(|message| message.date));
    order
}
