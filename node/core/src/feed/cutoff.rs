//! The entries that a retirement vouches for: each entry that one of its cut-offs names, and every
//! entry that the named one chains back to.
//!
//! The first entry of an epoch names the last one of the epoch before, so the newest entry of each
//! branch vouches for the whole life of a node, however often that node was started. An entry that
//! no cut-off reaches is void, also in an epoch that continues from a good entry: the holder of a
//! stolen node key can write such entries after the retirement. Each walk goes back within one
//! lane, so it ends.

use std::collections::{BTreeMap, BTreeSet};

use super::VerifiedEntry;
use super::{EntryId, FeedLogHead, FeedLogId, Lane, forks, rows};
use crate::identity::op::Cutoff;
use crate::identity::{IdentityLog, PersonId};
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::Rows;
use crate::store::{StoreError, Tx};

/// Logs read at once.
const LOGS_EACH: usize = 256;

/// The entries held here that the cut-offs of one node reach.
#[derive(Default)]
pub(super) struct Reach {
    /// The number of good entries of a log.
    good: BTreeMap<(Lane, u64), u64>,
    /// Lanes of which a named entry is missing here: more entries may turn out to be good.
    waiting: BTreeSet<Lane>,
    /// Logs that hold another entry at the place of a named one.
    parted: BTreeSet<(Lane, u64)>,
}

impl Reach {
    /// Walks back from each cut-off, down to the epoch with generation `since`.
    pub(super) fn of(
        rows: &impl Rows,
        person: &PersonId,
        node: &PublicKey,
        cutoffs: &[Cutoff],
        since: u64,
    ) -> Result<Self, StoreError> {
        let mut reach = Self::default();
        for cutoff in cutoffs {
            let log = FeedLogId {
                person: *person,
                node: *node,
                lane: Lane(cutoff.lane),
                epoch: cutoff.epoch,
            };
            match entry_at(rows, &log, cutoff.seq)? {
                Some(held) if held.0 == cutoff.entry => {
                    reach.follow(rows, log, cutoff.seq, since)?
                }
                held => {
                    reach.waiting.insert(log.lane);
                    if held.is_some() {
                        reach.parted.insert((log.lane, log.epoch));
                    }
                }
            }
        }
        Ok(reach)
    }

    /// The number of good entries of a log.
    pub(super) fn good(&self, log: &FeedLogId) -> u64 {
        self.good.get(&(log.lane, log.epoch)).copied().unwrap_or_default()
    }

    /// True if the entries of a log that are not reached are void for certain: every entry named in
    /// its lane is held, or the log is another branch than the named one.
    pub(super) fn is_decided(&self, log: &FeedLogId) -> bool {
        !self.waiting.contains(&log.lane) || self.parted.contains(&(log.lane, log.epoch))
    }

    fn follow(
        &mut self,
        rows: &impl Rows,
        mut log: FeedLogId,
        mut seq: u64,
        since: u64,
    ) -> Result<(), StoreError> {
        loop {
            let good = self.good.entry((log.lane, log.epoch)).or_default();
            if *good > seq {
                // The walk from another branch has covered the rest.
                return Ok(());
            }
            let is_walked = *good > 0;
            *good = seq.saturating_add(1);
            let Some(held) =
                rows::log(rows, &log)?.filter(|held| !is_walked && held.generation >= since)
            else {
                return Ok(());
            };
            let Some((earlier, generation, last)) = before(rows, &log)? else { return Ok(()) };
            if generation >= held.generation {
                return Ok(());
            }
            (log, seq) = (earlier, last);
        }
    }
}

/// The status of an entry by the cut-offs of its node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CutoffStatus {
    /// Its node is not retired.
    NotRetired,
    /// A cut-off vouches for the entry at its place.
    Vouched,
    /// A cut-off names it.
    Named,
    /// A cut-off whose entry is missing here may vouch for it.
    Undecided,
    /// No cut-off vouches for it.
    Void,
}

