//! Merges the rows of memtables with those of the engine below, in order.

use std::iter::Peekable;

use super::super::{EngineError, KeyRange, Pair};
use super::Memtable;

/// The least number of rows read from the engine after a page that deleted rows left short, so that
/// a long sequence of deleted rows costs few reads.
const MORE_ROWS_MIN: usize = 64;

/// The engine key of a written row and its bytes; `None` for a deleted row.
type Written<'a> = (&'a Vec<u8>, &'a Option<Vec<u8>>);

fn comes_before(a: &[u8], b: &[u8], reverse: bool) -> bool {
    if reverse { a > b } else { a < b }
}

fn directed<'a>(
    memtable: &'a Memtable,
    range: KeyRange,
    reverse: bool,
) -> Peekable<Box<dyn Iterator<Item = Written<'a>> + 'a>> {
    let rows = memtable.range(range);
    let directed: Box<dyn Iterator<Item = Written<'a>> + 'a> =
        if reverse { Box::new(rows.rev()) } else { Box::new(rows) };
    directed.peekable()
}

/// A copy of the first rows of `range`, in order, up to `limit` rows that are not deleted.
pub(super) fn copy_for_page(
    memtable: &Memtable,
    range: KeyRange,
    (reverse, limit): (bool, usize),
) -> Memtable {
    let mut remaining = limit;
    let needed = directed(memtable, range, reverse).take_while(|(_, value)| {
        let is_needed = remaining > 0;
        remaining -= usize::from(is_needed && value.is_some());
        is_needed
    });
    needed.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The rows of two memtables in order; of two rows with the same key the newer.
pub(super) fn merged<'a>(
    new: &'a Memtable,
    old: &'a Memtable,
    range: KeyRange,
    reverse: bool,
) -> impl Iterator<Item = Written<'a>> {
    let (mut new, mut old) = (directed(new, range.clone(), reverse), directed(old, range, reverse));
    std::iter::from_fn(move || match (new.peek(), old.peek()) {
        (Some((newer, _)), Some((older, _))) if newer == older => {
            old.next();
            new.next()
        }
        (Some((newer, _)), Some((older, _))) if comes_before(newer, older, reverse) => new.next(),
        (_, Some(_)) => old.next(),
        (_, None) => new.next(),
    })
}

/// At most `limit` rows of the engine merged with the `written` ones. `page` reads rows of the
/// engine: after the given engine key, at most the given number.
pub(super) fn merged_page<'a>(
    written: impl Iterator<Item = Written<'a>>,
    (reverse, limit): (bool, usize),
    page: impl Fn(Option<&[u8]>, usize) -> Result<Vec<Pair>, EngineError>,
) -> Result<Vec<Pair>, EngineError> {
    let mut written = written.peekable();
    let put = |(key, value): Written<'_>| value.as_ref().map(|value| (key.clone(), value.clone()));
    let mut merged = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    while merged.len() < limit {
        let missing = limit - merged.len();
        let count = if after.is_some() { missing.max(MORE_ROWS_MIN) } else { missing };
        let rows = page(after.as_deref(), count)?;
        let last = rows.len() < count;
        after = rows.last().map(|(key, _)| key.clone());
        for row in rows {
            while let Some(new) = written.next_if(|(key, _)| comes_before(key, &row.0, reverse)) {
                merged.extend(put(new));
            }
            match written.next_if(|(key, _)| **key == row.0) {
                Some(new) => merged.extend(put(new)),
                None => merged.push(row),
            }
        }
        if last {
            let more = limit.saturating_sub(merged.len());
            merged.extend(written.filter_map(put).take(more));
            break;
        }
        // Deleted rows leave the page short; then the next rows are read.
    }
    merged.truncate(limit);
    Ok(merged)
}
