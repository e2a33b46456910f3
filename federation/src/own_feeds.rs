//! The owner's feed logs as peers may read them: offers, entries for a Want, bodies for a Lacking.

use freehold_core::feed::{self, EntryHeader, EntryId, Lane};
use freehold_core::identity::PersonId;
use freehold_core::node::Node;
use freehold_core::store::StoreError;

use crate::limits::ENTRIES_LEN_MAX;
use crate::sync::SyncPeer;
use crate::wire::feed::{entry_to_wire, head_to_wire, log_from_wire};
use crate::wire::sync::{Entry, Head, Log};

/// True if the peer may read this lane.
pub(crate) fn may_read(peer: SyncPeer, lane: &[u8; 16]) -> bool {
    match peer {
        SyncPeer::Friend(_) => Lane(*lane).is_well_known(),
        SyncPeer::Stranger => *lane == Lane::PUBLIC.0,
    }
}

/// The own logs that the peer may read, each after the one it continues.
pub(crate) fn offers(node: &Node, peer: SyncPeer) -> Result<Vec<Head>, StoreError> {
    let Some(person) = node.identity.person() else { return Ok(Vec::new()) };
    let heads = feed::heads(node, &person)?;
    Ok(heads.iter().map(head_to_wire).filter(|head| may_read(peer, &head.log.lane)).collect())
}

/// Entries of an own log for a peer that has sent a Want.
pub(crate) fn read(
    node: &Node,
    log: &Log,
    from: u64,
    count_max: usize,
    len_max: usize,
) -> Result<Vec<Entry>, StoreError> {
    let Some(log) = log_from_wire(log) else { return Ok(Vec::new()) };
    let raw = feed::read(node, &log, from, count_max, len_max)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut len = 0;
    for entry in raw.into_iter().map(entry_to_wire) {
        len += entry.len();
        if len > len_max && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Those of these entries that have a body here and that the friend may ask for: the owner's and
/// the friend's own, as many as fit one frame.
pub(crate) fn find_bodies(
    node: &Node,
    friend: PersonId,
    entries: &[EntryId],
) -> Result<Vec<Entry>, StoreError> {
    let mut found: Vec<Entry> = Vec::new();
    let mut len = 0;
    for id in entries {
        let Some(entry) = feed::entry(node, id)?.filter(|entry| entry.body.is_some()) else {
            continue;
        };
        let Ok(header) = EntryHeader::from_canonical(&entry.header) else { continue };
        let author = header.log.person;
        let may_ask = author == friend || Some(author) == node.identity.person();
        if !may_ask || !header.log.lane.is_well_known() {
            continue;
        }
        let entry = entry_to_wire(entry);
        len += entry.len();
        if len > ENTRIES_LEN_MAX {
            break;
        }
        found.push(entry);
    }
    Ok(found)
}
