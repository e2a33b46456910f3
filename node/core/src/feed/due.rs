//! What happens to entries at a certain time: one from the future is shown when it is due, one that expires loses its body.

use minicbor::{Decode, Encode};

use super::verify::VerifiedEntry;
use super::{EntryId, effects, rows};
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// Entries handled in one commit: one, so that each stays within a change's limits and one that fails holds up no other.
const STEP: usize = 1;

/// Milliseconds ‖ generation ‖ seq ‖ entry → what is due.
#[derive(Encode, Decode)]
#[cbor(map)]
struct DueRow {
    #[n(0)]
    expires: bool,
}

impl Record for DueRow {
    const TABLE: Table = Table::new("feed_due");
    const VERSION: u8 = 1;
}

pub(super) fn release_at(tx: &mut Tx<'_>, at: Timestamp, id: &EntryId, generation: u64, seq: u64) -> Result<(), StoreError> {
    let key = row::key(&[&at.0.to_be_bytes(), &generation.to_be_bytes(), &seq.to_be_bytes(), &id.0]);
    row::put(tx, &key, &DueRow { expires: false })
}

pub(super) fn expire_at(tx: &mut Tx<'_>, at: Timestamp, id: &EntryId) -> Result<(), StoreError> {
    // After everything that is released in the same millisecond.
    let last = u64::MAX.to_be_bytes();
    row::put(tx, &row::key(&[&at.0.to_be_bytes(), &last, &last, &id.0]), &DueRow { expires: true })
}

/// When the next entry is due; `None` when none waits.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn next_due(node: &Node) -> Result<Option<Timestamp>, StoreError> {
    let first = row::scan::<DueRow>(&node.store, &Scan::prefix(&[], 1))?;
    Ok(first.first().map(|(key, _)| Timestamp(u64::from_be_bytes(row::key_part(key, 0)))))
}

/// Shows and drops what is due by now; says how many entries.
///
/// # Errors
/// When the store takes no changes.
pub async fn run_due(node: &Node) -> Result<usize, StoreError> {
    let mut all = 0;
    loop {
        let inside = node.clone();
        match node.store.commit(move |tx| step(tx, &inside)).await {
            Ok(0) => return Ok(all),
            Ok(done) => all += done,
            Err(error @ (StoreError::TooLarge { .. } | StoreError::Corrupt { .. })) => {
                tracing::error!(%error, "an entry that fell due could not be handled and is left as it is");
                node.store.commit(set_aside).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Forgets the first that is due, so that those behind it have their turn.
fn set_aside(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (key, _) in tx.scan(DueRow::TABLE, &Scan::prefix(&[], STEP))? {
        tx.delete(DueRow::TABLE, &key);
    }
    Ok(())
}

fn step(tx: &mut Tx<'_>, node: &Node) -> Result<usize, StoreError> {
    let now = node.clock.now();
    let mut due = row::scan::<DueRow>(tx, &Scan::prefix(&[], STEP))?;
    due.retain(|(key, _)| u64::from_be_bytes(row::key_part(key, 0)) <= now.0);
    for (key, row) in &due {
        row::delete::<DueRow>(tx, key);
        let id = EntryId(row::key_part(key, 24));
        let Some((entry, generation)) = VerifiedEntry::from_store(tx, &id)? else { continue };
        let dead = rows::entry(tx, &id)?.is_none_or(|row| row.dead);
        let author = entry.header().log.person;
        if row.expires {
            effects::take_back(tx, node, &author, &id)?;
        } else if !dead && !effects::is_taken_back(tx, &author, &id)? {
            effects::of_received(tx, node, &entry, generation)?;
        }
    }
    Ok(due.len())
}
