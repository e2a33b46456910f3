//! The signed header of an entry: about 270 bytes that stay when the body is deleted.
//!
//! `{0: version 1, 2: person, 4: node key, 6: lane, 8: epoch, 10: seq, 12: prev, 14: hlc, 16: kind,
//! 18: body length, 20: body hash, 22: audience, 24: refs, 26: expires (ms), 27: ext}`; 12 is
//! absent in a node's very first entry of a lane, 26 and 27 are optional.

use super::{BODY_LEN_MAX, EntryId, FeedLogId, HEADER_LEN_MAX, Lane, REFS_MAX};
use crate::cbor::{CborError, Fields, MapWriter, Value, exactly};
use crate::clock::Timestamp;
use crate::hlc::Hlc;
use crate::identity::PersonId;
use crate::keys::PublicKey;

/// The map key of the node's public key.
const NODE: u64 = 4;

/// The kind of an entry. The numbers are even: an entry of an unknown kind is stored and forwarded,
/// but not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A blog post.
    Post,
    /// A new version of the post it refers to.
    Edit,
    /// Deletes the entry it refers to.
    Tombstone,
    /// Name, strapline, about.
    Profile,
    /// Addresses of the person's nodes and mirrors.
    Homes,
    /// The last entry of each of the person's feed logs.
    Checkpoint,
    /// Epoch keys wrapped to the recovery KEM key.
    KeyBackup,
    /// Sealed: the real kind is inside the body.
    Sealed,
    /// A kind of a newer program.
    Unknown(u64),
}

impl Kind {
    /// The kind's number.
    pub fn number(self) -> u64 {
        match self {
            Self::Post => 0,
            Self::Edit => 2,
            Self::Tombstone => 4,
            Self::Profile => 6,
            Self::Homes => 8,
            Self::Checkpoint => 10,
            Self::KeyBackup => 12,
            Self::Sealed => 14,
            Self::Unknown(number) => number,
        }
    }

    /// The kind of a number.
    pub fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Post,
            2 => Self::Edit,
            4 => Self::Tombstone,
            6 => Self::Profile,
            8 => Self::Homes,
            10 => Self::Checkpoint,
            12 => Self::KeyBackup,
            14 => Self::Sealed,
            other => Self::Unknown(other),
        }
    }
}

/// The readers of a body, as the header names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryAudience {
    /// Anyone: `{0: 0}`.
    Public,
    /// Holders of the circle's epoch key: `{0: 2, 2: nonce, 4: commitment}`.
    Sealed {
        /// Derives, with the epoch key, the single-use body key.
        nonce: [u8; 32],
        /// The key commitment, compared before decrypting.
        commit: [u8; 32],
    },
}

/// The header of an entry, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryHeader {
    /// The feed log: person, node, lane and epoch.
    pub log: FeedLogId,
    /// Sequence number in the feed log, from 0.
    pub seq: u64,
    /// The entry before it; for the first of an epoch the last known one of this node's lane.
    pub prev: Option<EntryId>,
    /// The author's clock.
    pub hlc: Hlc,
    /// The kind of the entry.
    pub kind: Kind,
    /// The body's length in bytes.
    pub body_len: u32,
    /// BLAKE3 of the body.
    pub body_hash: [u8; 32],
    /// The readers of the body.
    pub audience: EntryAudience,
    /// The entries it refers to.
    pub refs: Vec<EntryId>,
    /// The time to drop the body.
    pub expires: Option<Timestamp>,
    /// True if this program understands every even key. If not, the entry is stored and forwarded,
    /// but not shown.
    pub understood: bool,
}

impl EntryHeader {
    /// The canonical bytes, which are hashed and signed.
    pub fn to_canonical(&self) -> Vec<u8> {
        self.write().uint(18, self.body_len).bytes(20, &self.body_hash).canonical()
    }

    fn write(&self) -> MapWriter {
        let audience = match &self.audience {
            EntryAudience::Public => MapWriter::new().uint(0, 0u8),
            EntryAudience::Sealed { nonce, commit } => {
                MapWriter::new().uint(0, 2u8).bytes(2, nonce).bytes(4, commit)
            }
        };
        MapWriter::new()
            .uint(0, 1u8)
            .bytes(2, &self.log.person.0)
            .put(NODE, self.log.node.to_value())
            .bytes(6, &self.log.lane.0)
            .uint(8, self.log.epoch)
            .uint(10, self.seq)
            .maybe(12, self.prev.map(|prev| Value::Bytes(prev.0.to_vec())))
            .uint(14, self.hlc.0)
            .uint(16, self.kind.number())
            .put(22, audience.value())
            .list(24, &self.refs, |entry| Value::Bytes(entry.0.to_vec()))
            .maybe(26, self.expires.map(|at| Value::Uint(at.0)))
    }

    /// Reads exact bytes.
    ///
    /// # Errors
    /// When the bytes are too long, malformed, not canonical, of another version, or [of a newer
    /// suite](Self::is_of_a_newer_suite).
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CborError> {
        if bytes.len() > HEADER_LEN_MAX {
            return Err(CborError::Malformed("a header over 1 KiB"));
        }
        let mut fields = Fields::from_canonical(bytes)?;
        if fields.uint(0)? != 1 {
            return Err(CborError::NotUnderstood(0));
        }
        let person = PersonId(fields.array(2)?);
        let node = PublicKey::from_value(fields.need(NODE)?, NODE)?;
        let log = FeedLogId { person, node, lane: Lane(fields.array(6)?), epoch: fields.uint(8)? };
        let seq = fields.uint(10)?;
        let prev = fields.maybe_array(12)?.map(EntryId);
        let hlc = Hlc(fields.uint(14)?);
        let kind = Kind::from_number(fields.uint(16)?);
        let body_len: u32 = fields.small(18)?;
        let body_hash = fields.array(20)?;
        let (audience, audience_understood) = audience(fields.need(22)?)?;
        let refs = fields.list(24, REFS_MAX, exactly::<32>)?.into_iter().map(EntryId).collect();
        let expires = fields.maybe_uint(26)?.map(Timestamp);
        let understood =
            fields.finish().is_ok() && audience_understood && !matches!(kind, Kind::Unknown(_));
        if body_len as usize > BODY_LEN_MAX {
            return Err(CborError::Invalid(18));
        }
        if seq > 0 && prev.is_none() {
            return Err(CborError::Missing(12));
        }
        Ok(Self {
            log,
            seq,
            prev,
            hlc,
            kind,
            body_len,
            body_hash,
            audience,
            refs,
            expires,
            understood,
        })
    }
}

impl EntryHeader {
    /// True if a header was refused because its node's key is of a suite that this program does not
    /// know. Such an entry may be valid; it cannot be verified here, so it is not stored, and its
    /// sender has made no error.
    pub fn is_of_a_newer_suite(refused: &CborError) -> bool {
        *refused == CborError::NotUnderstood(NODE)
    }
}

fn audience(value: Value) -> Result<(EntryAudience, bool), CborError> {
    let mut fields = Fields::of(value, 22)?;
    let audience = match fields.uint(0)? {
        0 => EntryAudience::Public,
        2 => EntryAudience::Sealed { nonce: fields.array(2)?, commit: fields.array(4)? },
        _ => return Ok((EntryAudience::Public, false)),
    };
    Ok((audience, fields.finish().is_ok()))
}
