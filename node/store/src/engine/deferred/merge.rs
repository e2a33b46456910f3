//! Rows in memory laid over an engine's, in order.

use std::iter::Peekable;

use super::super::{EngineError, KeyRange, Pair};
use super::Batch;

/// After a page that deleted rows left short so many of the engine's are read at least: many of
/// them in a row don't each cost a read.
const MORE_ROWS_MIN: usize = 64;

/// A joined key and the row's bytes, `None` where it is deleted.
type Standing<'a> = (&'a Vec<u8>, &'a Option<Vec<u8>>);

fn first(a: &[u8], b: &[u8], reverse: bool) -> bool {
    if reverse { a > b } else { a < b }
}

fn directed<'a>(
    batch: &'a Batch,
    range: KeyRange,
    reverse: bool,
) -> Peekable<Box<dyn Iterator<Item = Standing<'a>> + 'a>> {
    let rows = batch.range(range);
    let directed: Box<dyn Iterator<Item = Standing<'a>> + 'a> =
        if reverse { Box::new(rows.rev()) } else { Box::new(rows) };
    directed.peekable()
}

/// A copy of what a page of `limit` rows can need: in its order, up to so many rows that are not
/// deleted.
pub(super) fn nearest(batch: &Batch, range: KeyRange, (reverse, limit): (bool, usize)) -> Batch {
    let mut left = limit;
    let needed = directed(batch, range, reverse).take_while(|(_, value)| {
        let is_needed = left > 0;
        left -= usize::from(is_needed && value.is_some());
        is_needed
    });
    needed.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The rows of both in order; where both have one, the newer.
pub(super) fn newest<'a>(
    new: &'a Batch,
    old: &'a Batch,
    range: KeyRange,
    reverse: bool,
) -> impl Iterator<Item = Standing<'a>> {
    let (mut new, mut old) = (directed(new, range.clone(), reverse), directed(old, range, reverse));
    std::iter::from_fn(move || match (new.peek(), old.peek()) {
        (Some((newer, _)), Some((older, _))) if newer == older => {
            old.next();
            new.next()
        }
        (Some((newer, _)), Some((older, _))) if first(newer, older, reverse) => new.next(),
        (_, Some(_)) => old.next(),
        (_, None) => new.next(),
    })
}

/// At most `limit` rows of the engine's, which `page` reads (past a joined key, at most so many),
/// with `standing` over them.
pub(super) fn overlaid<'a>(
    standing: impl Iterator<Item = Standing<'a>>,
    (reverse, limit): (bool, usize),
    page: impl Fn(Option<&[u8]>, usize) -> Result<Vec<Pair>, EngineError>,
) -> Result<Vec<Pair>, EngineError> {
    let mut standing = standing.peekable();
    let put = |(key, value): Standing<'_>| value.as_ref().map(|value| (key.clone(), value.clone()));
    let mut found = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    while found.len() < limit {
        let left = limit - found.len();
        let asked = if after.is_some() { left.max(MORE_ROWS_MIN) } else { left };
        let rows = page(after.as_deref(), asked)?;
        let last = rows.len() < asked;
        after = rows.last().map(|(key, _)| key.clone());
        for row in rows {
            while let Some(standing) = standing.next_if(|(key, _)| first(key, &row.0, reverse)) {
                found.extend(put(standing));
            }
            match standing.next_if(|(key, _)| **key == row.0) {
                Some(standing) => found.extend(put(standing)),
                None => found.push(row),
            }
        }
        if last {
            let more = limit.saturating_sub(found.len());
            found.extend(standing.filter_map(put).take(more));
            break;
        }
        // Deleted rows leave a page short of what was asked; the next is read then.
    }
    found.truncate(limit);
    Ok(found)
}