/// The status of an entry by its author's identity log and the entries held here.
pub(super) fn cutoff_status(
    tx: &Tx<'_>,
    entry: &VerifiedEntry,
    author: Option<&IdentityLog>,
) -> Result<CutoffStatus, StoreError> {
    let (id, header) = (entry.id(), entry.header());
    let retired = author
        .and_then(|author| author.node(&header.log.node))
        .and_then(|node| node.retired.as_ref());
    let Some(cutoffs) = retired else { return Ok(CutoffStatus::NotRetired) };
    let since = match (rows::log(tx, &header.log)?, header.prev) {
        (Some(held), _) => held.generation,
        (None, Some(prev)) => rows::entry(tx, &prev)?.map_or(0, |row| row.generation),
        (None, None) => 0,
    };
    let reach = Reach::of(tx, &header.log.person, &header.log.node, cutoffs, since)?;
    Ok(if reach.good(&header.log) > header.seq {
        CutoffStatus::Vouched
    } else if cutoffs.iter().any(|cutoff| cutoff.entry == id.0) {
        CutoffStatus::Named
    } else if reach.is_decided(&header.log) {
        CutoffStatus::Void
    } else {
        CutoffStatus::Undecided
    })
}

/// The entry that the first one of a log continues from, if it is held and not void: its log, the
/// generation of that log, its place.
fn before(rows: &impl Rows, log: &FeedLogId) -> Result<Option<(FeedLogId, u64, u64)>, StoreError> {
    let Some(first) = rows::at(rows, log, 0)? else { return Ok(None) };
    let Some(row) = rows::entry(rows, &first)? else { return Ok(None) };
    let Some(prev) = rows::header(&first, &row)?.prev else { return Ok(None) };
    let Some(row) = rows::entry(rows, &prev)?.filter(|row| !row.void) else { return Ok(None) };
    let header = rows::header(&prev, &row)?;
    let is_there = entry_at(rows, &header.log, header.seq)? == Some(prev);
    Ok(is_there.then_some((header.log, row.generation, header.seq)))
}

/// The entry at a place of a log, unless the log was cut before it.
fn entry_at(rows: &impl Rows, log: &FeedLogId, seq: u64) -> Result<Option<EntryId>, StoreError> {
    if rows::log(rows, log)?.is_none_or(|held| held.hi < seq) {
        return Ok(None);
    }
    rows::at(rows, log, seq)
}

/// The number of entries of a node's feed in the well-known lanes, as held here.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn entries_held(node: &Node, person: &PersonId, of: &PublicKey) -> Result<u64, StoreError> {
    let (mut count, mut after) = (0u64, Vec::new());
    loop {
        let part = rows::logs_of_node(&node.store, person, of, &after, LOGS_EACH)?;
        let Some((last, _)) = part.last() else { return Ok(count) };
        after = rows::log_key(last);
        let well_known = part.iter().filter(|(log, _)| log.lane.is_well_known());
        count += well_known.map(|(_, held)| held.hi + 1).sum::<u64>();
    }
}

/// The last entry of each branch of a node's feed in the well-known lanes, as held here, the newest
/// first: the entries that no other continues from. A log that forked counts up to its fork.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn tips(
    node: &Node,
    person: &PersonId,
    of: &PublicKey,
) -> Result<Vec<FeedLogHead>, StoreError> {
    let (mut logs, mut after) = (Vec::new(), Vec::new());
    loop {
        let part = rows::logs_of_node(&node.store, person, of, &after, LOGS_EACH)?;
        let Some((last, _)) = part.last() else { break };
        after = rows::log_key(last);
        logs.extend(part);
    }
    logs.sort_by_key(|(_, held)| std::cmp::Reverse(held.generation));
    let (mut reach, mut tips) = (Reach::default(), Vec::new());
    for (log, held) in logs.into_iter().filter(|(log, _)| log.lane.is_well_known()) {
        let ends = if held.retired { forks::fork_seq(&node.store, &log)? } else { None };
        let Some(hi) = ends.map_or(Some(held.hi), |fork| fork.checked_sub(1)) else { continue };
        let Some(head) = rows::at(&node.store, &log, hi)?.filter(|_| reach.good(&log) <= hi) else {
            continue;
        };
        reach.follow(&node.store, log, hi, 0)?;
        tips.push(FeedLogHead { log, lo: 0, hi, head });
    }
    Ok(tips)
}
