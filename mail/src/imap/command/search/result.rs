//! The result of a SEARCH or SORT: result options and the ESEARCH response (RFC 4731, ESORT in RFC
//! 5267, SAVE in RFC 5182).

use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::selected::Selected;
use crate::imap::sequence::{self, Numbering};
use freehold_mime::imap::Printer;

/// The result options (RFC 4731 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Returns {
    pub(crate) min: bool,
    pub(crate) max: bool,
    pub(crate) all: bool,
    pub(crate) count: bool,
    /// The result is kept as `$` (RFC 5182 2.1).
    pub(crate) save: bool,
}

impl Returns {
    /// `RETURN (…)` and a space; `None` if it is not there.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Option<Self>, SyntaxError> {
        if !cursor.eat("RETURN ") {
            return Ok(None);
        }
        let mut returns = Self::default();
        let options = cursor.list(Cursor::atom)?;
        for option in &options {
            match option.to_ascii_uppercase().as_str() {
                "MIN" => returns.min = true,
                "MAX" => returns.max = true,
                "ALL" => returns.all = true,
                "COUNT" => returns.count = true,
                "SAVE" => returns.save = true,
                _ => return Err(SyntaxError("unknown result option")),
            }
        }
        // RFC 4731 3.1: an empty list means ALL.
        returns.all |= options.is_empty();
        cursor.space()?;
        Ok(Some(returns))
    }

    /// True if only the first message, the last one, or both are wanted.
    fn wants_only_ends(self) -> bool {
        (self.min || self.max) && !self.all && !self.count
    }

    /// True if SAVE is the only option: then there is no ESEARCH response (RFC 5182 2.1).
    fn is_silent(self) -> bool {
        self.save && !(self.min || self.max || self.all || self.count)
    }
}

/// The modseqs of the first and the last message found, and the highest of all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Modseqs {
    first: u64,
    last: u64,
    highest: u64,
}

impl Modseqs {
    /// Adds the modseq of the next message found.
    pub(crate) fn add(&mut self, modseq: u64) {
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
            Some(returns) if returns.wants_only_ends() => match (returns.min, returns.max) {
                (true, true) => self.first.max(self.last),
                (true, false) => self.first,
                (false, _) => self.last,
            },
            _ => self.highest,
        }
    }
}

/// The messages found, in the order of the response.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) by: Numbering,
    pub(crate) returns: Option<Returns>,
    pub(crate) numbers: Vec<u32>,
    /// Their modseqs, if MODSEQ was among the keys.
    pub(crate) modseqs: Option<Modseqs>,
}

impl Found {
    /// Keeps the result as `$` if SAVE was given: all messages found, or with MIN and MAX alone
    /// only those of the response (RFC 5182 2.4).
    pub(crate) fn save(&self, selected: &mut Selected) {
        let Some(returns) = self.returns.filter(|returns| returns.save) else { return };
        if !returns.wants_only_ends() {
            return selected.save(&self.numbers, self.by);
        }
        let min = self.numbers.first().filter(|_| returns.min);
        let max = self.numbers.last().filter(|_| returns.max);
        let ends: Vec<u32> = min.into_iter().chain(max).copied().collect();
        selected.save(&ends, self.by);
    }

    /// Prints the response: `name` and the numbers, or ESEARCH if result options were given.
    pub(crate) fn print(&self, out: &mut Printer, name: &str, tag: &str) {
        let modseqs = self.modseqs.filter(|_| !self.numbers.is_empty());
        let modseq = modseqs.map(|modseqs| modseqs.of(self.returns));
        let Some(returns) = self.returns else {
            out.raw("* ").raw(name);
            for number in &self.numbers {
                out.show(format_args!(" {number}"));
            }
            if let Some(modseq) = modseq {
                out.show(format_args!(" (MODSEQ {modseq})"));
            }
            out.end();
            return;
        };
        if returns.is_silent() {
            return;
        }
        out.raw("* ESEARCH (TAG ").string(tag).raw(")");
        if self.by == Numbering::Uid {
            out.raw(" UID");
        }
        if let Some(min) = self.numbers.first().filter(|_| returns.min) {
            out.show(format_args!(" MIN {min}"));
        }
        if let Some(max) = self.numbers.last().filter(|_| returns.max) {
            out.show(format_args!(" MAX {max}"));
        }
        if returns.all && !self.numbers.is_empty() {
            out.raw(" ALL ").raw(sequence::write(&self.numbers));
        }
        if returns.count {
            out.show(format_args!(" COUNT {}", self.numbers.len()));
        }
        if let Some(modseq) = modseq {
            out.show(format_args!(" MODSEQ {modseq}"));
        }
        out.end();
    }
}
