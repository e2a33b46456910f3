//! SORT (RFC 5256 3) with ESORT (RFC 5267) and SORT=DISPLAY (RFC 5957), in slices as SEARCH.
//!
//! Each message found gets a key of octets; at the end the keys are sorted. Messages with equal
//! keys stay in the order of the folder, also under REVERSE.

pub(crate) mod criterion;

use std::ops::Range;

use self::criterion::Criterion;
use super::search::query::Query;
use super::search::result::{Found, Modseqs, Returns};
use super::search::walk::Walk;
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::listing::Needs;
use crate::imap::selected::Selected;
use crate::imap::sequence::Numbering;

/// The criteria, the search keys and the form of the result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) by: Numbering,
    /// `RETURN (…)`; `None` for a SORT response.
    pub(crate) returns: Option<Returns>,
    pub(crate) criteria: Vec<Criterion>,
    pub(crate) query: Query,
}

impl Sort {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: Numbering) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let returns = Returns::parse(cursor)?;
        let criteria = cursor.list(Criterion::parse)?;
        if criteria.is_empty() {
            return Err(SyntaxError("no sort criteria"));
        }
        cursor.space()?;
        Ok(Self { by, returns, criteria, query: Query::parse_in_charset(cursor)? })
    }
}

/// A SORT in progress.
#[derive(Debug)]
pub(crate) struct SortProgress {
    tag: String,
    pub(crate) by: Numbering,
    returns: Option<Returns>,
    has_modseq: bool,
    criteria: Vec<Criterion>,
    walk: Walk,
    keys: Keys,
}

/// The messages found.
#[derive(Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    entries: Vec<KeyEntry>,
}

/// A message found.
#[derive(Debug)]
struct KeyEntry {
    /// The first octets of its key: most comparisons need no more.
    start: u64,
    key: Range<usize>,
    number: u32,
    modseq: u64,
}

impl Keys {
    /// Adds the message whose key are the bytes from `start` on.
    fn add(&mut self, start: usize, number: u32, modseq: u64) {
        let key = start..self.bytes.len();
        let mut octets = [0; 8];
        let bytes = self.bytes.get(key.clone()).unwrap_or_default();
        octets.iter_mut().zip(bytes).for_each(|(octet, byte)| *octet = *byte);
        self.entries.push(KeyEntry { start: u64::from_be_bytes(octets), key, number, modseq });
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |entry: &KeyEntry| bytes.get(entry.key.clone()).unwrap_or_default();
        self.entries.sort_unstable_by(|a, b| {
            let by_key = a.start.cmp(&b.start).then_with(|| key(a).cmp(key(b)));
            by_key.then(a.number.cmp(&b.number))
        });
    }
}

impl SortProgress {
    /// Begins a SORT, as [`super::search::SearchProgress::start`].
    pub(crate) fn start(
        cx: &Context,
        selected: &mut Selected,
        tag: String,
        sort: Sort,
    ) -> Result<Self, Completion> {
        let Sort { by, returns, criteria: all, query } = sort;
        // A key that was compared already decides nothing.
        let mut criteria: Vec<Criterion> = Vec::new();
        for criterion in all {
            if criteria.iter().all(|before| before.key != criterion.key) {
                criteria.push(criterion);
            }
        }
        let needs = criteria.iter().map(|one| one.needs()).fold(Needs::default(), Needs::with);
        let has_modseq = query.key.has_modseq();
        let walk = Walk::start(cx, selected, query, needs);
        if returns.is_some_and(|returns| returns.save) {
            selected.forget_saved();
        }
        let walk = walk?;
        Ok(Self { tag, by, returns, has_modseq, criteria, walk, keys: Keys::default() })
    }

    /// Examines the next slice of messages; the completion once all are examined.
    pub(crate) fn slice(
        &mut self,
        cx: &mut Context,
        selected: &mut Selected,
    ) -> Option<Completion> {
        let Self { by, criteria, walk, keys, .. } = self;
        let sliced = walk.slice(cx, selected, |candidate| {
            let start = keys.bytes.len();
            for criterion in criteria.iter() {
                criterion.push(&mut keys.bytes, candidate)?;
            }
            keys.add(start, candidate.number(*by), candidate.message().modseq);
            Ok(())
        });
        match sliced {
            Ok(true) => None,
            Ok(false) => {
                let found = self.found();
                found.save(selected);
                found.print(&mut cx.out, "SORT", &self.tag);
                Some(Completion::ok("sorted"))
            }
            Err(error) => Some(error.into()),
        }
    }

    /// The messages found, in the order of the criteria.
    fn found(&mut self) -> Found {
        self.keys.sort();
        let entries = &self.keys.entries;
        let mut modseqs = self.has_modseq.then(Modseqs::default);
        if let Some(modseqs) = &mut modseqs {
            entries.iter().for_each(|entry| modseqs.add(entry.modseq));
        }
        let numbers = entries.iter().map(|entry| entry.number).collect();
        Found { by: self.by, returns: self.returns, numbers, modseqs }
    }
}
