//! Verification of entries, in one place. A [`VerifiedEntry`] comes from [`VerifiedEntry::verify`],
//! or from rows that hold verified entries only ([`VerifiedEntry::reload`]).

use super::{Body, EntryAudience, EntryHeader, EntryId, Kind, RawEntry};
use crate::cbor::CborError;
use crate::clock::Timestamp;
use crate::domains;
use crate::identity::IdentityLog;
use crate::identity::op::Cutoff;

/// An entry that a certified node key of its author has signed, byte for byte, with its body unless
/// deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEntry {
    id: EntryId,
    header: EntryHeader,
    raw: RawEntry,
    body: Option<Body>,
    seen: Timestamp,
    vouched: bool,
}

/// Why an entry is refused, from any sender.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    /// The header is malformed, not canonical, too long or of another version.
    #[error("header: {0}")]
    EntryHeader(CborError),
    /// The body is malformed or not canonical.
    #[error("body: {0}")]
    Body(CborError),
    /// The body is not the one the header names.
    #[error("the body is not the one the header names")]
    AnotherBody,
    /// The kind, audience, lane and refs do not fit together.
    #[error("kind, audience, lane and references do not fit together")]
    Misfit,
    /// The author's identity log does not certify this node key.
    #[error("the node key is not certified by its person")]
    UnknownNode,
    /// The node was retired, and no cut-off can chain back to this entry.
    #[error("the node was retired before this entry")]
    Retired,
    /// The person has ended the identity; its entries are refused.
    #[error("the identity has ended")]
    Ended,
    /// The signature is not valid.
    #[error("the signature does not hold")]
    Signature,
}

impl VerifiedEntry {
    /// Verifies an entry against its author's identity log: canonical bytes, certified node key,
    /// strict signature, and the body that the header names.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(raw: RawEntry, author: &IdentityLog, now: Timestamp) -> Result<Self, EntryError> {
        let header = EntryHeader::from_canonical(&raw.header).map_err(EntryError::EntryHeader)?;
        let id = EntryId::of(&raw.header);
        let node = author
            .node(&header.log.node)
            .filter(|_| header.log.person == author.person())
            .ok_or(EntryError::UnknownNode)?;
        if node
            .retired
            .as_ref()
            .is_some_and(|cutoffs| !cutoffs.iter().any(|cutoff| may_reach(cutoff, &header, &id)))
        {
            return Err(EntryError::Retired);
        }
        if author.state().ended {
            return Err(EntryError::Ended);
        }
        let signed = header.log.node.verify(domains::ENTRY, &raw.header, &raw.signature);
        signed.map_err(|_| EntryError::Signature)?;
        fits(&header)?;
        let body = match &raw.body {
            Some(bytes) => body(&header, bytes)?,
            None => None,
        };
        Ok(Self { id, header, raw, body, seen: now, vouched: false })
    }

    /// An entry that was verified before it was stored; the store detects changed rows. A body that
    /// this program does not understand, or that is not the header's, is left out.
    pub fn reload(id: EntryId, header: EntryHeader, raw: RawEntry, seen: Timestamp) -> Self {
        let body = raw.body.as_deref().and_then(|bytes| body(&header, bytes).ok().flatten());
        Self { id, header, raw, body, seen, vouched: false }
    }

    /// The entry's id.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The header.
    pub fn header(&self) -> &EntryHeader {
        &self.header
    }

    /// The body, unless it was deleted or this program does not understand it.
    pub fn body(&self) -> Option<&Body> {
        self.body.as_ref()
    }

    /// The exact bytes.
    pub fn raw(&self) -> &RawEntry {
        &self.raw
    }

    /// The time at which this node first stored the entry.
    pub fn first_seen(&self) -> Timestamp {
        self.seen
    }

    /// The same entry, marked as covered by a cut-off that a root key has signed.
    pub fn vouched(self) -> Self {
        Self { vouched: true, ..self }
    }

    /// True if a cut-off that a root key has signed covers this entry.
    pub fn is_vouched(&self) -> bool {
        self.vouched
    }

    /// The time to show: the author's, but never later than [`VerifiedEntry::first_seen`].
    pub fn shown(&self) -> Timestamp {
        self.header.hlc.time().min(self.seen)
    }
}

/// True if a cut-off may chain back to this entry, judging by the entry alone. A chain never leaves
/// its lane and never returns to a feed log.
fn may_reach(cutoff: &Cutoff, header: &EntryHeader, id: &EntryId) -> bool {
    let is_before = header.seq < cutoff.seq || (header.seq == cutoff.seq && cutoff.entry == id.0);
    cutoff.lane == header.log.lane.0 && (cutoff.epoch != header.log.epoch || is_before)
}

fn fits(header: &EntryHeader) -> Result<(), EntryError> {
    let sealed = matches!(header.audience, EntryAudience::Sealed { .. });
    let is_misfit = if header.understood {
        sealed != (header.kind == Kind::Sealed)
            || sealed == header.log.lane.is_well_known()
            || (sealed && !header.refs.is_empty())
    } else {
        false
    };
    if is_misfit { Err(EntryError::Misfit) } else { Ok(()) }
}

/// Checks a body against its header, and parses it unless it is sealed or not understood.
fn body(header: &EntryHeader, bytes: &[u8]) -> Result<Option<Body>, EntryError> {
    if bytes.len() != header.body_len as usize
        || *blake3::hash(bytes).as_bytes() != header.body_hash
    {
        return Err(EntryError::AnotherBody);
    }
    if !header.understood || header.kind == Kind::Sealed {
        return Ok(None);
    }
    match Body::from_canonical(header.kind, &header.refs, bytes) {
        Ok(body) => Ok(Some(body)),
        Err(CborError::NotUnderstood(_)) => Ok(None),
        Err(cause) => Err(EntryError::Body(cause)),
    }
}
