//! What happens to entries at a certain time: one from the future is shown when it is due, one that
//! expires loses its body, a tombstone or an edit that had to wait takes effect. And the jobs that
//! are too large for one change.

use minicbor::{Decode, Encode};

use super::refs::{self, Rank};
use super::{EntryId, effects, jobs, rows};
use crate::clock::Timestamp;
use crate::identity;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// Milliseconds ‖ generation ‖ seq ‖ entry → what is due.
#[derive(Encode, Decode)]
#[cbor(map)]
struct DueRow {
    #[n(0)]
    what: What,
}

/// What happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
enum What {
    /// It takes effect: it was from the future.
    #[n(0)]
    Release,
    /// Its body is dropped.
    #[n(1)]
    Expire,
    /// A tombstone takes back what it has hidden so far, an edit replaces what was shown so far.
    #[n(2)]
    Confirm,
}

impl Record for DueRow {
    const TABLE: Table = Table::new("feed_due");
    const VERSION: u8 = 1;
}

pub(super) fn release_at(tx: &mut Tx<'_>, at: Timestamp, rank: &Rank) -> Result<(), StoreError> {
    row::put(tx, &key(at, rank), &DueRow { what: What::Release })
}

pub(super) fn confirm_at(tx: &mut Tx<'_>, at: Timestamp, rank: &Rank) -> Result<(), StoreError> {
    row::put(tx, &key(at, rank), &DueRow { what: What::Confirm })
}

fn key(at: Timestamp, rank: &Rank) -> Vec<u8> {
    row::key(&[
        &at.0.to_be_bytes(),
        &rank.generation.to_be_bytes(),
        &rank.seq.to_be_bytes(),
        &rank.id.0,
    ])
}

pub(super) fn expire_at(tx: &mut Tx<'_>, at: Timestamp, id: &EntryId) -> Result<(), StoreError> {
    // After everything that is released in the same millisecond.
    let last = u64::MAX.to_be_bytes();
    row::put(
        tx,
        &row::key(&[&at.0.to_be_bytes(), &last, &last, &id.0]),
        &DueRow { what: What::Expire },
    )
}

/// When the next entry is due, or the beginning of time while there is work left over; `None` when
/// nothing waits.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn next_due(node: &Node) -> Result<Option<Timestamp>, StoreError> {
    if jobs::any(&node.store)? {
        return Ok(Some(Timestamp(0)));
    }
    let first = node.store.scan(DueRow::TABLE, &Scan::prefix(&[], 1))?;
    Ok(first.first().map(|(key, _)| Timestamp(u64::from_be_bytes(row::key_part(key, 0)))))
}

/// Finishes what was begun, shows and drops what is due by now; says in how many steps. May be
/// stopped at any moment and run again.
///
/// # Errors
/// When the store takes no changes.
pub async fn run_due(node: &Node) -> Result<usize, StoreError> {
    identity::apply_due_recoveries(node, |tx, log| jobs::follow_log(tx, None, log)).await?;
    Ok(all(node, jobs::step, jobs::set_aside).await? + all(node, step, set_aside).await?)
}

type Step = fn(&mut Tx<'_>, &Node) -> Result<bool, StoreError>;
type SetAside = fn(&mut Tx<'_>) -> Result<(), StoreError>;

/// Repeats a step, each in its own commit, until there is nothing left; what cannot be done is set
/// aside.
async fn all(node: &Node, step: Step, set_aside: SetAside) -> Result<usize, StoreError> {
    let mut steps = 0;
    loop {
        let inside = node.clone();
        match node.store.commit(move |tx| step(tx, &inside)).await {
            Ok(false) => return Ok(steps),
            Ok(true) => steps += 1,
            Err(error @ (StoreError::TooLarge { .. } | StoreError::Corrupt { .. })) => {
                tracing::error!(%error, "an entry could not be handled and is left as it is");
                node.store.commit(set_aside).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Forgets the first that is due, so that those behind it have their turn.
fn set_aside(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (key, _) in tx.scan(DueRow::TABLE, &Scan::prefix(&[], 1))? {
        tx.delete(DueRow::TABLE, &key);
    }
    Ok(())
}

/// Handles the first entry that is due; whether there was any. Only one, so that each stays within
/// a change's limits and one that fails holds up no other.
fn step(tx: &mut Tx<'_>, node: &Node) -> Result<bool, StoreError> {
    let now = node.clock.now();
    let Some((key, due)) = row::scan::<DueRow>(tx, &Scan::prefix(&[], 1))?.pop() else {
        return Ok(false);
    };
    if u64::from_be_bytes(row::key_part(&key, 0)) > now.0 {
        return Ok(false);
    }
    row::delete::<DueRow>(tx, &key);
    let id = EntryId(row::key_part(&key, 24));
    let Some((entry, generation)) = rows::verified(tx, &id)? else { return Ok(true) };
    let dead = rows::entry(tx, &id)?.is_none_or(|row| row.dead);
    let author = entry.header().log.person;
    match due.what {
        What::Expire => effects::take_back(tx, node, &author, &id)?,
        What::Release if !dead && !refs::is_over(tx, &id, entry.header(), now)? => {
            effects::of_received(tx, node, &entry, generation)?
        }
        What::Release => {}
        What::Confirm => effects::confirm(tx, node, &entry, generation)?,
    }
    Ok(true)
}
