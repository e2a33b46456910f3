//! The work that the feed does by itself: one step of a job, or one entry that is due. Each step
//! fits one commit; the scheduling of steps is [`crate::apply`]'s.

use super::change::Change;
use super::cutoff::Reach;
use super::due::{DueRow, What};
use super::jobs::{CUT_LOGS, FORGET, JobRow, RELEASE, UNDO, begin, undo_from};
use super::refs::{self, RefKind};
use super::{EntryId, FeedLogId, effects, forget, forks, rows, take, void};
use crate::identity::{self, PersonId};
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Tx};

/// The most places of a log that one step handles, and the number of rows after which it stops.
const PLACES_EACH: usize = 32;
const ROWS_EACH: usize = 400;
/// The most logs of a retired node that one step cuts.
const LOGS_EACH: usize = 64;

/// Does one step of the first job. Returns whether there was one.
///
/// # Errors
/// The store's; the job is as it was then.
pub(crate) fn job(
    tx: &mut Tx<'_>,
    node: &Node,
    changes: &mut Vec<Change>,
) -> Result<bool, StoreError> {
    let Some((key, job)) = row::scan::<JobRow>(tx, &Scan::prefix(&[], 1))?.pop() else {
        return Ok(false);
    };
    let Some((kind, about)) = key.split_first() else { return Ok(false) };
    let next = match *kind {
        CUT_LOGS => cut_logs(tx, node, about, job)?,
        UNDO => undo(tx, node, about, job, changes)?,
        RELEASE => release(tx, node, about, job, changes)?,
        FORGET => forget::step(tx, about, job, changes)?,
        _ => drop_next_held(tx, about, job)?,
    };
    match next {
        Some(next) => row::put(tx, &key, &next)?,
        None => row::delete::<JobRow>(tx, &key),
    }
    Ok(true)
}

