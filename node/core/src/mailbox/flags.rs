//! Flags and keywords of messages (RFC 9051 2.3.2), and the folder's counts of them.

use minicbor::{Decode, Encode};

use super::folders::Folder;
use crate::store::StoreError;

const KEYWORD_LEN_MAX: usize = 50;
/// How many different keywords the messages of a folder have together; its row lists them, and an
/// entry of a page has a bit for each of 64.
const KEYWORDS_MAX: usize = 50;

/// System flags as bits, and keywords in the order they were set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Flags {
    /// The system flags, a bit each: [`Flags::SEEN`] and the other constants.
    #[n(0)]
    pub bits: u8,
    /// The keywords, each once; they are compared without case.
    #[n(1)]
    pub keywords: Vec<String>,
}

impl Flags {
    /// \Seen
    pub const SEEN: u8 = 1;
    /// \Answered
    pub const ANSWERED: u8 = 2;
    /// \Flagged
    pub const FLAGGED: u8 = 4;
    /// \Deleted
    pub const DELETED: u8 = 8;
    /// \Draft
    pub const DRAFT: u8 = 16;

    /// System flags without keywords.
    pub fn of(bits: u8) -> Self {
        Self { bits, keywords: Vec::new() }
    }

    /// Whether a system flag is set.
    pub fn has(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    /// Whether a keyword is set, compared without case.
    pub fn has_keyword(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|k| k.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn with(&self, other: &Self) -> Self {
        let mut both = Self { bits: self.bits | other.bits, keywords: self.keywords.clone() };
        for keyword in &other.keywords {
            if !both.has_keyword(keyword) {
                both.keywords.push(keyword.clone());
            }
        }
        both
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        let keywords = self.keywords.iter().filter(|k| !other.has_keyword(k)).cloned().collect();
        Self { bits: self.bits & !other.bits, keywords }
    }

    /// Whether both are equal, without regard to the order and case of keywords.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.bits == other.bits
            && self.keywords.len() == other.keywords.len()
            && self.keywords.iter().all(|k| other.has_keyword(k))
    }
}

/// Why flags could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// There is no such folder.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// A keyword is not an atom, or is too long.
    #[error("a keyword must be an atom of at most {KEYWORD_LEN_MAX} characters")]
    BadKeyword,
    /// The folder's messages have too many different keywords.
    #[error("the messages of a folder can have at most {KEYWORDS_MAX} different keywords")]
    TooManyKeywords,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Refuses keywords that are no atoms (RFC 9051 9) or too long.
pub(super) fn check_keywords(flags: &Flags) -> Result<(), FlagError> {
    let are_allowed = flags.keywords.iter().all(|keyword| is_keyword(keyword));
    if are_allowed { Ok(()) } else { Err(FlagError::BadKeyword) }
}

fn is_keyword(keyword: &str) -> bool {
    let special = |b: u8| {
        matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']') || !b.is_ascii_graphic()
    };
    !keyword.is_empty() && keyword.len() <= KEYWORD_LEN_MAX && !keyword.bytes().any(special)
}

/// `flags` without the keywords that are not allowed, that are there twice, or for which the
/// folder has no room.
pub(super) fn fitting(folder: &Folder, flags: &Flags) -> Flags {
    let mut fitting = Flags::of(flags.bits);
    let is_known = |name: &str| folder.keywords.iter().any(|k| k.eq_ignore_ascii_case(name));
    let unused = folder
        .keywords
        .iter()
        .zip(&folder.keyword_counts)
        .filter(|(name, count)| **count == 0 && !flags.has_keyword(name));
    let mut room = KEYWORDS_MAX.saturating_sub(folder.keywords.len()) + unused.count();
    for keyword in flags.keywords.iter().filter(|keyword| is_keyword(keyword)) {
        if fitting.has_keyword(keyword) {
            continue;
        }
        if !is_known(keyword) {
            if room == 0 {
                continue;
            }
            room -= 1;
        }
        fitting.keywords.push(keyword.clone());
    }
    fitting
}

/// The count of a keyword from before keywords were counted; such a keyword is never dropped.
pub(super) const NOT_COUNTED: u32 = u32::MAX;

/// The keywords of an entry's bits; `keywords` are the folder's.
pub(super) fn named(bits: u64, keywords: &[String]) -> Vec<String> {
    if bits == 0 {
        return Vec::new();
    }
    let has =
        |at: usize| u32::try_from(at).is_ok_and(|at| bits.checked_shr(at).unwrap_or(0) & 1 == 1);
    keywords.iter().enumerate().filter(|(at, _)| has(*at)).map(|(_, name)| name.clone()).collect()
}

/// The keywords of `flags`, which the folder's row counts, as an entry's bits.
pub(super) fn keyword_bits(folder: &Folder, flags: &Flags) -> u64 {
    if flags.keywords.is_empty() {
        return 0;
    }
    (0u32..64)
        .zip(&folder.keywords)
        .filter(|(_, name)| flags.has_keyword(name))
        .fold(0, |bits, (at, _)| bits | 1 << at)
}

/// Adds a message with `flags` to the folder's counts. If the list of keywords is full, one that no
/// message has any more is replaced. The others keep their places, because pages name them by their
/// places.
pub(super) fn add(folder: &mut Folder, flags: &Flags) -> Result<(), FlagError> {
    change_counts(folder, flags, |count| count.saturating_add(1));
    folder.keyword_counts.resize(folder.keywords.len(), NOT_COUNTED);
    for keyword in &flags.keywords {
        if folder.keywords.iter().any(|known| known.eq_ignore_ascii_case(keyword)) {
            continue;
        }
        if folder.keywords.len() < KEYWORDS_MAX {
            folder.keywords.push(keyword.clone());
            folder.keyword_counts.push(1);
            continue;
        }
        let unused = folder.keyword_counts.iter().position(|count| *count == 0);
        let unused = unused.ok_or(FlagError::TooManyKeywords)?;
        if let (Some(name), Some(count)) =
            (folder.keywords.get_mut(unused), folder.keyword_counts.get_mut(unused))
        {
            name.clone_from(keyword);
            *count = 1;
        }
    }
    Ok(())
}

impl Folder {
    /// True if a message of the folder can get a keyword that no other message of it has.
    pub fn takes_new_keywords(&self) -> bool {
        self.keywords.len() < KEYWORDS_MAX || self.keyword_counts.contains(&0)
    }
}

/// Subtracts a message with `flags` from the folder's counts.
pub(super) fn subtract(folder: &mut Folder, flags: &Flags) {
    change_counts(folder, flags, |count| count.saturating_sub(1));
}

fn change_counts(folder: &mut Folder, flags: &Flags, change: impl Fn(u32) -> u32) {
    if !flags.has(Flags::SEEN) {
        folder.unseen = change(folder.unseen);
    }
    if flags.has(Flags::DELETED) {
        folder.deleted = change(folder.deleted);
    }
    for (keyword, count) in folder.keywords.iter().zip(&mut folder.keyword_counts) {
        if *count != NOT_COUNTED && flags.has_keyword(keyword) {
            *count = change(*count);
        }
    }
}
