//! SEARCH (RFC 3501 6.4.4) with ESEARCH (RFC 4731), in slices so that a long search keeps nobody
//! else waiting.

pub(crate) mod key;
pub(crate) mod matching;
pub(crate) mod text;

use freehold_core::mailbox;

use self::key::Key;
use self::matching::{Candidate, Terms};
use super::By;
use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};
use crate::imap::selected::{Named, Selected};
use crate::imap::sequence;

/// Messages looked at in one slice when only rows are read.
const ROWS_PER_SLICE: usize = 1_000;
/// And when blobs are.
const BLOBS_PER_SLICE: usize = 20;

/// What to look for, and how to say what was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) by: By,
    pub(crate) key: Key,
    /// A charset that is neither US-ASCII nor UTF-8.
    pub(crate) unknown_charset: bool,
    /// `RETURN (…)`; none for the plain answer.
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
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: By) -> Result<Self, Bad> {
        cursor.space()?;
        let returns = if cursor.eat("RETURN ") { Some(Returns::parse(cursor)?) } else { None };
        let mut unknown_charset = false;
        if cursor.eat("CHARSET ") {
            let charset = cursor.astring()?.to_ascii_uppercase();
            unknown_charset = !matches!(charset.as_slice(), b"US-ASCII" | b"UTF-8");
            cursor.space()?;
            if unknown_charset {
                // The answer names the charsets that work; the rest need not make sense in this
                // one.
                cursor.run(|_| true);
                return Ok(Self { by, key: Key::All, unknown_charset, returns });
            }
        }
        Ok(Self { by, key: Key::parse(cursor)?, unknown_charset, returns })
    }
}

impl Returns {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        let mut returns = Self::default();
        let options = cursor.list(Cursor::atom)?;
        for option in &options {
            match option.to_ascii_uppercase().as_str() {
                "MIN" => returns.min = true,
                "MAX" => returns.max = true,
                "ALL" => returns.all = true,
                "COUNT" => returns.count = true,
                _ => return Err(Bad("unknown result option")),
            }
        }
        // RFC 4731 3.1: an empty list means ALL.
        returns.all |= options.is_empty();
        cursor.space()?;
        Ok(returns)
    }
}

/// A search under way.
#[derive(Debug)]
pub(crate) struct Searching {
    pub(crate) tag: String,
    pub(crate) by: By,
    terms: Terms,
    returns: Option<Returns>,
    todo: std::vec::IntoIter<Named>,
    found: Vec<u32>,
    highest_modseq: Option<u64>,
}

impl Searching {
    /// Begins a search.
    pub(crate) fn start(
        cx: &mut Context,
        selected: &Selected,
        tag: String,
        search: Search,
    ) -> Result<Self, Done> {
        if search.unknown_charset {
            return Err(Done::no("this charset is not known").code("BADCHARSET (US-ASCII UTF-8)"));
        }
        let asks_modseq = search.key.asks_modseq();
        cx.condstore |= asks_modseq;
        let terms = Terms::new(search.key, selected, cx.node.clock.now())?;
        let todo = selected.all().into_iter();
        let (by, returns) = (search.by, search.returns);
        Ok(Self {
            tag,
            by,
            terms,
            returns,
            todo,
            found: Vec::new(),
            highest_modseq: asks_modseq.then_some(0),
        })
    }

    /// Looks at some more messages; the answer once all are seen.
    pub(crate) fn slice(&mut self, cx: &mut Context, selected: &Selected) -> Option<Done> {
        let len = if self.terms.reads_blobs() { BLOBS_PER_SLICE } else { ROWS_PER_SLICE };
        let named: Vec<Named> = self.todo.by_ref().take(len).collect();
        let (Some(first), Some(last)) = (named.first(), named.last()) else {
            self.print(cx);
            return Some(Done::ok("searched"));
        };
        let messages = match mailbox::messages(
            &cx.node,
            selected.folder,
            first.uid,
            last.uid,
            usize::MAX >> 1,
        ) {
            Ok(messages) => messages,
            Err(error) => return Some(error.into()),
        };
        let mut named = named.into_iter().peekable();
        for message in &messages {
            // A message that arrived or left meanwhile has no number here, or no row.
            while named.next_if(|named| named.uid < message.uid).is_some() {}
            let Some(Named { number, uid }) = named.next_if(|named| named.uid == message.uid)
            else {
                continue;
            };
            let mut candidate = Candidate::new(cx, message, number);
            match self.terms.hold(&mut candidate) {
                Ok(true) => {
                    self.found.push(if self.by == By::Uid { uid } else { number });
                    self.highest_modseq =
                        self.highest_modseq.map(|highest| highest.max(message.modseq));
                }
                Ok(false) => {}
                Err(error) => return Some(error.into()),
            }
        }
        None
    }

    fn print(&self, cx: &mut Context) {
        let modseq = self.highest_modseq.filter(|_| !self.found.is_empty());
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
        if self.by == By::Uid {
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
