//! A batch of entries that a peer sent: verified before the commit, and cut into parts that each
//! fit one commit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Body, EntryError, EntryHeader, FeedLogId, RawEntry, VerifiedEntry};
use crate::identity::{self, IdentityLog, PersonId};
use crate::node::Node;
use crate::store::StoreError;

/// The most entries of one call.
pub const RECEIVE_MAX: usize = 256;
/// The most entries of one commit.
const COMMIT_ENTRIES_MAX: usize = 32;
/// The most bytes of entries of one commit (a commit may write 1 MiB).
const COMMIT_LEN_MAX: usize = 384 * 1024;
/// The most rows of one commit's entries (a commit may write 1,000).
const COMMIT_ROWS_MAX: usize = 800;
/// Rows of any entry.
const ROWS_EACH: usize = 15;
/// Rows of one photo.
const ROWS_PER_PHOTO: usize = 4;
/// The shortest piece of a long body, in bytes.
const PIECE_LEN_MIN: usize = 2048;

/// The result of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Entries that are new and now durable.
    pub accepted: usize,
    /// Entries that were held already.
    pub known: usize,
    /// Of the accepted ones, those that wait for their time.
    pub held: usize,
    /// Void entries, which are not stored: of logs that ended in a fork earlier, beyond a retired
    /// node's cut-offs, of a person whose identity has ended, or by a key that only a newer program
    /// can verify.
    pub voided: usize,
    /// Logs that this batch proves forked: no further entry of them is taken.
    pub forked: Vec<FeedLogId>,
}

/// Why a batch is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// More than [`RECEIVE_MAX`] entries.
    #[error("{0} entries at once are too many")]
    TooMany(usize),
    /// The peer or the author is not a friend.
    #[error("{0} is not a friend")]
    NotAFriend(PersonId),
    /// The author's identity log is not known here yet.
    #[error("the identity log of {0} is not known here")]
    UnknownAuthor(PersonId),
    /// An entry is bad in itself.
    #[error("entry {at} of the batch: {cause}")]
    Entry {
        /// The index of the entry in the batch, from 0.
        at: usize,
        /// Why it is refused.
        cause: EntryError,
    },
    /// Entries before it are missing.
    #[error("entries of a log are missing before {seq}, {expected} would be next")]
    Gap {
        /// The log.
        log: FeedLogId,
        /// The entry's place.
        seq: u64,
        /// The place that is next here.
        expected: u64,
    },
    /// It names another predecessor than the entry held here.
    #[error("entry {seq} of a log names another predecessor")]
    Predecessor {
        /// The log.
        log: FeedLogId,
        /// The entry's place.
        seq: u64,
    },
    /// The entries of this log from before it was cut are still being undone, place by place. An
    /// entry taken now would be undone with them.
    #[error("a log that was cut is still being undone")]
    BeingCut(FeedLogId),
    /// It claims to be from this process, which did not write it.
    #[error("an entry of this process that this process did not write")]
    NotMine(FeedLogId),
    /// The friend's share of the disk is used up for today.
    #[error("the friend's share of today is used up")]
    ShareUsedUp,
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Received {
    /// Adds the counts of a later part.
    pub(crate) fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.known += other.known;
        self.held += other.held;
        self.voided += other.voided;
        self.forked.extend(other.forked);
    }
}

/// The verified entries that no commit has taken yet, and the identity logs they were verified by.
pub(crate) struct Batch {
    entries: VecDeque<VerifiedEntry>,
    authors: Arc<BTreeMap<PersonId, IdentityLog>>,
    /// The most entries of one commit.
    part_max: usize,
}

impl Batch {
    /// The identity logs by which the entries were verified.
    pub(crate) fn authors(&self) -> Arc<BTreeMap<PersonId, IdentityLog>> {
        self.authors.clone()
    }

    /// The exact bytes of the entries that no commit has taken yet.
    pub(crate) fn rest(&self) -> impl Iterator<Item = RawEntry> {
        self.entries.iter().map(|entry| entry.raw().clone())
    }

    /// As many of the next entries as one commit can take; `None` at the end.
    pub(crate) fn next_part(&mut self) -> Option<Arc<Vec<VerifiedEntry>>> {
        let (mut part, mut len, mut rows) = (Vec::new(), 0, 0);
        while let Some(entry) = self.entries.pop_front() {
            len += weight(&entry);
            rows += rows_of(&entry);
            if !part.is_empty()
                && (part.len() >= self.part_max || len > COMMIT_LEN_MAX || rows > COMMIT_ROWS_MAX)
            {
                self.entries.push_front(entry);
                break;
            }
            part.push(entry);
        }
        (!part.is_empty()).then(|| Arc::new(part))
    }

    /// Puts back a part that was too large for one commit. The next parts are at most half as long.
    pub(crate) fn put_back_halved(&mut self, part: &[VerifiedEntry]) {
        self.part_max = part.len().div_ceil(2);
        for entry in part.iter().rev() {
            self.entries.push_front(entry.clone());
        }
    }
}

fn weight(entry: &VerifiedEntry) -> usize {
    entry.raw().header.len() + entry.raw().body.as_ref().map_or(0, Vec::len)
}

/// The most rows an entry may write: its own places, the pieces of its body, and a few for each
/// photo.
pub(super) fn rows_of(entry: &VerifiedEntry) -> usize {
    let photos = entry.body().and_then(Body::post).map_or(0, |post| post.photos.len());
    ROWS_EACH + weight(entry) / PIECE_LEN_MIN + ROWS_PER_PHOTO * photos
}

/// Verifies entries against the identity logs of their authors. Entries that count for nothing are
/// only counted, in `voided`. `may_author` returns whether a person's entries are accepted.
///
/// # Errors
/// The first entry that is invalid, or whose author `may_author` does not accept.
pub(crate) fn verify(
    node: &Node,
    raw: &[RawEntry],
    voided: &mut usize,
    may_author: impl Fn(&PersonId) -> Result<bool, StoreError>,
) -> Result<Batch, Refused> {
    let now = node.clock.now();
    let mut authors: BTreeMap<PersonId, IdentityLog> = BTreeMap::new();
    let mut entries = VecDeque::with_capacity(raw.len());
    for (at, raw) in raw.iter().enumerate() {
        let refused = |cause| Refused::Entry { at, cause };
        let author = match EntryHeader::from_canonical(&raw.header) {
            Ok(header) => header.log.person,
            Err(cause) if EntryHeader::is_of_a_newer_suite(&cause) => {
                *voided += 1;
                continue;
            }
            Err(cause) => return Err(refused(EntryError::EntryHeader(cause))),
        };
        if let std::collections::btree_map::Entry::Vacant(free) = authors.entry(author) {
            if !may_author(&author)? {
                return Err(Refused::NotAFriend(author));
            }
            let log = identity::stored_log(&node.store, &author, now)?;
            free.insert(log.ok_or(Refused::UnknownAuthor(author))?);
        }
        let log = authors.get(&author).ok_or(Refused::UnknownAuthor(author))?;
        match VerifiedEntry::verify(raw.clone(), log, now) {
            Ok(entry) => entries.push_back(entry),
            // An honest node sends such entries if it does not know of a retirement yet or runs
            // from an old backup.
            Err(EntryError::Retired | EntryError::Ended) => *voided += 1,
            Err(cause) => return Err(refused(cause)),
        }
    }
    Ok(Batch { entries, authors: Arc::new(authors), part_max: COMMIT_ENTRIES_MAX })
}
