//! Work too large for one change: undoing what lies beyond a fork or a cut-off, letting count what
//! waited for one, dropping the many edits that waited for a deleted post. A job is a row that says
//! how far it has come; each step is one small commit, so a stop in the middle loses nothing.

use minicbor::{Decode, Encode};

use super::cutoff::Reach;
use super::refs::{self, RefKind};
use super::{EntryId, FeedLogId, forks, receive, rows, void};
use crate::events::Event;
use crate::identity::{self, IdentityLog, PersonId};
use crate::keys::PublicKey;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Places of a log that are looked at in one step, and how many rows that may write until the next
/// one.
const PLACES_EACH: usize = 32;
const ROWS_EACH: usize = 400;
/// Logs of a retired node that are cut in one step.
const LOGS_EACH: usize = 64;

/// What kind of job (one byte) ‖ what it is about: how far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct JobRow {
    /// The next place of a log.
    #[n(0)]
    next: u64,
    /// Whether the log no longer has these places: it was cut, not forked.
    #[n(1)]
    is_cut: bool,
    /// The key of the last log that was looked at; empty at first.
    #[cbor(n(2), with = "minicbor::bytes")]
    after: Vec<u8>,
    /// How many places of a log are good.
    #[cbor(n(3), default)]
    good: u64,
}

impl Record for JobRow {
    const TABLE: Table = Table::new("feed_jobs");
    const VERSION: u8 = 1;
}

/// Person ‖ node: cut its logs where the person's identity log says.
const CUT_LOGS: u8 = 0;
/// Log: undo its entries from a place on.
const UNDO: u8 = 1;
/// Post ‖ author: drop the edits that wait for their time.
const DROP_HELD: u8 = 2;
/// Log: let its entries count that waited to be vouched for.
const RELEASE: u8 = 3;

fn begin(tx: &mut Tx<'_>, kind: u8, about: &[&[u8]], job: &JobRow) -> Result<(), StoreError> {
    tx.after(Event::Timeline);
    row::put(tx, &[&[kind], about.concat().as_slice()].concat(), job)
}

/// Undoes what a log says from a place on.
pub(super) fn undo_from(
    tx: &mut Tx<'_>,
    log: &FeedLogId,
    from: u64,
    is_cut: bool,
) -> Result<(), StoreError> {
    let about = rows::log_key(log);
    let before = row::get::<JobRow>(tx, &[&[UNDO], about.as_slice()].concat())?;
    let (next, is_cut) =
        before.map_or((from, is_cut), |before| (before.next.min(from), before.is_cut || is_cut));
    begin(tx, UNDO, &[&about], &JobRow { next, is_cut, ..JobRow::default() })
}

/// Whether places of a log that was cut are still to be undone.
pub(super) fn is_being_cut(rows: &impl Rows, log: &FeedLogId) -> Result<bool, StoreError> {
    let job = row::get::<JobRow>(rows, &row::key(&[&[UNDO], &rows::log_key(log)]))?;
    Ok(job.is_some_and(|job| job.is_cut))
}

/// Drops the bodies of the edits that wait to replace a post that is gone.
pub(super) fn drop_held(
    tx: &mut Tx<'_>,
    post: &EntryId,
    author: &PersonId,
) -> Result<(), StoreError> {
    begin(tx, DROP_HELD, &[&post.0, &author.0], &JobRow::default())
}

/// Looks anew at the logs of a retired node: an entry that its retirement names has come.
pub(super) fn judge_again(tx: &mut Tx<'_>, log: &FeedLogId) -> Result<(), StoreError> {
    begin(tx, CUT_LOGS, &[&log.person.0, log.node.as_bytes()], &JobRow::default())
}

