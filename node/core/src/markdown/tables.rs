//! Tables of a size worth showing as such. A row of one byte is filled up with as many empty cells
//! as the table has columns, so a short text could become a page of megabytes; what is larger, or
//! too deep, is shown as lines of words.

use pulldown_cmark::{CowStr, Event, Tag, TagEnd};

/// How many cells the tables of one text have together.
pub(super) const CELLS_MAX: usize = 5000;
/// A table, its row, its cell, and what dresses the words in it.
const DEPTH: usize = 5;

/// The events with only those tables that have a place within [`CELLS_MAX`] and `depth_max`.
pub(super) fn bounded(events: Vec<Event<'_>>, depth_max: usize) -> Vec<Event<'_>> {
    let mut are_shown = shown(&events, depth_max).into_iter();
    // Of the table it is in, whether it is shown as one.
    let mut is_shown = true;
    let mut kept = Vec::with_capacity(events.len());
    for event in events {
        if matches!(event, Event::Start(Tag::Table(_))) {
            is_shown = are_shown.next().unwrap_or(true);
        }
        match event {
            other if is_shown => kept.push(other),
            Event::Start(Tag::TableHead | Tag::TableRow) => kept.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => {
                kept.push(Event::End(TagEnd::Paragraph))
            }
            Event::End(TagEnd::TableCell) if has_words(kept.last()) => {
                kept.push(Event::Text(CowStr::from(" ")))
            }
            Event::Start(Tag::Table(_) | Tag::TableCell) | Event::End(TagEnd::TableCell) => {}
            Event::End(TagEnd::Table) => is_shown = true,
            other => kept.push(other),
        }
    }
    kept
}

/// Whether something stands in the cell that ends after `last`.
fn has_words(last: Option<&Event<'_>>) -> bool {
    match last {
        Some(Event::Text(text)) => text.as_ref() != " ",
        Some(event) => !matches!(event, Event::Start(Tag::Paragraph)),
        None => false,
    }
}

/// Of each table, in order, whether it is shown as one.
fn shown(events: &[Event<'_>], depth_max: usize) -> Vec<bool> {
    let (mut tables, mut depth) = (Vec::new(), 0usize);
    for event in events {
        match event {
            Event::Start(tag) => {
                if matches!(tag, Tag::Table(_)) {
                    tables.push((depth, 0));
                }
                depth += 1;
            }
            Event::End(end) => {
                if let (TagEnd::TableCell, Some((_, cells))) = (end, tables.last_mut()) {
                    *cells += 1;
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    let mut left = CELLS_MAX;
    let has_place = |(depth, cells): (usize, usize)| {
        let fits = depth + DEPTH <= depth_max && cells <= left;
        left -= if fits { cells } else { 0 };
        fits
    };
    tables.into_iter().map(has_place).collect()
}
