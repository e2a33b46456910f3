//! Forgetting a person: the job that erases the entries of one who is no friend any more, with
//! their bodies and what refers to them. It deletes log by log, then searches all entries for
//! those that no log names, such as entries beyond a cut-off. The same commits remove the posts and
//! photos that readers see.

use super::batch::rows_of;
use super::change::{Change, Projection};
use super::jobs::{self, FORGET, JobRow};
use super::refs::{self, Rank, RefKind};
use super::rows::{EntryRow, LogRow, PieceRow, TipRow};
use super::{EntryId, Kind, forks, latest, missing, retraction_limit, rows};
use crate::identity::PersonId;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Tx};

/// The most places of a log that one step reads, and the number of rows after which it stops.
const PLACES_EACH: usize = 64;
const ROWS_EACH: usize = 300;
/// Entries that one step of the search reads.
const SEARCHED_EACH: usize = 128;
/// Other rows of the person that one step deletes, of each table.
const OTHERS_EACH: usize = 100;

/// `JobRow::next` during the search, after the logs.
const SEARCH: u64 = 1;
/// `JobRow::next` after the search.
const OTHERS: u64 = 2;

/// Begins to forget what a person said.
///
/// # Errors
/// When the store refuses.
pub(crate) fn begin(tx: &mut Tx<'_>, person: &PersonId) -> Result<(), StoreError> {
    jobs::begin(tx, FORGET, &[&person.0], &JobRow::default())
}

/// Does one step; returns the job's progress, or `None` at its end.
pub(super) fn step(
    tx: &mut Tx<'_>,
    about: &[u8],
    job: JobRow,
    changes: &mut Vec<Change>,
) -> Result<Option<JobRow>, StoreError> {
    // A deletion is never refused.
    tx.mark_essential();
    let person = PersonId(row::key_part(about, 0));
    match job.next {
        OTHERS => others(tx, &person, job),
        SEARCH => search(tx, &person, job, changes),
        _ if job.after.is_empty() => next_log(tx, &person, job),
        _ => places(tx, job, changes),
    }
}

/// Begins with the person's next log. Its row goes first, so that no check misses its places.
fn next_log(tx: &mut Tx<'_>, person: &PersonId, job: JobRow) -> Result<Option<JobRow>, StoreError> {
    let Some((log, _)) = rows::logs(tx, person, 1)?.pop() else {
        return Ok(Some(JobRow { next: SEARCH, ..job }));
    };
    row::delete::<LogRow>(tx, &rows::log_key(&log));
    forks::forget(tx, &log);
    Ok(Some(JobRow { after: rows::log_key(&log), ..job }))
}

/// Deletes the next entries of the log that `job.after` names.
fn places(
    tx: &mut Tx<'_>,
    job: JobRow,
    changes: &mut Vec<Change>,
) -> Result<Option<JobRow>, StoreError> {
    let log = rows::log_of_key(&job.after)?;
    let places = rows::places(tx, &log, 0, PLACES_EACH)?;
    if places.is_empty() {
        return Ok(Some(JobRow { after: Vec::new(), ..job }));
    }
    let mut written = 0;
    for (seq, id) in places {
        written += entry(tx, &id, changes)?;
        rows::forget_place(tx, &log, seq);
        if written > ROWS_EACH {
            break;
        }
    }
    Ok(Some(job))
}

/// Deletes the person's entries among the next ones of all people.
fn search(
    tx: &mut Tx<'_>,
    person: &PersonId,
    job: JobRow,
    changes: &mut Vec<Change>,
) -> Result<Option<JobRow>, StoreError> {
    let (mut after, mut written) = (job.after, 0);
    let found = entries_after(tx, &after)?;
    if found.is_empty() {
        return Ok(Some(JobRow { next: OTHERS, after: Vec::new(), ..job }));
    }
    for id in found {
        let is_theirs = match rows::entry(tx, &id) {
            Ok(Some(row)) => rows::header(&id, &row).map(|header| header.log.person == *person),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        let is_theirs = match is_theirs {
            // Damage stays for the check to report.
            Err(StoreError::Corrupt { .. }) => false,
            other => other?,
        };
        if is_theirs {
            written += entry(tx, &id, changes)?;
        }
        after = id.0.to_vec();
        if written > ROWS_EACH {
            break;
        }
    }
    Ok(Some(JobRow { after, ..job }))
}

/// Deletes an entry with its body and its effects on others; returns about how many rows that
/// writes.
fn entry(tx: &mut Tx<'_>, id: &EntryId, changes: &mut Vec<Change>) -> Result<usize, StoreError> {
    changes.push(Change::Erased { post: Some(*id) });
    let (entry, generation) = match rows::verified(tx, id) {
        Ok(Some(found)) => found,
        // A damaged entry is deleted as well.
        Ok(None) | Err(StoreError::Corrupt { .. }) => return delete_entry(tx, id),
        Err(error) => return Err(error),
    };
    let (header, written) = (entry.header(), rows_of(&entry));
    let (author, rank) = (header.log.person, Rank::of(id, header, generation));
    if let Some(of) = header.refs.first() {
        for kind in RefKind::ALL {
            refs::delete(tx, of, &author, kind, &rank);
        }
    }
    if header.kind == Kind::Post {
        changes.push(Change::Post { author, post: *id, now: Projection::Hidden });
    }
    delete_entry(tx, id)?;
    Ok(written)
}

/// Deletes the rows of an entry, also of a damaged one; returns their number.
fn delete_entry(tx: &mut Tx<'_>, id: &EntryId) -> Result<usize, StoreError> {
    let pieces = match tx.scan(PieceRow::TABLE, &Scan::prefix(&id.0, usize::from(u16::MAX))) {
        Err(StoreError::Corrupt { .. }) => Vec::new(),
        pieces => pieces?,
    };
    pieces.iter().for_each(|(key, _)| row::delete::<PieceRow>(tx, key));
    row::delete::<EntryRow>(tx, &id.0);
    Ok(pieces.len() + 1)
}

/// The ids of the next entries of all people, after the key `after`.
fn entries_after(tx: &Tx<'_>, after: &[u8]) -> Result<Vec<EntryId>, StoreError> {
    let scan = Scan::prefix(&[], SEARCHED_EACH);
    let scan = if after.is_empty() { scan } else { scan.after(after) };
    let found = tx.scan(EntryRow::TABLE, &scan)?;
    Ok(found.iter().map(|(key, _)| EntryId(row::key_part(key, 0))).collect())
}

/// Deletes the person's other rows; ends the job when none is left.
fn others(tx: &mut Tx<'_>, person: &PersonId, job: JobRow) -> Result<Option<JobRow>, StoreError> {
    let deleted = delete::<TipRow>(tx, person)?
        + delete::<latest::LatestRow>(tx, person)?
        + delete::<missing::MissingRow>(tx, person)?
        + delete::<retraction_limit::RetractionRow>(tx, person)?
        + delete::<forks::ForkRow>(tx, person)?;
    Ok((deleted > 0).then_some(job))
}

/// Deletes some of a table's rows whose keys begin with the person; returns their number.
fn delete<T: Record>(tx: &mut Tx<'_>, person: &PersonId) -> Result<usize, StoreError> {
    let found = tx.scan(T::TABLE, &Scan::prefix(&person.0, OTHERS_EACH))?;
    found.iter().for_each(|(key, _)| row::delete::<T>(tx, key));
    Ok(found.len())
}

#[cfg(test)]
mod tests;
