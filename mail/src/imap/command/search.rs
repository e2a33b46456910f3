//! SEARCH (RFC 3501 6.4.4) with ESEARCH (RFC 4731), in slices: some messages at a time.

pub(crate) mod key;
pub(crate) mod matching;

use freehold_core::mailbox;

use self::key::{Cost, Key};
use self::matching::{Candidate, Terms};
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::listing::Listing;
use crate::imap::selected::{MessageRef, Selected};
use crate::imap::sequence::{self, Numbering};

/// Messages examined in one slice when only flags, sizes and dates are read.
const STATES_PER_SLICE: usize = 5_000;
/// Messages examined in one slice when texts of the index are read.
const INDEXED_PER_SLICE: usize = 2_000;
/// Messages examined in one slice when blobs are read.
const BLOBS_PER_SLICE: usize = 20;
/// Bytes of whole messages after which a slice ends: between slices the session sees whether the
/// client has left. One message may be longer.
const BYTES_PER_SLICE: u64 = 4 * 1024 * 1024;

/// The search key and the form of the result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) by: Numbering,
    pub(crate) key: Key,
    /// The charset is neither US-ASCII nor UTF-8.
    pub(crate) unknown_charset: bool,
    /// `RETURN (…)`; `None` for a SEARCH response.
    pub(crate) returns: Option<Returns>,
}

/// RFC 4731 3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Returns {
    pub(crate) min: bool,
    pub(crate) max: bool,
    pub(crate) all: bool,
    pub(crate) count: bool,
}

impl Search {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: Numbering) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let returns = if cursor.eat("RETURN ") { Some(Returns::parse(cursor)?) } else { None };
        let mut unknown_charset = false;
        if cursor.eat("CHARSET ") {
            let charset = cursor.astring()?.to_ascii_uppercase();
            unknown_charset = !matches!(charset.as_slice(), b"US-ASCII" | b"UTF-8");
            cursor.space()?;
            if unknown_charset {
                // The response names the supported charsets; the rest is not parsed, as it may not
                // be UTF-8.
                cursor.run(|_| true);
                return Ok(Self { by, key: Key::All, unknown_charset, returns });
            }
        }
        Ok(Self { by, key: Key::parse(cursor)?, unknown_charset, returns })
    }
}

impl Returns {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let mut returns = Self::default();
        let options = cursor.list(Cursor::atom)?;
        for option in &options {
            match option.to_ascii_uppercase().as_str() {
                "MIN" => returns.min = true,
                "MAX" => returns.max = true,
                "ALL" => returns.all = true,
                "COUNT" => returns.count = true,
                _ => return Err(SyntaxError("unknown result option")),
            }
        }
        // RFC 4731 3.1: an empty list means ALL.
        returns.all |= options.is_empty();
        cursor.space()?;
        Ok(returns)
    }
}

/// A SEARCH in progress.
#[derive(Debug)]
pub(crate) struct SearchProgress {
    tag: String,
    pub(crate) by: Numbering,
    terms: Terms,
    returns: Option<Returns>,
    todo: std::vec::IntoIter<MessageRef>,
    found: Vec<u32>,
    /// The modseqs of the messages found, if MODSEQ was among the keys.
    modseqs: Option<Modseqs>,
}

/// The modseqs of the first and the last message found, and the highest of all.
#[derive(Clone, Copy, Debug, Default)]
struct Modseqs {
    first: u64,
    last: u64,
    highest: u64,
}

impl Modseqs {
    fn add(&mut self, modseq: u64) {
        if self.highest == 0 {
            self.first = modseq;
        }
        self.last = modseq;
        self.highest = self.highest.max(modseq);
    }

    /// The modseq of a response: with MIN and MAX alone that of the messages in it, else the
    /// highest of all messages found (RFC 4731 3.2).
    fn of(self, returns: Option<Returns>) -> u64 {
        match returns {
            Some(Returns { min: true, max: true, all: false, count: false }) => {
                self.first.max(self.last)
            }
            Some(Returns { min: true, all: false, count: false, .. }) => self.first,
            Some(Returns { max: true, all: false, count: false, .. }) => self.last,
            _ => self.highest,
        }
    }
}

