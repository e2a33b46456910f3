//! Reads the snapshots and the log since the older of them, and holds the engine's rows against
//! both: row for row the same.
//!
//! Changes may be committed meanwhile: a row that differs is reported only if nothing has touched
//! it since.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::StoreError;
use super::committer::Shared;
use super::keeper::Keeper;
use super::snapshot::{self, GoOn, Snapshot};
use crate::wal::Mark;
use crate::wal::recover::{Group, WalError};

/// So many rows of the engine are looked at in one go.
const PAGE_ROWS: usize = 500;

type Place = (String, Vec<u8>);
/// The hash of each row the log has written, `None` where it deleted it.
type Written = BTreeMap<Place, Option<[u8; 32]>>;

/// Told how many rows were compared; an error from it ends the reading.
type Progress<'a> = &'a dyn Fn(u64) -> Result<(), StoreError>;

/// Whoever waits for this, and is not asked at each row, for that may take a lock.
struct Asked<'a> {
    progress: Progress<'a>,
    compared: Cell<u64>,
    /// How much was read since the last time.
    since: Cell<usize>,
}

impl Asked<'_> {
    fn now(&self) -> Result<(), StoreError> {
        self.since.set(0);
        (self.progress)(self.compared.get())
    }

    /// Once in so many rows or groups.
    fn seldom(&self) -> Result<(), StoreError> {
        self.since.set(self.since.get() + 1);
        if self.since.get() < PAGE_ROWS { Ok(()) } else { self.now() }
    }
}

/// What is wrong, in words; empty if nothing is.
pub(super) fn verify(
    keeper: &Keeper,
    shared: &Shared,
    progress: Progress<'_>,
) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let asked = Asked { progress, compared: Cell::new(0), since: Cell::new(0) };
    let go_on = || asked.seldom();
    asked.now()?;
    let (mut oldest, mut newest) = (None, None);
    let (fs, data, log) = (&*keeper.reader.fs, &keeper.data, keeper.log());
    for position in snapshot::list(fs, data)? {
        let open = || Snapshot::open(fs, &keeper.reader.seal, &snapshot::path(data, position), log);
        let read =
            open().and_then(|snapshot| Ok((snapshot.mark.clone(), snapshot.verify(&go_on)?)));
        asked.now()?;
        match read {
            Ok((mark, _)) => {
                oldest.get_or_insert(mark.clone());
                newest = Some((mark, open()?));
            }
            Err(error) => wrong.push(format!("the snapshot of position {position}: {error}")),
        }
    }
    let end = shared.end();
    if let Err(error) =
        keeper.reader.read_until(oldest.as_ref(), end.position, &mut |_| Ok(go_on()?))
    {
        asked.now()?;
        wrong.push(error.to_string());
        return Ok(wrong);
    }
    let (from, rows) = newest.map_or((None, None), |(mark, snapshot)| (Some(mark), Some(snapshot)));
    let written = written(keeper, from.as_ref(), end.position, &go_on)?;
    let differing = compare(shared, rows, written, &asked)?;
    if !differing.is_empty() {
        let now = shared.end();
        let since = written_since(keeper, &end, now.position, &go_on)?;
        let told = differing.into_iter().filter(|place| !since.contains(place));
        wrong.extend(
            told.map(|(table, _)| {
                format!("a row of table {table} is not what snapshot and log say")
            }),
        );
    }
    Ok(wrong)
}

fn failed(error: WalError) -> StoreError {
    match error {
        WalError::Taker(error) => error,
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn written(
    keeper: &Keeper,
    from: Option<&Mark>,
    until: u64,
    go_on: GoOn<'_>,
) -> Result<Written, StoreError> {
    let mut written = Written::new();
    let mut take = |group: Group| {
        go_on()?;
        for row in group.changes.into_iter().flat_map(|change| change.rows) {
            let hash = row.value.map(|value| *blake3::hash(&value).as_bytes());
            written.insert((row.table.into_owned(), row.key), hash);
        }
        Ok(())
    };
    keeper.reader.read_until(from, until, &mut take).map_err(failed)?;
    Ok(written)
}

fn written_since(
    keeper: &Keeper,
    from: &Mark,
    until: u64,
    go_on: GoOn<'_>,
) -> Result<BTreeSet<Place>, StoreError> {
    // Nothing at all was written before the first position.
    let from = (*from != Mark::default()).then_some(from);
    Ok(written(keeper, from, until, go_on)?.into_keys().collect())
}

/// The rows in which the engine differs from the snapshot with the log's rows written over it.
fn compare(
    shared: &Shared,
    rows: Option<Snapshot>,
    written: Written,
    asked: &Asked<'_>,
) -> Result<Vec<Place>, StoreError> {
    let mut expected = Expected {
        rows: rows.into_iter().flatten().peekable(),
        written: written.into_iter().peekable(),
    };
    let mut differing = Vec::new();
    let mut next = expected.next()?;
    let mut after: Option<Place> = None;
    loop {
        asked.now()?;
        let page = {
            let _open = shared.rows.enter()?;
            shared.rows.engine().walk(
                after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice())),
                PAGE_ROWS,
            )?
        };
        let full = page.len() == PAGE_ROWS;
        asked.compared.set(asked.compared.get() + page.len() as u64);
        for cell in page {
            let place = (cell.table, cell.key);
            while let Some((missing, _)) = next.take_if(|(expected, _)| *expected < place) {
                differing.push(missing);
                next = expected.next()?;
            }
            match next.take_if(|(expected, _)| *expected == place) {
                Some((_, hash)) => {
                    if hash != *blake3::hash(&cell.value).as_bytes() {
                        differing.push(place.clone());
                    }
                    next = expected.next()?;
                }
                None => differing.push(place.clone()),
            }
            after = Some(place);
        }
        if !full {
            break;
        }
    }
    while let Some((missing, _)) = next {
        differing.push(missing);
        next = expected.next()?;
    }
    asked.now()?;
    Ok(differing)
}

/// The rows there should be, in order.
struct Expected<R: Iterator<Item = Result<snapshot::SnapshotRow, StoreError>>> {
    rows: std::iter::Peekable<R>,
    written: std::iter::Peekable<std::collections::btree_map::IntoIter<Place, Option<[u8; 32]>>>,
}

impl<R: Iterator<Item = Result<snapshot::SnapshotRow, StoreError>>> Expected<R> {
    fn next(&mut self) -> Result<Option<(Place, [u8; 32])>, StoreError> {
        loop {
            let old = match self.rows.peek() {
                Some(Ok((place, _))) => Some(place),
                Some(Err(error)) => return Err(error.clone()),
                None => None,
            };
            // What the log wrote stands over what the snapshot has.
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
                if let Some((place, Some(hash))) = self.written.next() {
                    return Ok(Some((place, hash)));
                }
                continue;
            }
            let old = self.rows.next().transpose()?;
            return Ok(old.map(|(place, value)| (place, *blake3::hash(&value).as_bytes())));
        }
    }
}
