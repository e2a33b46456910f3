//! Flags and keywords of messages (RFC 9051 2.3.2), and changing them.

use minicbor::{Decode, Encode};

use super::change;
use super::folders::{Folder, FolderId, load, save};
use super::read::{MessageRow, key};
use crate::node::Node;
use crate::row;
use crate::store::{StoreError, Tx};

const KEYWORD_LEN_MAX: usize = 50;
/// How many different keywords a folder's messages may have at one time; they are listed in its
/// row.
const KEYWORDS_MAX: usize = 50;

/// System flags as bits, and keywords in the order they were set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Flags {
    /// The system flags: [`Flags::SEEN`] and its kin, or-ed.
    #[n(0)]
    pub bits: u8,
    /// Keywords; each once, whatever its case.
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

    /// Only system flags, or-ed.
    pub fn of(bits: u8) -> Self {
        Self { bits, keywords: Vec::new() }
    }

    /// Whether a system flag is set.
    pub fn has(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    /// Whether a keyword is set, in any case.
    pub fn has_keyword(&self, keyword: &str) -> bool {
        self.keywords.iter().any(|k| k.eq_ignore_ascii_case(keyword))
    }

    fn with(&self, other: &Self) -> Self {
        let mut both = Self { bits: self.bits | other.bits, keywords: self.keywords.clone() };
        for keyword in &other.keywords {
            if !both.has_keyword(keyword) {
                both.keywords.push(keyword.clone());
            }
        }
        both
    }

    fn without(&self, other: &Self) -> Self {
        let keywords = self.keywords.iter().filter(|k| !other.has_keyword(k)).cloned().collect();
        Self { bits: self.bits & !other.bits, keywords }
    }

    /// Whether both say the same, whatever the order and case of keywords.
    fn same(&self, other: &Self) -> bool {
        self.bits == other.bits
            && self.keywords.len() == other.keywords.len()
            && self.keywords.iter().all(|k| other.has_keyword(k))
    }
}

/// What STORE does to flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// These and no others.
    Set(Flags),
    /// These as well.
    Add(Flags),
    /// Not these.
    Remove(Flags),
}

impl FlagChange {
    fn flags(&self) -> &Flags {
        match self {
            Self::Set(flags) | Self::Add(flags) | Self::Remove(flags) => flags,
        }
    }

    fn of(&self, before: &Flags) -> Flags {
        match self {
            Self::Set(flags) => Flags::default().with(flags),
            Self::Add(flags) => before.with(flags),
            Self::Remove(flags) => before.without(flags),
        }
    }
}

/// What a change of flags did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreOutcome {
    /// Each message addressed that exists and passed, as it is now: UID, modseq, flags. One whose
    /// flags already were so keeps its modseq.
    pub changed: Vec<(u32, u64, Flags)>,
    /// Those that had changed after `unchanged_since` and were left alone (RFC 7162 3.1.3).
    pub modified: Vec<u32>,
}

/// Why flags could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// There is no such folder.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// A keyword is not an atom, or is too long.
    #[error("a keyword can't be like that")]
    BadKeyword,
    /// The folder's messages have too many different keywords.
    #[error("too many different keywords")]
    TooManyKeywords,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Whether every keyword is an atom (RFC 9051 9) and short enough.
pub(super) fn checked(flags: &Flags) -> Result<(), FlagError> {
    let special = |b: u8| {
        matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']') || !b.is_ascii_graphic()
    };
    let is_good =
        |k: &String| !k.is_empty() && k.len() <= KEYWORD_LEN_MAX && !k.bytes().any(special);
    if flags.keywords.iter().all(is_good) { Ok(()) } else { Err(FlagError::BadKeyword) }
}

/// What stands for the uses of a keyword that were never counted: it is not forgotten.
pub(super) const NOT_COUNTED: u32 = u32::MAX;

/// Counts a message with `flags` into the folder's row. A keyword that no message has any more
/// makes room for a new one.
pub(super) fn count_in(folder: &mut Folder, flags: &Flags) -> Result<(), FlagError> {
    step(folder, flags, |count| count.saturating_add(1));
    folder.uses.resize(folder.keywords.len(), NOT_COUNTED);
    for keyword in &flags.keywords {
        if folder.keywords.iter().any(|known| known.eq_ignore_ascii_case(keyword)) {
            continue;
        }
        if folder.keywords.len() >= KEYWORDS_MAX {
            let unused =
                folder.uses.iter().position(|uses| *uses == 0).ok_or(FlagError::TooManyKeywords)?;
            folder.keywords.remove(unused);
            folder.uses.remove(unused);
        }
        folder.keywords.push(keyword.clone());
        folder.uses.push(1);
    }
    Ok(())
}

/// Counts a message with `flags` out of the folder's row.
pub(super) fn count_out(folder: &mut Folder, flags: &Flags) {
    step(folder, flags, |count| count.saturating_sub(1));
}

fn step(folder: &mut Folder, flags: &Flags, change: impl Fn(u32) -> u32) {
    if !flags.has(Flags::SEEN) {
        folder.unseen = change(folder.unseen);
    }
    if flags.has(Flags::DELETED) {
        folder.deleted = change(folder.deleted);
    }
    for (keyword, uses) in folder.keywords.iter().zip(&mut folder.uses) {
        if *uses != NOT_COUNTED && flags.has_keyword(keyword) {
            *uses = change(*uses);
        }
    }
}

/// Changes the flags of messages; UIDs that don't exist are passed over. Many messages take several
/// commits, each whole.
///
/// # Errors
/// When there is no such folder or a keyword is not allowed.
pub async fn store_flags(
    node: &Node,
    folder: FolderId,
    uids: &[u32],
    change: FlagChange,
    unchanged_since: Option<u64>,
) -> Result<StoreOutcome, FlagError> {
    checked(change.flags())?;
    let mut outcome = StoreOutcome::default();
    for some in uids.chunks(super::MESSAGES_PER_COMMIT) {
        let (some, change) = (some.to_vec(), change.clone());
        let part = node
            .store
            .commit(move |tx| store_some(tx, folder, &some, &change, unchanged_since))
            .await?;
        outcome.changed.extend(part.changed);
        outcome.modified.extend(part.modified);
    }
    Ok(outcome)
}

fn store_some(
    tx: &mut Tx<'_>,
    id: FolderId,
    uids: &[u32],
    change: &FlagChange,
    unchanged_since: Option<u64>,
) -> Result<StoreOutcome, FlagError> {
    let mut folder = load(tx, id)?.ok_or(FlagError::NoSuchFolder)?;
    let mut outcome = StoreOutcome::default();
    let before_all = folder.clone();
    for uid in uids.iter().copied() {
        let Some(mut message) = row::get::<MessageRow>(tx, &key(id, uid))? else { continue };
        if unchanged_since.is_some_and(|since| message.modseq > since) {
            outcome.modified.push(uid);
            continue;
        }
        let flags = change.of(&message.flags);
        if !flags.same(&message.flags) {
            count_out(&mut folder, &message.flags);
            count_in(&mut folder, &flags)?;
            message.modseq = change::note(tx, &mut folder, uid, Some(message.modseq), false)?;
            message.flags = flags;
            row::put_referring(tx, &key(id, uid), &message, &[message.blob])?;
        }
        outcome.changed.push((uid, message.modseq, message.flags));
    }
    if folder != before_all {
        save(tx, &folder)?;
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests;
