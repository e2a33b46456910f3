//! SORT (RFC 5256 3) with ESORT (RFC 5267) and SORT=DISPLAY (RFC 5957), in slices as SEARCH.
//!
//! Each message found gets a key of octets; at the end the keys are sorted. Messages with equal
//! keys stay in the order of the folder, also under REVERSE. Keys that are made from texts are kept
//! for the next time ([`known_keys`]).

pub(crate) mod criterion;
pub(crate) mod known_keys;

use std::ops::Range;
use std::sync::Arc;

use freehold_core::mailbox::FolderId;
use freehold_core::store::StoreError;

use self::criterion::Criterion;
use self::known_keys::KnownKeys;
use super::search::matching::Candidate;
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
    folder: FolderId,
    parts: Vec<Part>,
    walk: Walk,
    keys: Keys,
}

/// A criterion, and its part of each key.
#[derive(Debug)]
struct Part {
    criterion: Criterion,
    /// Of earlier walks.
    known: Arc<KnownKeys>,
    /// Where the next message's part is looked for among these.
    next: usize,
    /// Of this walk.
    new: KnownKeys,
}

impl Part {
    /// Appends the part of a message's key.
    fn push(&mut self, out: &mut Vec<u8>, candidate: &mut Candidate<'_>) -> Result<(), StoreError> {
        let (start, uid) = (out.len(), candidate.message().uid);
        match self.known.get(&mut self.next, uid) {
            Some(known) => out.extend_from_slice(known),
            None => {
                self.criterion.push(out, candidate)?;
                if self.criterion.reads_texts() {
                    self.new.push(uid, out.get(start..).unwrap_or_default());
                }
            }
        }
        if self.criterion.is_reversed {
            out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
        }
        Ok(())
    }
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
    start: u128,
    key: Range<usize>,
    number: u32,
    modseq: u64,
}

impl Keys {
    /// Adds the message whose key are the bytes from `start` on.
    fn add(&mut self, start: usize, number: u32, modseq: u64) {
        let key = start..self.bytes.len();
        let mut octets = [0; 16];
        let bytes = self.bytes.get(key.clone()).unwrap_or_default();
        octets.iter_mut().zip(bytes).for_each(|(octet, byte)| *octet = *byte);
        self.entries.push(KeyEntry { start: u128::from_be_bytes(octets), key, number, modseq });
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
        let folder = selected.folder;
        let part = |criterion: Criterion| Part {
            criterion,
            known: match criterion.reads_texts() {
                true => cx.shared.sort_cache.get(folder, criterion.key),
                false => Arc::default(),
            },
            next: 0,
            new: KnownKeys::default(),
        };
        let parts: Vec<Part> = criteria.into_iter().map(part).collect();
        let of_texts = parts.iter().filter(|part| part.criterion.reads_texts());
        let known = of_texts.map(|part| Arc::clone(&part.known)).collect();
        let walk = Walk::start(cx, selected, query, needs).map(|walk| walk.knowing(known));
        if returns.is_some_and(|returns| returns.save) {
            selected.forget_saved();
        }
        let walk = walk?;
        let keys = Keys::default();
        Ok(Self { tag, by, returns, has_modseq, folder, parts, walk, keys })
    }

    /// Examines the next slice of messages; the completion once all are examined.
    pub(crate) fn slice(
        &mut self,
        cx: &mut Context,
        selected: &mut Selected,
    ) -> Option<Completion> {
        let Self { by, parts, walk, keys, .. } = self;
        let sliced = walk.slice(cx, selected, |candidate| {
            let start = keys.bytes.len();
            for part in parts.iter_mut() {
                part.push(&mut keys.bytes, candidate)?;
            }
            keys.add(start, candidate.number(*by), candidate.message().modseq);
            Ok(())
        });
        match sliced {
            Ok(true) => None,
            Ok(false) => {
                for part in &self.parts {
                    cx.shared.sort_cache.add(self.folder, part.criterion.key, &part.new);
                }
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
