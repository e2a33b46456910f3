//! Feed entries: a signed header, and a body that can be deleted without breaking the signature.
//!
//! There is one feed log per (person, node key, lane, epoch). Each entry names the hash of the
//! entry before it.

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
/// References of one entry, at most.
pub const REFS_MAX: usize = 16;

/// An entry's id: BLAKE3 of its header's exact bytes. Shown as lower-case hexadecimal.
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

/// The lane of a feed log: public, control, or one per circle epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub [u8; 16]);

impl Lane {
    /// Entries for anyone.
    pub const PUBLIC: Self = Self(*b"freehold.public\0");
    /// Entries for friends' nodes: homes, key backups.
    pub const CONTROL: Self = Self(*b"freehold.control");

    /// True for the public and the control lane. The id of any other lane is a secret: knowing it
    /// is the right to fetch the lane.
    pub fn is_well_known(&self) -> bool {
        *self == Self::PUBLIC || *self == Self::CONTROL
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PUBLIC => f.write_str("Lane(public)"),
            Self::CONTROL => f.write_str("Lane(control)"),
            // The id of a private lane is a secret and must not get into log files.
            _ => f.write_str("Lane(private)"),
        }
    }
}

/// The id of a feed log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedLogId {
    /// The author.
    pub person: PersonId,
    /// The key of the node that writes it.
    pub node: PublicKey,
    /// The lane.
    pub lane: Lane,
    /// The epoch: random, one per start of that node.
    pub epoch: u64,
}

/// The stored range of one feed log. Only durable entries are ever reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedLogHead {
    /// The feed log.
    pub log: FeedLogId,
    /// The first stored sequence number.
    pub lo: u64,
    /// The last stored sequence number.
    pub hi: u64,
    /// The id of the last entry.
    pub head: EntryId,
}

/// An entry on the wire: exact bytes, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// The header's exact bytes.
    pub header: Vec<u8>,
    /// The signature over the header.
    pub signature: Signature,
    /// The body's exact bytes; `None` once deleted.
    pub body: Option<Vec<u8>>,
}
