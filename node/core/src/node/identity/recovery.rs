//! The recovery by friends in a stored identity log: since when it waits, and whether its delay has
//! passed. The delay is counted on this node's clock, from the moment it first stored the op.

use freehold_proto::identity::IdentityLog;
use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table, Tx};

/// Person → the recovery in that person's identity log.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(crate) struct RecoveryRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    op: [u8; 32],
    /// The end of the delay.
    #[n(1)]
    pub(crate) until: Timestamp,
    /// The recovery has taken effect, and the feed knows the log it led to.
    #[n(2)]
    pub(crate) is_done: bool,
}

impl RecoveryRow {
    /// The same recovery, in effect.
    pub(crate) fn done(self) -> Self {
        Self { is_done: true, ..self }
    }
}

impl Record for RecoveryRow {
    const TABLE: Table = Table::new("identity_recoveries");
    const VERSION: u8 = 1;
}

/// The id of the recovery in an identity log, pending or in effect.
fn recovery(log: &IdentityLog) -> Option<[u8; 32]> {
    let at = log.recovered_at().or(log.pending_recovery().map(|(at, _)| at))?;
    log.ops().get(usize::from(at)).map(|op| op.id().0)
}

/// Stores the end of the delay of a log's recovery, in the commit that writes the log.
pub(super) fn put(tx: &mut Tx<'_>, log: &IdentityLog, now: Timestamp) -> Result<(), StoreError> {
    let person = log.person();
    let stored = row::get::<RecoveryRow>(tx, &person.0)?;
    match (recovery(log), log.pending_recovery()) {
        (Some(op), _) if stored.is_some_and(|stored| stored.op == op) => Ok(()),
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

/// True if the delay of the recovery in a stored log has passed.
pub(crate) fn is_over(
    rows: &impl Rows,
    log: &IdentityLog,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if log.pending_recovery().is_none() {
        return Ok(false);
    }
    let stored = row::get::<RecoveryRow>(rows, &log.person().0)?
        .filter(|stored| recovery(log) == Some(stored.op));
    Ok(stored.is_some_and(|stored| stored.is_done || stored.until <= now))
}
