//! Asking the index: which messages of a folder can contain terms.

use std::num::NonZero;
use std::thread;

use freehold_mime::Structure;
use freehold_mime::search::{self, fold};

use super::grams::GramHash;
use super::matching::{Found, Reader, Wanted};
use super::places::Places;
use super::run::{self, Run};
use crate::mailbox::folders::FolderId;
use crate::mailbox::read::{MESSAGE_LEN_MAX, Message, body};
use crate::node::Node;
use crate::store::StoreError;

/// The most threads of one question.
const THREADS_MAX: usize = 4;
/// A thread gets at least so many runs.
const RUNS_PER_THREAD: usize = 4;

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
/// so nothing is missed. Terms without a letter or digit exclude no message.
///
/// A caller that wants certainty compares [`body_text`] of the candidates that are not certain
/// with the terms in the form of [`freehold_mime::search::fold`]. Blocks: reads up to some hundred
/// rows for each 1,024 messages, in several threads if there are many.
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
    let with_header = searched == Searched::Whole;
    let wanted = terms.iter().map(|term| Wanted::new(hash, &fold(term), with_header));
    let (known, unknown): (Vec<Wanted>, Vec<Wanted>) = wanted.partition(Wanted::is_known);
    if known.is_empty() {
        return Ok(TextCandidates::default());
    }
    let mut runs = Vec::new();
    let walked = run::each(&node.store, folder, |run| {
        runs.push(run);
        Ok(true)
    });
    match walked {
        // A damaged row ends the walk; the runs before it count.
        Ok(()) | Err(StoreError::Corrupt { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut found = search_all(node, &runs, &known)?;
    found.excluded.sort_unstable();
    found.certain.sort_unstable();
    if !unknown.is_empty() {
        found.certain.clear();
    }
    Ok(found)
}

/// Searches runs, many of them in several threads.
fn search_all(node: &Node, runs: &[Run], wanted: &[Wanted]) -> Result<TextCandidates, StoreError> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(THREADS_MAX).min(runs.len() / RUNS_PER_THREAD).max(1);
    if threads == 1 {
        return search_some(node, runs, wanted);
    }
    let mut all = TextCandidates::default();
    thread::scope(|scope| {
        let parts = runs.chunks(runs.len().div_ceil(threads));
        let running: Vec<_> =
            parts.map(|part| scope.spawn(move || search_some(node, part, wanted))).collect();
        for part in running {
            let mut part = part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.excluded.append(&mut part.excluded);
            all.certain.append(&mut part.certain);
        }
        Ok(all)
    })
}

fn search_some(node: &Node, runs: &[Run], wanted: &[Wanted]) -> Result<TextCandidates, StoreError> {
    let mut found = TextCandidates::default();
    for run in runs {
        match search_run(node, run, wanted) {
            Ok(Some(Found { possible, certain })) => {
                for (place, uid) in run.uids.iter().enumerate() {
                    match (possible.contains(place), certain.contains(place)) {
                        (false, _) => found.excluded.push(*uid),
                        (true, true) => found.certain.push(*uid),
                        (true, false) => {}
                    }
                }
            }
            Ok(None) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The messages of a run with all terms; `None` if it was replaced meanwhile.
fn search_run(node: &Node, run: &Run, wanted: &[Wanted]) -> Result<Option<Found>, StoreError> {
    let mut reader = Reader::new(node, run);
    let mut all = Found { possible: Places::ALL, certain: Places::ALL };
    for term in wanted {
        let Some(found) = reader.find(term)? else { return Ok(None) };
        all.possible.intersect(&found.possible);
        all.certain.intersect(&found.certain);
        if all.possible.is_empty() {
            break;
        }
    }
    Ok(Some(all))
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
