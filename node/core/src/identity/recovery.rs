//! When a recovery by friends takes effect: so long after this node first heard of it as the log
//! had said before. Until then a live root key may veto it by another op in its place; later that
//! is refused here. No clock but this node's own has a say.

use minicbor::{Decode, Encode};

use super::{IdentityLog, PersonId, log_in};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed;
use crate::friends::FRIENDS_MAX;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Person → the recovery in that person's log.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RecoveryRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    op: [u8; 32],
    #[n(1)]
    until: Timestamp,
    /// It has taken effect, and what the log said for that case was done.
    #[n(2)]
    is_done: bool,
}

impl Record for RecoveryRow {
    const TABLE: Table = Table::new("identity_recoveries");
    const VERSION: u8 = 1;
}

/// The id of the recovery in a log, waiting or in effect.
fn recovery(log: &IdentityLog) -> Option<[u8; 32]> {
    let at = log.recovered_at().or(log.waiting().map(|(at, _)| at))?;
    log.ops().get(usize::from(at)).map(|op| op.id().0)
}

/// Remembers until when the recovery of a log waits, in the commit that writes the log.
pub(super) fn note(tx: &mut Tx<'_>, log: &IdentityLog, now: Timestamp) -> Result<(), StoreError> {
    let person = log.person();
    let known = row::get::<RecoveryRow>(tx, &person.0)?;
    match (recovery(log), log.waiting()) {
        (Some(op), _) if known.is_some_and(|known| known.op == op) => Ok(()),
        (Some(op), Some((_, delay_secs))) => {
            let until = now.plus_millis(u64::from(delay_secs) * 1000);
            row::put(tx, &person.0, &RecoveryRow { op, until, is_done: false })
        }
        _ => {
            row::delete::<RecoveryRow>(tx, &person.0);
            Ok(())
        }
    }
}

/// Whether the recovery of a stored log has waited long enough.
pub(super) fn is_over(
    rows: &impl Rows,
    log: &IdentityLog,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if log.waiting().is_none() {
        return Ok(false);
    }
    let known = row::get::<RecoveryRow>(rows, &log.person().0)?
        .filter(|known| recovery(log) == Some(known.op));
    Ok(known.is_some_and(|known| known.is_done || known.until <= now))
}

/// Lets recoveries take effect whose time has come, and what the new keys have signed since with
/// them. A person whose rows are damaged holds up nobody else.
///
/// # Errors
/// When the store is unavailable or takes no changes.
pub(crate) async fn apply_due_recoveries(node: &Node) -> Result<(), StoreError> {
    for (key, _) in node.store.scan(RecoveryRow::TABLE, &Scan::prefix(&[], FRIENDS_MAX))? {
        let person = PersonId(row::key_part(&key, 0));
        match take_effect_of(node, person).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(person = %person.short(), %error, "a recovery cannot take effect");
            }
            done => done?,
        }
    }
    Ok(())
}

async fn take_effect_of(node: &Node, person: PersonId) -> Result<(), StoreError> {
    let now = node.clock.now();
    let is_due = |known: &RecoveryRow| !known.is_done && known.until <= now;
    if row::get::<RecoveryRow>(&node.store, &person.0)?.filter(is_due).is_none() {
        return Ok(());
    }
    let done = move |tx: &mut Tx<'_>| {
        let Some(known) =
            row::get::<RecoveryRow>(tx, &person.0)?.filter(|known| known.until <= now)
        else {
            return Ok(());
        };
        row::put(tx, &person.0, &RecoveryRow { is_done: true, ..known })?;
        tx.after(Event::Identity);
        match log_in(tx, &person, now)? {
            Some(log) => feed::follow_log(tx, None, &log),
            None => Ok(()),
        }
    };
    node.store.commit::<_, StoreError, _>(done).await?;
    if node.identity.person() == Some(person) {
        node.identity.follow_store(&node.store, &person, now)?;
    }
    Ok(())
}
