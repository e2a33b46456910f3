//! Entries from the future: a node holds back an entry that is more than [`AHEAD_MAX_MS`] ahead of
//! its clock. Its acknowledgement says for how long, and the author's node
//! learns from that how far the two clocks are apart, whichever of them is wrong.

use freehold_core::clock::Timestamp;
use freehold_core::feed::{self, EntryHeader, Kind};
use freehold_core::hlc::AHEAD_MAX_MS;
use freehold_core::identity::PersonId;
use freehold_core::node::Node;
use freehold_core::store::StoreError;

use crate::wire::feed::log_from_wire;
use crate::wire::sync::Log;

/// Milliseconds until a stored entry takes effect here; `None` if it is not held back.
pub(crate) fn remaining_ms(node: &Node, log: &Log, seq: u64) -> Result<Option<u64>, StoreError> {
    let Some(header) = header(node, log, seq)? else { return Ok(None) };
    let now = node.clock.now();
    // A tombstone takes effect at once, whenever it was written.
    let is_held = header.kind != Kind::Tombstone && header.hlc.is_ahead_of(now);
    let due = Timestamp(header.hlc.time().0.saturating_sub(AHEAD_MAX_MS));
    Ok(is_held.then(|| due.millis_since(now)))
}

/// Notes the clock of a friend's node, by the time for which it holds back an own entry.
pub(crate) fn note(
    node: &Node,
    friend: PersonId,
    log: &Log,
    seq: u64,
    held_ms: u64,
) -> Result<(), StoreError> {
    let Some(header) = header(node, log, seq)? else { return Ok(()) };
    let now = node.clock.now();
    let signed = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
    let entry_ahead_ms = signed(header.hlc.time().0).saturating_sub(signed(now.0));
    let held_ms = signed(held_ms.saturating_add(AHEAD_MAX_MS));
    node.presence.set_clock(friend, entry_ahead_ms.saturating_sub(held_ms), now);
    Ok(())
}

fn header(node: &Node, log: &Log, seq: u64) -> Result<Option<EntryHeader>, StoreError> {
    log_from_wire(log).map_or(Ok(None), |log| feed::header_at(node, &log, seq))
}
