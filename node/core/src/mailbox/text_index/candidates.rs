//! Asking the index: which messages of a folder can contain terms.

use std::collections::btree_map::{BTreeMap, Entry};

use freehold_mime::Structure;
use freehold_mime::search::{self, fold};

use super::grams::{GramHash, Part, Signature};
use super::run::{self, RUN_LEN_MAX, Run, list_in};
use super::words::{self, Word, WordHash};
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
    /// The UIDs of messages that contain them; ascending.
    certain: Vec<u32>,
}

impl TextCandidates {
    /// False if the message with this UID certainly does not contain all terms. Otherwise its text
    /// must be compared.
    pub fn contains(&self, uid: u32) -> bool {
        self.excluded.binary_search(&uid).is_err()
    }

    /// True if the message with this UID certainly contains all terms: then its text need not be
    /// compared.
    pub fn is_certain(&self, uid: u32) -> bool {
        self.certain.binary_search(&uid).is_ok()
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
/// A caller that wants certainty compares [`body_text`] of the candidates that are not certain
/// with the terms in the form of [`freehold_mime::search::fold`]. Blocks: reads some rows for each
/// 1,024 messages.
///
/// # Errors
/// When the store is unavailable. Damaged rows of the index exclude no message.
pub fn text_candidates(
    node: &Node,
    folder: FolderId,
    searched: Searched,
    terms: &[&str],
) -> Result<TextCandidates, StoreError> {
    let mut wanted = Wanted::new(node, searched, terms)?;
    let mut found = TextCandidates::default();
    if wanted.terms.is_empty() {
        return Ok(found);
    }
    let in_runs = run::each(&node.store, folder, |run| {
        match wanted.places(node, folder, &run) {
            Ok(Some((candidates, certain))) => {
                for (place, uid) in run.uids.iter().enumerate() {
                    match (candidates.contains(place), certain.contains(place)) {
                        (false, _) => found.excluded.push(*uid),
                        (true, true) => found.certain.push(*uid),
                        (true, false) => {}
                    }
                }
            }
            Ok(None) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    });
    without_damage(in_runs)?;
    without_damage(wanted.judge_signatures(node, folder, &mut found))?;
    found.excluded.sort_unstable();
    found.certain.sort_unstable();
    Ok(found)
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

/// The terms as the index knows them.
struct Wanted {
    /// For each term the parts of the message one of which must have all buckets.
    terms: Vec<Vec<Buckets>>,
    /// The terms as words, if each of them can be one.
    words: Option<Vec<Word>>,
}

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
    fn new(node: &Node, searched: Searched, terms: &[&str]) -> Result<Self, StoreError> {
        let (hash, words) = (GramHash::new(&node.store)?, WordHash::new(&node.store)?);
        let parts: &[Part] = match searched {
            Searched::Body => &[Part::Body],
            Searched::Whole => &[Part::Body, Part::Header],
        };
        let folded: Vec<String> = terms.iter().map(|term| fold(term)).collect();
        let of_term = |term: &String| {
            let of_part = |part: &Part| {
                let all = hash.buckets(*part, term);
                // A long term: some of its grams, from all of it.
                let step = all.len().div_ceil(TRIED_MAX).max(1);
                Buckets(all.into_iter().step_by(step).map(|bucket| (0, bucket)).collect())
            };
            parts.iter().map(of_part).collect::<Vec<_>>()
        };
        let terms = folded.iter().map(of_term);
        Ok(Self {
            terms: terms.filter(|parts| parts.iter().all(|part| !part.0.is_empty())).collect(),
            words: folded.iter().map(|term| words.of_term(term)).collect(),
        })
    }

    /// The places of the messages of a run that certainly have all terms.
    fn certain_places(
        &self,
        node: &Node,
        folder: FolderId,
        run: &Run,
    ) -> Result<Option<Places>, StoreError> {
        let Some(words) = &self.words else { return Ok(Some(Places::NONE)) };
        let mut all = Places::ALL;
        for word in words {
            let Some(number) = run.row_of_word(*word) else { return Ok(Some(Places::NONE)) };
            let Some(row) = run.postings(&node.store, folder, number)? else { return Ok(None) };
            let mut having = Places::NONE;
            words::each(&row, |found, list| {
                if found == *word {
                    bits::decode(list).for_each(|place| having.insert(place as usize));
                }
                found < *word
            });
            all.combine(&having, |a, b| a & b);
        }
        Ok(Some(all))
    }

    /// The places of the messages of a run that may have the terms, and those that have them;
    /// `None` if the run was replaced meanwhile.
    fn places(
        &mut self,
        node: &Node,
        folder: FolderId,
        run: &Run,
    ) -> Result<Option<(Places, Places)>, StoreError> {
        let mut all = Places::ALL;
        let mut read = BTreeMap::new();
        for term in &mut self.terms {
            let mut any = Places::NONE;
            for Buckets(buckets) in term {
                let is_first = buckets.iter().all(|(count, _)| *count == 0);
                let limit = if is_first { TRIED_MAX } else { LOOKED_UP_MAX };
                let mut places = all.clone();
                for (count, bucket) in buckets.iter_mut().take(limit) {
                    let mut having = Places::NONE;
                    if let Some((number, first)) = run.row_with(*bucket) {
                        let row = match read.entry(number) {
                            Entry::Occupied(known) => known.into_mut(),
                            Entry::Vacant(new) => {
                                match run.postings(&node.store, folder, number)? {
                                    Some(row) => new.insert(row),
                                    None => return Ok(None),
                                }
                            }
                        };
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
        if all.is_empty() {
            return Ok(Some((all, Places::NONE)));
        }
        let certain = self.certain_places(node, folder, run)?;
        Ok(certain.map(|certain| (all, certain)))
    }

    /// Looks through the messages that are in no run.
    fn judge_signatures(
        &self,
        node: &Node,
        folder: FolderId,
        into: &mut TextCandidates,
    ) -> Result<(), StoreError> {
        let mut scan = Scan::prefix(&folder.key(), SIGNATURES_PER_READ);
        loop {
            let found = row::scan::<SignatureRow>(&node.store, &scan)?;
            for (key, row) in &found {
                let signature = Signature::decode(&row.signature);
                let has = |Buckets(buckets): &Buckets| {
                    buckets.iter().all(|(_, bucket)| signature.contains(*bucket))
                };
                let is_in = |word: &Word| row.words().any(|found| found == *word);
                if !self.terms.iter().all(|term| term.iter().any(has)) {
                    into.excluded.push(uid_of(key));
                } else if self.words.as_ref().is_some_and(|words| words.iter().all(is_in)) {
                    into.certain.push(uid_of(key));
                }
            }
            match found.into_iter().last() {
                Some((key, _)) => scan.after = Some(key),
                None => return Ok(()),
            }
        }
    }
}
