//! Feed entries: a signed header, and a body that can be deleted without breaking the signature.
//!
//! There is one feed log per (person, node key, lane, epoch). Each entry names the hash of the one
//! before it.

mod body;
mod header;
mod sealed;
mod verify;

use std::fmt;
use std::str::FromStr;

pub use body::{
    BACKUP_KEYS_MAX, Body, Checkpoint, HOMES_MAX, HOMES_VERSION_MAX, Homes, KeyBackup, MARKDOWN,
    PHOTOS_MAX, PhotoRef, PostBody, ProfileBody, WrappedKey,
};
pub use header::{EntryAudience, EntryHeader, Kind};
pub use sealed::{EpochKey, Opened, SealedError, padme};
pub use verify::{EntryError, VerifiedEntry};

use crate::identity::PersonId;
use crate::keys::{PublicKey, Signature};

/// The longest header, in bytes.
pub const HEADER_LEN_MAX: usize = 1024;
/// The longest body, in bytes.
pub const BODY_LEN_MAX: usize = 64 * 1024;
/// Entries that one entry may refer to.
pub const REFS_MAX: usize = 16;

/// An entry: BLAKE3 of its header's exact bytes. Written as lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 32]);

impl EntryId {
    /// The id of a header.
    pub fn of(header: &[u8]) -> Self {
        Self(*blake3::hash(header).as_bytes())
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryId({self})")
    }
}

impl FromStr for EntryId {
    type Err = data_encoding::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 32];
        let wrong = |position| data_encoding::DecodeError {
            position,
            kind: data_encoding::DecodeKind::Length,
        };
        if text.len() != 64 {
            return Err(wrong(text.len()));
        }
        data_encoding::HEXLOWER
            .decode_mut(text.as_bytes(), &mut id)
            .map_err(|partial| partial.error)?;
        Ok(Self(id))
    }
}

/// Which of a person's streams a log belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub [u8; 16]);

impl Lane {
    /// What anyone may read.
    pub const PUBLIC: Self = Self(*b"freehold.public\0");
    /// What friends' nodes need to know: homes, key backups.
    pub const CONTROL: Self = Self(*b"freehold.control");

    /// Whether the lane is one that everybody knows; the id of any other is the right to fetch it.
    pub fn is_well_known(&self) -> bool {
        *self == Self::PUBLIC || *self == Self::CONTROL
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PUBLIC => f.write_str("Lane(public)"),
            Self::CONTROL => f.write_str("Lane(control)"),
            // A private lane's id is a secret: it is not written into logs.
            _ => f.write_str("Lane(private)"),
        }
    }
}

/// One log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedLogId {
    /// Whose.
    pub person: PersonId,
    /// Written by which node.
    pub node: PublicKey,
    /// In which lane.
    pub lane: Lane,
    /// In which run of that node.
    pub epoch: u64,
}

/// What is held of one log. Only what is durable is ever reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedLogHead {
    /// The log.
    pub log: FeedLogId,
    /// The first sequence number held.
    pub lo: u64,
    /// The last sequence number held.
    pub hi: u64,
    /// The last entry's id.
    pub head: EntryId,
}

/// An entry as it travels: exact bytes, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// The header's exact bytes.
    pub header: Vec<u8>,
    /// Over the header.
    pub signature: Signature,
    /// The body's exact bytes; `None` once it was deleted.
    pub body: Option<Vec<u8>>,
}
