//! Reads core's outbox as it grows and hands each new own entry to every sync stream.
//!
//! Only durable records are read, so no friend can hold an entry that a power cut takes from its
//! author.

use std::sync::Arc;

use freehold_core::blocking::try_blocking;
use freehold_core::events::Event;
use freehold_core::feed;
use freehold_core::node::Node;
use freehold_core::outbox;
use freehold_core::store::StoreError;
use tokio::sync::broadcast::error::RecvError;

use crate::state::FederationState;
use crate::sync::NewEntry;
use crate::wire::feed::{entry_to_wire, log_to_wire};
use crate::wire::sync::Head;

/// Outbox records read at once.
const RECORDS_MAX: usize = 256;

/// Reads the outbox after each [`Event::Outbox`] until the node stops.
pub(crate) async fn run(state: Arc<FederationState>) {
    let mut events = state.node.events.subscribe();
    // Entries from before this moment are in the logs that every stream begins by offering.
    let mut cursor = outbox::durable_head(&state.node).unwrap_or_default();
    loop {
        match events.recv().await {
            Ok(Event::Outbox) | Err(RecvError::Lagged(_)) => {}
            Ok(_) => continue,
            Err(RecvError::Closed) => return,
        }
        let (node, mut next) = (state.node.clone(), cursor);
        let read = move || new_entries(&node, &mut next).map(|entries| (entries, next));
        match try_blocking(read).await {
            Ok((entries, next)) => {
                entries.into_iter().for_each(|entry| state.peers.send_new_entry(entry));
                cursor = next;
            }
            Err(error) => tracing::warn!(%error, "cannot read the outbox"),
        }
    }
}

/// The own entries behind `cursor`, which is moved to the end of the outbox.
pub(crate) fn new_entries(node: &Node, cursor: &mut u64) -> Result<Vec<NewEntry>, StoreError> {
    let (mut entries, mut next) = (Vec::new(), *cursor);
    loop {
        let records = outbox::read(node, next, RECORDS_MAX)?;
        if records.is_empty() {
            *cursor = next;
            return Ok(entries);
        }
        for (number, record) in records {
            if let Some(raw) = feed::entry(node, &record.entry)? {
                let log = log_to_wire(&record.log);
                let head = Head { log, lo: 0, hi: record.seq, head: record.entry.0 };
                entries.push(NewEntry { head, entry: entry_to_wire(raw) });
            }
            next = number;
        }
    }
}
