//! Judges one received entry against the stored ones and decides how it is stored. Reads only.
//!
//! An attacker gets: a replay changes nothing; a gap or a wrong predecessor is refused; two entries
//! at one place of a log are stored as proof and end that log.

use super::batch::Refused;
use super::cutoff::{CutoffStatus, cutoff_status};
use super::{EntryHeader, EntryId, FeedLogId, VerifiedEntry, forks, jobs, rows};
use crate::identity::IdentityLog;
use crate::node::Node;
use crate::store::Tx;

/// The decision about a received entry.
pub(super) enum Verdict {
    /// It is held already; its body may be new.
    Known(Box<rows::EntryRow>),
    /// It is void and not stored.
    Void,
    /// A cut-off names it, and the entry held at its place is of another branch: that branch is
    /// removed first.
    OtherBranch,
    /// It proves that its log has forked.
    Fork(rows::LogRow),
    /// It is the next one of its log.
    Next {
        /// How many epochs of its lane came before.
        generation: u64,
        /// Its status by the cut-offs of a retired node.
        cutoff_status: CutoffStatus,
    },
}

/// Judges an entry that was verified against `author`.
///
/// # Errors
/// Why the batch with it is refused.
pub(super) fn judge(
    tx: &Tx<'_>,
    node: &Node,
    entry: &VerifiedEntry,
    author: Option<&IdentityLog>,
) -> Result<Verdict, Refused> {
    let header = entry.header();
    let log = header.log;
    if jobs::is_being_cut(tx, &log)? {
        return Err(Refused::BeingCut(log));
    }
    // A row that is stored as void does not decide. The entry has passed verification, which
    // refuses entries of a retired node that no cut-off can reach, so the entry is judged as
    // a new one.
    if let Some(row) = rows::entry(tx, &entry.id())?.filter(|row| !row.void) {
        return Ok(Verdict::Known(Box::new(row)));
    }
    if log.node == node.identity.node_key() && log.epoch == node.identity.epoch() {
        return Err(Refused::NotMine(log));
    }
    let cutoff_status = cutoff_status(tx, entry, author)?;
    // Vouched: the cut-off vouches for another entry at this place, so this one is of a branch that
    // the cut-off does not reach.
    if matches!(cutoff_status, CutoffStatus::Void | CutoffStatus::Vouched) {
        return Ok(Verdict::Void);
    }
    let held = rows::log(tx, &log)?;
    if cutoff_status == CutoffStatus::Named
        && held.as_ref().is_some_and(|held| held.hi >= header.seq)
    {
        return Ok(Verdict::OtherBranch);
    }
    let generation = match held {
        // Of two forks of one log the earlier one is where the log ends.
        Some(row)
            if header.seq <= row.hi
                && forks::fork_seq(tx, &log)?.is_none_or(|known| header.seq < known) =>
        {
            return Ok(Verdict::Fork(row));
        }
        Some(row) if row.retired => return Ok(Verdict::Void),
        Some(row) if header.seq > row.hi + 1 => {
            return Err(Refused::Gap { log, seq: header.seq, expected: row.hi + 1 });
        }
        Some(row) if header.prev != Some(EntryId(row.head)) => {
            return Err(Refused::Predecessor { log, seq: header.seq });
        }
        Some(row) => row.generation,
        // It continues from a void entry. Refusing it would make a peer that does not know of the
        // retirement send it again and again.
        None if cutoff_status == CutoffStatus::Undecided
            && (header.seq > 0
                || matches!(first_of_epoch(tx, header), Err(Refused::Predecessor { .. }))) =>
        {
            return Ok(Verdict::Void);
        }
        None if header.seq > 0 => return Err(Refused::Gap { log, seq: header.seq, expected: 0 }),
        None => first_of_epoch(tx, header)?,
    };
    Ok(Verdict::Next { generation, cutoff_status })
}

/// How many epochs came before the one that this entry opens. Its predecessor must be held already,
/// in the same lane of the same node; only after a fork may it be one of those that were not taken.
fn first_of_epoch(tx: &Tx<'_>, header: &EntryHeader) -> Result<u64, Refused> {
    let Some(prev) = header.prev else { return Ok(0) };
    let refused = Refused::Predecessor { log: header.log, seq: header.seq };
    let (before, generation) = match rows::entry(tx, &prev)? {
        Some(row) => (rows::header(&prev, &row)?.log, row.generation),
        None => return forks::generation(tx, &header.log)?.map(|forked| forked + 1).ok_or(refused),
    };
    let same_lane = FeedLogId { epoch: header.log.epoch, ..before } == header.log;
    if !same_lane || before.epoch == header.log.epoch {
        return Err(refused);
    }
    Ok(generation + 1)
}