/// Begins to judge the logs of each node that was retired, is retired no longer, or is no longer
/// certified, from one version of a person's log to the next.
///
/// # Errors
/// When the store refuses.
pub(crate) fn follow_log(
    tx: &mut Tx<'_>,
    before: Option<&IdentityLog>,
    now: &IdentityLog,
) -> Result<(), StoreError> {
    let gone = before
        .into_iter()
        .flat_map(|log| log.state().nodes.keys())
        .filter(|key| now.node(key).is_none());
    let cut_off =
        |key: &PublicKey, log: &IdentityLog| log.node(key).and_then(|node| node.retired.clone());
    let changed = now
        .state()
        .nodes
        .iter()
        .filter(|(key, node)| before.and_then(|before| cut_off(key, before)) != node.retired);
    for key in gone.chain(changed.map(|(key, _)| key)) {
        begin(tx, CUT_LOGS, &[&now.person().0, key.as_bytes()], &JobRow::default())?;
    }
    Ok(())
}

/// Whether anything is left to do.
pub(super) fn any(rows: &impl Rows) -> Result<bool, StoreError> {
    Ok(!rows.rows(JobRow::TABLE, &Scan::prefix(&[], 1))?.is_empty())
}

/// RefKind one step of the first job; whether there was any.
pub(super) fn step(tx: &mut Tx<'_>, node: &Node) -> Result<bool, StoreError> {
    let Some((key, job)) = row::scan::<JobRow>(tx, &Scan::prefix(&[], 1))?.pop() else {
        return Ok(false);
    };
    let Some((kind, about)) = key.split_first() else { return Ok(false) };
    let next = match *kind {
        CUT_LOGS => cut_logs(tx, node, about, job)?,
        UNDO => undo(tx, node, about, job)?,
        RELEASE => release(tx, node, about, job)?,
        _ => drop_next_held(tx, about, job)?,
    };
    match next {
        Some(next) => row::put(tx, &key, &next)?,
        None => row::delete::<JobRow>(tx, &key),
    }
    Ok(true)
}

/// Leaves out what the first job could not do, so that the rest has its turn; all of it if its row
/// is damaged.
pub(super) fn set_aside(tx: &mut Tx<'_>) -> Result<(), StoreError> {
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
) -> Result<Option<JobRow>, StoreError> {
    let log = rows::log_of_key(about)?;
    let Some((seq, id)) = rows::places(tx, &log, job.next, 1)?.pop() else { return Ok(None) };
    void::undo(tx, node, &id)?;
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
) -> Result<Option<JobRow>, StoreError> {
    let log = rows::log_of_key(about)?;
    let (mut next, mut written) = (job.next, 0);
    for (seq, id) in rows::places(tx, &log, job.next, PLACES_EACH)? {
        if seq >= job.good || written > ROWS_EACH {
            break;
        }
        written += receive::release(tx, node, &id)?;
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
    let speaks = state.is_some() && cutoffs.is_none();
    let (mut logs, mut last) = (Vec::new(), None);
    for (log, held) in rows::logs_of_node(tx, &person, &node, &job.after, LOGS_EACH)? {
        last = Some(rows::log_key(&log));
        let held = if speaks { Some(held) } else { without_fork(tx, &log, held)? };
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

/// Cuts a log that has forked to what its sides have in common and forgets the fork, so that the
/// side that a root key vouches for is taken.
fn without_fork(
    tx: &mut Tx<'_>,
    log: &FeedLogId,
    held: rows::LogRow,
) -> Result<Option<rows::LogRow>, StoreError> {
    let Some(from) = forks::place(tx, log)? else { return Ok(Some(held)) };
    forks::forget(tx, log);
    rows::cut_log(tx, log, &rows::LogRow { retired: false, ..held }, from)?;
    undo_from(tx, log, from, true)?;
    rows::log(tx, log)
}

/// Begins to let entries of a log count, if any of them waits. They are let go in their order, so
/// that the last good one waits longest.
fn begin_release(tx: &mut Tx<'_>, log: &FeedLogId, good: u64) -> Result<(), StoreError> {
    let Some(last) = good.checked_sub(1) else { return Ok(()) };
    let Some(last) = rows::at(tx, log, last)? else { return Ok(()) };
    if rows::entry(tx, &last)?.is_some_and(|row| row.waits) {
        begin(tx, RELEASE, &[&rows::log_key(log)], &JobRow { good, ..JobRow::default() })?;
    }
    Ok(())
}
