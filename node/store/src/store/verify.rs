//! Verification: compares the rows of the engine with the snapshots and the log.
//!
//! Changes may be committed at the same time: a row that differs is reported only if no later
//! change wrote it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::StoreError;
use super::checkpointer::Checkpointer;
use super::shared::Shared;
use super::snapshot::{self, ContinueCheck, Snapshot};
use crate::wal::Mark;
use crate::wal::recover::Group;

/// The number of rows of the engine read at a time.
const PAGE_ROWS: usize = 500;

/// Table name and key of a row.
type RowKey = (String, Vec<u8>);
/// The hash of each row in the log, `None` for a deleted row.
type Written = BTreeMap<RowKey, Option<[u8; 32]>>;

/// Called with the number of rows compared; an error ends the verification.
type Progress<'a> = &'a dyn Fn(u64) -> Result<(), StoreError>;

/// Calls the progress function, not for each row, because it may take a lock.
struct Reporter<'a> {
    progress: Progress<'a>,
    compared: Cell<u64>,
    /// The rows and groups read since the last call.
    unreported: Cell<usize>,
}

impl Reporter<'_> {
    fn report(&self) -> Result<(), StoreError> {
        self.unreported.set(0);
        (self.progress)(self.compared.get())
    }

    /// Counts a row or a group, and reports once in [`PAGE_ROWS`] calls.
    fn count(&self) -> Result<(), StoreError> {
        self.unreported.set(self.unreported.get() + 1);
        if self.unreported.get() < PAGE_ROWS { Ok(()) } else { self.report() }
    }
}

/// A description of each difference.
pub(super) fn verify(
    checkpointer: &Checkpointer,
    shared: &Shared,
    progress: Progress<'_>,
) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    let reporter = Reporter { progress, compared: Cell::new(0), unreported: Cell::new(0) };
    let check = || reporter.count();
    reporter.report()?;
    let (mut oldest, mut newest) = (None, None);
    let reader = &checkpointer.parts.reader;
    let (fs, data, wal) = (&*reader.fs, &checkpointer.parts.data, checkpointer.wal_id());
    for position in snapshot::list(fs, data)? {
        let open = || Snapshot::open(fs, &reader.seal, &snapshot::path(data, position), wal);
        let verified =
            open().and_then(|snapshot| Ok((snapshot.mark.clone(), snapshot.verify(&check)?)));
        reporter.report()?;
        match verified {
            Ok((mark, _)) => {
                oldest.get_or_insert(mark.clone());
                newest = Some((mark, open()?));
            }
            Err(error) => problems.push(format!("the snapshot of position {position}: {error}")),
        }
    }
    let end = shared.settled_end();
    if let Err(error) = reader.read_until(oldest.as_ref(), end.position, &mut |_| Ok(check()?)) {
        reporter.report()?;
        problems.push(error.to_string());
        return Ok(problems);
    }
    let (from, rows) = newest.map_or((None, None), |(mark, snapshot)| (Some(mark), Some(snapshot)));
    let written = written(checkpointer, from.as_ref(), end.position, &check)?;
    let differing = compare(shared, rows, written, &reporter)?;
    if !differing.is_empty() {
        let now = shared.settled_end();
        let since = written_since(checkpointer, &end, now.position, &check)?;
        let unwritten = differing.into_iter().filter(|row| !since.contains(row));
        problems.extend(
            unwritten
                .map(|(table, _)| format!("a row of table {table} differs from snapshot and log")),
        );
    }
    Ok(problems)
}

/// The rows that the log writes after `from` up to `until`.
fn written(
    checkpointer: &Checkpointer,
    from: Option<&Mark>,
    until: u64,
    check: ContinueCheck<'_>,
) -> Result<Written, StoreError> {
    let mut written = Written::new();
    let mut consume = |group: Group| {
        check()?;
        for row in group.changes.into_iter().flat_map(|change| change.rows) {
            let hash = row.value.map(|value| *blake3::hash(&value).as_bytes());
            written.insert((row.table.into_owned(), row.key), hash);
        }
        Ok(())
    };
    checkpointer.parts.reader.read_until(from, until, &mut consume)?;
    Ok(written)
}

/// The keys of the rows that the log writes after `from` up to `until`.
fn written_since(
    checkpointer: &Checkpointer,
    from: &Mark,
    until: u64,
    check: ContinueCheck<'_>,
) -> Result<BTreeSet<RowKey>, StoreError> {
    // The default mark is the beginning of the log.
    let from = (*from != Mark::default()).then_some(from);
    Ok(written(checkpointer, from, until, check)?.into_keys().collect())
}

/// The rows in which the engine differs from the snapshot merged with the log.
fn compare(
    shared: &Shared,
    rows: Option<Snapshot>,
    written: Written,
    reporter: &Reporter<'_>,
) -> Result<Vec<RowKey>, StoreError> {
    let mut expected = Expected {
        rows: rows.into_iter().flatten().peekable(),
        written: written.into_iter().peekable(),
    };
    let mut differing = Vec::new();
    let mut next = expected.next()?;
    let mut after: Option<RowKey> = None;
    loop {
        reporter.report()?;
        let page = {
            let gate = shared.rows.read_gate()?;
            gate.engine().walk(
                after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice())),
                PAGE_ROWS,
            )?
        };
        let full = page.len() == PAGE_ROWS;
        reporter.compared.set(reporter.compared.get() + page.len() as u64);
        for cell in page {
            let row = (cell.table, cell.key);
            while let Some((missing, _)) = next.take_if(|(expected, _)| *expected < row) {
                differing.push(missing);
                next = expected.next()?;
            }
            match next.take_if(|(expected, _)| *expected == row) {
                Some((_, hash)) => {
                    if hash != *blake3::hash(&cell.value).as_bytes() {
                        differing.push(row.clone());
                    }
                    next = expected.next()?;
                }
                None => differing.push(row.clone()),
            }
            after = Some(row);
        }
        if !full {
            break;
        }
    }
    while let Some((missing, _)) = next {
        differing.push(missing);
        next = expected.next()?;
    }
    reporter.report()?;
    Ok(differing)
}

/// The expected rows, in order.
struct Expected<R: Iterator<Item = Result<snapshot::SnapshotRow, StoreError>>> {
    rows: std::iter::Peekable<R>,
    written: std::iter::Peekable<std::collections::btree_map::IntoIter<RowKey, Option<[u8; 32]>>>,
}

impl<R: Iterator<Item = Result<snapshot::SnapshotRow, StoreError>>> Expected<R> {
    fn next(&mut self) -> Result<Option<(RowKey, [u8; 32])>, StoreError> {
        loop {
            let old = match self.rows.peek() {
                Some(Ok((key, _))) => Some(key),
                Some(Err(error)) => return Err(error.clone()),
                None => None,
            };
            // A row of the log replaces the row of the snapshot.
            let log_first = match (self.written.peek(), old) {
                (Some((new, _)), Some(old)) if new == old => {
                    self.rows.next();
                    true
                }
                (Some((new, _)), Some(old)) => new < old,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if log_first {
                if let Some((key, Some(hash))) = self.written.next() {
                    return Ok(Some((key, hash)));
                }
                continue;
            }
            let old = self.rows.next().transpose()?;
            return Ok(old.map(|(key, value)| (key, *blake3::hash(&value).as_bytes())));
        }
    }
}