impl SearchProgress {
    /// Begins a SEARCH.
    pub(crate) fn start(
        cx: &Context,
        selected: &Selected,
        tag: String,
        search: Search,
    ) -> Result<Self, Completion> {
        if search.unknown_charset {
            return Err(Completion::no("unsupported charset").code("BADCHARSET (US-ASCII UTF-8)"));
        }
        let modseqs = search.key.has_modseq().then(Modseqs::default);
        let terms = Terms::new(search.key, selected, cx.node.clock.now());
        let todo = selected.all().into_iter();
        let (by, returns) = (search.by, search.returns);
        Ok(Self { tag, by, terms, returns, todo, found: Vec::new(), modseqs })
    }

    /// Examines the next slice of messages; the completion once all are examined.
    pub(crate) fn slice(&mut self, cx: &mut Context, selected: &Selected) -> Option<Completion> {
        let len = match self.terms.cost() {
            Cost::State => STATES_PER_SLICE,
            Cost::Index => INDEXED_PER_SLICE,
            Cost::Header | Cost::Message => BLOBS_PER_SLICE,
        };
        let refs: Vec<MessageRef> = self.todo.as_slice().iter().take(len).copied().collect();
        let (Some(first), Some(last)) = (refs.first(), refs.last()) else {
            self.print(cx);
            return Some(Completion::ok("searched"));
        };
        let (first, last) = (first.uid, last.uid);
        let messages = match mailbox::messages(&cx.node, selected.folder, first, last, usize::MAX) {
            Ok(messages) => messages,
            Err(error) => return Some(error.into()),
        };
        let needs = self.terms.needs();
        let listing = match Listing::read(&cx.node, selected.folder, needs, first, last) {
            Ok(listing) => listing,
            Err(error) => return Some(error.into()),
        };
        let mut rest = refs.iter().peekable();
        let mut bytes = 0u64;
        for message in &messages {
            // A message that arrived meanwhile has no sequence number, one expunged has no row.
            while rest.next_if(|named| named.uid < message.uid).is_some() {}
            if bytes >= BYTES_PER_SLICE {
                break;
            }
            let Some(&MessageRef { number, uid }) = rest.next_if(|named| named.uid == message.uid)
            else {
                continue;
            };
            if self.terms.cost() == Cost::Message {
                bytes = bytes.saturating_add(message.size);
            }
            let mut candidate =
                Candidate::new(cx, &listing, message, number, selected.is_recent(uid));
            match self.terms.match_message(&mut candidate) {
                Ok(true) => {
                    self.found.push(if self.by == Numbering::Uid { uid } else { number });
                    if let Some(modseqs) = &mut self.modseqs {
                        modseqs.add(message.modseq);
                    }
                }
                Ok(false) => {}
                Err(error) => return Some(error.into()),
            }
        }
        let unexamined = if bytes >= BYTES_PER_SLICE { rest.len() } else { 0 };
        self.todo.by_ref().take(refs.len().saturating_sub(unexamined)).for_each(drop);
        None
    }

    fn print(&self, cx: &mut Context) {
        let modseqs = self.modseqs.filter(|_| !self.found.is_empty());
        let modseq = modseqs.map(|modseqs| modseqs.of(self.returns));
        let Some(returns) = self.returns else {
            cx.out.raw("* SEARCH");
            for number in &self.found {
                cx.out.show(format_args!(" {number}"));
            }
            if let Some(modseq) = modseq {
                cx.out.show(format_args!(" (MODSEQ {modseq})"));
            }
            cx.out.end();
            return;
        };
        cx.out.raw("* ESEARCH (TAG ").string(&self.tag).raw(")");
        if self.by == Numbering::Uid {
            cx.out.raw(" UID");
        }
        if let Some(min) = self.found.first().filter(|_| returns.min) {
            cx.out.show(format_args!(" MIN {min}"));
        }
        if let Some(max) = self.found.last().filter(|_| returns.max) {
            cx.out.show(format_args!(" MAX {max}"));
        }
        if returns.all && !self.found.is_empty() {
            cx.out.raw(" ALL ").raw(sequence::write(&self.found));
        }
        if returns.count {
            cx.out.show(format_args!(" COUNT {}", self.found.len()));
        }
        if let Some(modseq) = modseq {
            cx.out.show(format_args!(" MODSEQ {modseq}"));
        }
        cx.out.end();
    }
}
