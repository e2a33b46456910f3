//! A recovery by friends takes effect once its delay has passed on this node's clock. Until then a
//! live root key may veto the recovery by another op in its place; later such an op is refused
//! here.

use super::{IdentityLog, PEOPLE_MAX, PersonId, stored_log};
use crate::events::Event;
use crate::node::{Node, RecoveryRow};
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Tx};

/// The reaction to a recovery, called with the resulting log in the commit that applies it.
type OnRecovery = fn(&mut Tx<'_>, &IdentityLog) -> Result<(), StoreError>;

/// Applies each recovery whose delay has passed, together with the ops that the new keys have
/// signed since. A person whose rows are damaged is skipped and logged.
///
/// # Errors
/// When the store is unavailable or takes no changes.
pub(crate) async fn apply_due_recoveries(
    node: &Node,
    on_recovery: OnRecovery,
) -> Result<(), StoreError> {
    for (key, _) in node.store.scan(RecoveryRow::TABLE, &Scan::prefix(&[], PEOPLE_MAX))? {
        let person = PersonId(row::key_part(&key, 0));
        match apply_due_recovery(node, person, on_recovery).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(person = %person.short(), %error, "a recovery cannot take effect");
            }
            applied => applied?,
        }
    }
    Ok(())
}

async fn apply_due_recovery(
    node: &Node,
    person: PersonId,
    on_recovery: OnRecovery,
) -> Result<(), StoreError> {
    let now = node.clock.now();
    let is_due = |stored: &RecoveryRow| !stored.is_done && stored.until <= now;
    if row::get::<RecoveryRow>(&node.store, &person.0)?.filter(is_due).is_none() {
        return Ok(());
    }
    let apply = move |tx: &mut Tx<'_>| {
        let Some(stored) =
            row::get::<RecoveryRow>(tx, &person.0)?.filter(|stored| stored.until <= now)
        else {
            return Ok(());
        };
        row::put(tx, &person.0, &stored.done())?;
        tx.after(Event::Identity);
        match stored_log(tx, &person, now)? {
            Some(log) => on_recovery(tx, &log),
            None => Ok(()),
        }
    };
    node.store.commit::<_, StoreError, _>(apply).await?;
    if node.identity.person() == Some(person) {
        super::reload_own_log(node, &person, now)?;
    }
    Ok(())
}
