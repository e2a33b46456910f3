//! Conversions between core's feed types and the wire's.

use freehold_core::feed::{EntryHeader, EntryId, FeedLogHead, FeedLogId, Lane, RawEntry};
use freehold_core::identity::PersonId;
use freehold_core::keys::{PublicKey, Signature};

use super::sync::{Entry, Head, Log};

pub(crate) fn log_to_wire(log: &FeedLogId) -> Log {
    Log {
        person: log.person.0,
        suite: log.node.suite(),
        node: *log.node.as_bytes(),
        lane: log.lane.0,
        epoch: log.epoch,
    }
}

/// The log that a peer names; `None` if its node key is not valid.
pub(crate) fn log_from_wire(log: &Log) -> Option<FeedLogId> {
    let node = PublicKey::from_ed25519(log.node).ok().filter(|key| key.suite() == log.suite)?;
    Some(FeedLogId { person: PersonId(log.person), node, lane: Lane(log.lane), epoch: log.epoch })
}

pub(crate) fn head_to_wire(head: &FeedLogHead) -> Head {
    let EntryId(id) = head.head;
    Head { log: log_to_wire(&head.log), lo: head.lo, hi: head.hi, head: id }
}

pub(crate) fn entry_to_wire(raw: RawEntry) -> Entry {
    Entry { header: raw.header, signature: raw.signature.0.to_vec(), body: raw.body }
}

/// The entry as core verifies it; `None` if the signature has a wrong length.
pub(crate) fn entry_from_wire(entry: Entry) -> Option<RawEntry> {
    Some(RawEntry {
        header: entry.header,
        signature: Signature(entry.signature.try_into().ok()?),
        body: entry.body,
    })
}

/// The log and the sequence number that an unverified header names; `None` if it is not a header.
pub(crate) fn log_and_seq(entry: &Entry) -> Option<(Log, u64)> {
    let header = EntryHeader::from_canonical(&entry.header).ok()?;
    Some((log_to_wire(&header.log), header.seq))
}
