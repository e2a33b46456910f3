//! Jobs: work that is too large for one change, such as undoing the entries beyond a fork or a
//! cut-off, or dropping the many edits that waited for a deleted post. A job is a row that records
//! its progress. This module writes the rows; `steps` does the work, in small commits, so that a
//! stop in the middle loses nothing.

use minicbor::{Decode, Encode};

use super::{EntryId, FeedLogId, rows};
use crate::events::Event;
use crate::identity::{IdentityLog, PersonId};
use crate::keys::PublicKey;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Kind of job (one byte) ‖ its subject → its progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct JobRow {
    /// The next place of a log.
    #[n(0)]
    pub(super) next: u64,
    /// True if the log was cut, so that it has these places no more; false if it forked.
    #[n(1)]
    pub(super) is_cut: bool,
    /// The key of the last log that was handled; empty at first.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) after: Vec<u8>,
    /// The number of good places of a log.
    #[cbor(n(3), default)]
    pub(super) good: u64,
}

impl Record for JobRow {
    const TABLE: Table = Table::new("feed_jobs");
    const VERSION: u8 = 1;
}

/// Person ‖ node: cut its feed logs where the person's identity log says.
pub(super) const CUT_LOGS: u8 = 0;
/// Log: undo its entries from a place on.
pub(super) const UNDO: u8 = 1;
/// Post ‖ author: drop the edits that wait for their time.
pub(super) const DROP_HELD: u8 = 2;
/// Log: let its entries take effect that waited for a cut-off.
pub(super) const RELEASE: u8 = 3;
/// Person: erase what they said (`forget`).
pub(super) const FORGET: u8 = 4;

/// Begins a job.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    kind: u8,
    about: &[&[u8]],
    job: &JobRow,
) -> Result<(), StoreError> {
    tx.after(Event::Timeline);
    row::put(tx, &[&[kind], about.concat().as_slice()].concat(), job)
}

/// Undoes the entries of a log from a place on.
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

/// True while places of a log that was cut are still to be undone.
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

/// Judges the logs of a retired node again: an entry that a cut-off names has arrived.
pub(super) fn judge_again(tx: &mut Tx<'_>, log: &FeedLogId) -> Result<(), StoreError> {
    begin(tx, CUT_LOGS, &[&log.person.0, log.node.as_bytes()], &JobRow::default())
}

/// Begins to judge the feed logs of each node that an identity log has retired, un-retired or
/// stopped certifying since its version `before`.
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

/// True while a job is left.
pub(super) fn any(rows: &impl Rows) -> Result<bool, StoreError> {
    Ok(!rows.rows(JobRow::TABLE, &Scan::prefix(&[], 1))?.is_empty())
}
