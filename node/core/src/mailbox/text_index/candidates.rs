//! Asking the index: which messages of a folder can contain terms.

use std::collections::BTreeMap;

use freehold_mime::Structure;
use freehold_mime::search::{self, fold};

use super::grams::{GramHash, Part, Signature};
use super::run::{self, RUN_LEN_MAX, Run, list_in};
use super::{SignatureRow, bits, uid_of};
use crate::mailbox::folders::FolderId;
use crate::mailbox::read::{MESSAGE_LEN_MAX, Message, body};
use crate::node::Node;
use crate::row;
use crate::store::{Scan, StoreError};

/// The grams of a term that are looked up in the first run, which shows how rare they are.
const TRIED_MAX: usize = 24;
/// The grams of a term, the rarest, that are looked up in the other runs.
const LOOKED_UP_MAX: usize = 8;
/// The number of signatures read at a time.
const SIGNATURES_PER_READ: usize = 64;

/// The part of messages that is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searched {
    /// The texts of the body, as [`body_text`] has them (BODY, RFC 3501 6.4.4).
    Body,
    /// The body, or the header with its encoded words decoded (TEXT).
    Whole,
}

/// The messages of a folder that may contain terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextCandidates {
    /// The UIDs of messages that do not contain them; ascending.
    excluded: Vec<u32>,
}

impl TextCandidates {
    /// False if the message with this UID certainly does not contain all terms. Otherwise its text
    /// must be compared.
    pub fn contains(&self, uid: u32) -> bool {
        self.excluded.binary_search(&uid).is_err()
    }

    /// The number of messages that are excluded.
    pub fn excluded_len(&self) -> usize {
        self.excluded.len()
    }
}

/// The messages of a folder that may contain all of `terms`, each anywhere in the part of the
/// message, inside a word too; case does not matter. Messages that are not indexed are among them,
/// so nothing is missed. Terms of one or two letters exclude no message, except in scripts that
/// write words so (Chinese, Japanese, Korean).
///
/// A caller that wants certainty compares [`body_text`] of the candidates with the terms in the
/// form of [`freehold_mime::search::fold`]. Blocks: reads some rows for each 1,024 messages.
///
/// # Errors
/// When the store is unavailable. Damaged rows of the index exclude no message.
pub fn text_candidates(
    node: &Node,
    folder: FolderId,
    searched: Searched,
    terms: &[&str],
) -> Result<TextCandidates, StoreError> {
    let hash = GramHash::new(&node.store)?;
    let mut wanted = Wanted::new(hash, searched, terms);
    let mut excluded = Vec::new();
    if wanted.0.is_empty() {
        return Ok(TextCandidates { excluded });
    }
    let in_runs = run::each(&node.store, folder, |run| {
        match wanted.places(node, folder, &run) {
            Ok(Some(places)) => {
                let without = |(place, _): &(usize, &u32)| !places.contains(*place);
                let uids = run.uids.iter().enumerate().filter(without);
                excluded.extend(uids.map(|(_, uid)| *uid));
            }
            Ok(None) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    });
    without_damage(in_runs)?;
    without_damage(wanted.exclude_by_signature(node, folder, &mut excluded))?;
    excluded.sort_unstable();
    Ok(TextCandidates { excluded })
}

/// A damaged row ends a walk; what was excluded before it counts.
fn without_damage(walked: Result<(), StoreError>) -> Result<(), StoreError> {
    match walked {
        Err(StoreError::Corrupt { .. }) => Ok(()),
        walked => walked,
    }
}

/// The decoded and folded texts of a message's body, in which SEARCH BODY looks for a folded term.
/// Blocks.
///
/// # Errors
/// As [`body`].
pub fn body_text(node: &Node, message: &Message) -> Result<String, StoreError> {
    let len_max = usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX);
    let bytes = body(node, message)?.read_all(len_max)?;
    Ok(fold(&search::body(&bytes, &Structure::parse(&bytes))))
}