/// Skips the place at which the first job failed, so that the others have their turn. A job whose
/// row is damaged, or that cannot skip, is dropped.
///
/// # Errors
/// The store's.
pub(crate) fn skip_job(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let Some((key, _)) = tx.scan(JobRow::TABLE, &Scan::prefix(&[], 1))?.pop() else {
        return Ok(());
    };
    match row::get::<JobRow>(tx, &key) {
        Ok(Some(job)) if matches!(key.first(), Some(&(UNDO | RELEASE))) => {
            row::put(tx, &key, &JobRow { next: job.next.saturating_add(1), ..job })
        }
        Ok(_) | Err(StoreError::Corrupt { .. }) => {
            row::delete::<JobRow>(tx, &key);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn undo(
    tx: &mut Tx<'_>,
    node: &Node,
    about: &[u8],
    job: JobRow,
    changes: &mut Vec<Change>,
) -> Result<Option<JobRow>, StoreError> {
    let log = rows::log_of_key(about)?;
    let Some((seq, id)) = rows::places(tx, &log, job.next, 1)?.pop() else { return Ok(None) };
    void::undo(tx, node, &id, changes)?;
    if job.is_cut {
        rows::forget_place(tx, &log, seq);
    }
    Ok(Some(JobRow { next: seq.saturating_add(1), ..job }))
}

fn release(
    tx: &mut Tx<'_>,
    node: &Node,
    about: &[u8],
    job: JobRow,
    changes: &mut Vec<Change>,
) -> Result<Option<JobRow>, StoreError> {
    let log = rows::log_of_key(about)?;
    let (mut next, mut written) = (job.next, 0);
    for (seq, id) in rows::places(tx, &log, job.next, PLACES_EACH)? {
        if seq >= job.good || written > ROWS_EACH {
            break;
        }
        written += take::release(tx, node, &id, changes)?;
        next = seq.saturating_add(1);
    }
    Ok((next > job.next).then_some(JobRow { next, ..job }))
}

fn drop_next_held(
    tx: &mut Tx<'_>,
    about: &[u8],
    job: JobRow,
) -> Result<Option<JobRow>, StoreError> {
    let (post, author) = (EntryId(row::key_part(about, 0)), PersonId(row::key_part(about, 32)));
    let Some(edit) = refs::first(tx, &post, &author, RefKind::WillReplace)? else {
        return Ok(None);
    };
    rows::drop_body(tx, &edit.id)?;
    refs::delete(tx, &post, &author, RefKind::WillReplace, &edit);
    Ok(Some(job))
}

fn cut_logs(
    tx: &mut Tx<'_>,
    inside: &Node,
    about: &[u8],
    job: JobRow,
) -> Result<Option<JobRow>, StoreError> {
    let person = PersonId(row::key_part(about, 0));
    let Ok(node) = PublicKey::from_ed25519(row::key_part(about, 32)) else { return Ok(None) };
    let Some(author) = identity::stored_log(tx, &person, inside.clock.now())? else {
        return Ok(None);
    };
    let state = author.node(&node);
    let cutoffs = state.and_then(|state| state.retired.as_deref());
    let is_active = state.is_some() && cutoffs.is_none();
    let (mut logs, mut last) = (Vec::new(), None);
    for (log, held) in rows::logs_of_node(tx, &person, &node, &job.after, LOGS_EACH)? {
        last = Some(rows::log_key(&log));
        let held = if is_active { Some(held) } else { without_fork(tx, &log, held)? };
        logs.extend(held.map(|held| (log, held)));
    }
    let reach = cutoffs.map(|cutoffs| Reach::of(tx, &person, &node, cutoffs, 0)).transpose()?;
    for (log, held) in logs {
        let (good, is_rest_void) = match (state, &reach) {
            (None, _) => (0, true),
            (Some(_), None) => (held.hi.saturating_add(1), false),
            (Some(_), Some(reach)) => (reach.good(&log), reach.is_decided(&log)),
        };
        begin_release(tx, &log, good)?;
        if is_rest_void && good <= held.hi {
            rows::cut_log(tx, &log, &held, good)?;
            undo_from(tx, &log, good, true)?;
        }
    }
    Ok(last.map(|after| JobRow { after, ..job }))
}

/// Cuts a forked log to the entries that its sides have in common and deletes the proof, so that
/// the side that a root key vouches for can be received.
fn without_fork(
    tx: &mut Tx<'_>,
    log: &FeedLogId,
    held: rows::LogRow,
) -> Result<Option<rows::LogRow>, StoreError> {
    let Some(from) = forks::fork_seq(tx, log)? else { return Ok(Some(held)) };
    forks::forget(tx, log);
    rows::cut_log(tx, log, &rows::LogRow { retired: false, ..held }, from)?;
    undo_from(tx, log, from, true)?;
    rows::log(tx, log)
}

/// Begins to let the waiting entries of a log take effect, in their order, so that the last good
/// one waits longest.
fn begin_release(tx: &mut Tx<'_>, log: &FeedLogId, good: u64) -> Result<(), StoreError> {
    let Some(last) = good.checked_sub(1) else { return Ok(()) };
    let Some(last) = rows::at(tx, log, last)? else { return Ok(()) };
    if rows::entry(tx, &last)?.is_some_and(|row| row.waits) {
        begin(tx, RELEASE, &[&rows::log_key(log)], &JobRow { good, ..JobRow::default() })?;
    }
    Ok(())
}

/// Drops the first scheduled entry from the schedule, so that those behind it have their turn.
///
/// # Errors
/// The store's.
pub(crate) fn skip_due(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (key, _) in tx.scan(DueRow::TABLE, &Scan::prefix(&[], 1))? {
        tx.delete(DueRow::TABLE, &key);
    }
    Ok(())
}

/// Handles the first entry that is due. Returns whether there was one. Only one, so that each stays
/// within a change's limits and one that fails holds up no other.
///
/// # Errors
/// The store's; the entry stays due then.
pub(crate) fn due(
    tx: &mut Tx<'_>,
    node: &Node,
    changes: &mut Vec<Change>,
) -> Result<bool, StoreError> {
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
        What::Expire => effects::delete(tx, node, &author, &id, changes)?,
        What::Release if !dead && !refs::is_over(tx, &id, entry.header(), now)? => {
            effects::of_received(tx, node, &entry, generation, changes)?
        }
        What::Release => {}
        What::Confirm => effects::confirm(tx, node, &entry, generation, changes)?,
    }
    Ok(true)
}