/// The buckets of one term in one part of the message, each with the number of messages that had it
/// in the latest run in which it was looked up; the rarest first.
struct Buckets(Vec<(usize, u32)>);

/// For each term the parts of the message one of which must have all buckets.
struct Wanted(Vec<Vec<Buckets>>);

/// Places of messages in a run.
#[derive(Clone)]
struct Places([u64; RUN_LEN_MAX / 64]);

impl Places {
    const NONE: Self = Self([0; RUN_LEN_MAX / 64]);
    const ALL: Self = Self([u64::MAX; RUN_LEN_MAX / 64]);

    fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn combine(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word = with(*word, *other));
    }
}

impl Wanted {
    fn new(hash: GramHash, searched: Searched, terms: &[&str]) -> Self {
        let parts: &[Part] = match searched {
            Searched::Body => &[Part::Body],
            Searched::Whole => &[Part::Body, Part::Header],
        };
        let of_term = |term: &&str| {
            let term = fold(term);
            let of_part = |part: &Part| {
                let all = hash.buckets(*part, &term);
                // A long term: some of its grams, from all of it.
                let step = all.len().div_ceil(TRIED_MAX).max(1);
                Buckets(all.into_iter().step_by(step).map(|bucket| (0, bucket)).collect())
            };
            parts.iter().map(of_part).collect::<Vec<_>>()
        };
        let terms = terms.iter().map(of_term);
        Self(terms.filter(|parts| parts.iter().all(|part| !part.0.is_empty())).collect())
    }

    /// The places of the messages of a run that have the buckets; `None` if the run was replaced
    /// meanwhile.
    fn places(
        &mut self,
        node: &Node,
        folder: FolderId,
        run: &Run,
    ) -> Result<Option<Places>, StoreError> {
        let mut all = Places::ALL;
        let mut read = BTreeMap::new();
        for term in &mut self.0 {
            let mut any = Places::NONE;
            for Buckets(buckets) in term {
                let is_first = buckets.iter().all(|(count, _)| *count == 0);
                let limit = if is_first { TRIED_MAX } else { LOOKED_UP_MAX };
                let mut places = all.clone();
                for (count, bucket) in buckets.iter_mut().take(limit) {
                    let mut having = Places::NONE;
                    if let Some((number, first)) = run.row_with(*bucket) {
                        if !read.contains_key(&number) {
                            let Some(row) = run.postings(&node.store, folder, number)? else {
                                return Ok(None);
                            };
                            read.insert(number, row);
                        }
                        let row = read.get(&number).map(Vec::as_slice).unwrap_or_default();
                        let list = list_in(first, row, *bucket).unwrap_or_default();
                        *count = 0;
                        for place in bits::decode(list) {
                            having.insert(place as usize);
                            *count = count.saturating_add(1);
                        }
                    }
                    places.combine(&having, |a, b| a & b);
                    if places.is_empty() && !is_first {
                        break;
                    }
                }
                buckets.sort_unstable();
                any.combine(&places, |a, b| a | b);
            }
            all.combine(&any, |a, b| a & b);
            if all.is_empty() {
                break;
            }
        }
        Ok(Some(all))
    }

    fn exclude_by_signature(
        &self,
        node: &Node,
        folder: FolderId,
        excluded: &mut Vec<u32>,
    ) -> Result<(), StoreError> {
        let mut scan = Scan::prefix(&folder.key(), SIGNATURES_PER_READ);
        loop {
            let found = row::scan::<SignatureRow>(&node.store, &scan)?;
            for (key, row) in &found {
                let signature = Signature::decode(&row.0);
                let has = |Buckets(buckets): &Buckets| {
                    buckets.iter().all(|(_, bucket)| signature.contains(*bucket))
                };
                if !self.0.iter().all(|term| term.iter().any(has)) {
                    excluded.push(uid_of(key));
                }
            }
            match found.into_iter().last() {
                Some((key, _)) => scan.after = Some(key),
                None => return Ok(()),
            }
        }
    }
}
