//! Tables and code that are wider than the page scroll in a box of their own, which the keyboard
//! reaches. The number of table cells is bounded. The parser fills a row of one byte up with as
//! many empty cells as the table has columns, so a short text could become a page of megabytes. A
//! table that is larger or nested too deep is shown as lines of text.

use pulldown_cmark::{CowStr, Event, Tag, TagEnd};

/// How many cells all tables of one text have together.
pub(super) const CELLS_MAX: usize = 5000;
/// Nesting within a table: the table, its row, its cell, and inline markup within it.
const DEPTH: usize = 5;

/// The events with only those tables that fit within [`CELLS_MAX`] and `depth_max`.
pub(super) fn bounded(events: Vec<Event<'_>>, depth_max: usize) -> Vec<Event<'_>> {
    let mut are_shown = shown(&events, depth_max).into_iter();
    // For the current table: whether it is shown as a table.
    let mut is_shown = true;
    let mut rewritten = Vec::with_capacity(events.len());
    for event in events {
        if matches!(event, Event::Start(Tag::Table(_))) {
            is_shown = are_shown.next().unwrap_or(true);
        }
        match event {
            other if is_shown => rewritten.push(other),
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                rewritten.push(Event::Start(Tag::Paragraph))
            }
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => {
                rewritten.push(Event::End(TagEnd::Paragraph))
            }
            Event::End(TagEnd::TableCell) if has_text(rewritten.last()) => {
                rewritten.push(Event::Text(CowStr::from(" ")))
            }
            Event::Start(Tag::Table(_) | Tag::TableCell) | Event::End(TagEnd::TableCell) => {}
            Event::End(TagEnd::Table) => is_shown = true,
            other => rewritten.push(other),
        }
    }
    rewritten
}

/// Sanitised HTML with each table in a box that scrolls, and with code blocks that the keyboard can
/// scroll.
pub(super) fn scrolling(html: &str) -> String {
    // In sanitised HTML a `<` begins a tag, and tables and code have these start tags alone.
    html.replace("<pre>", "<pre tabindex=\"0\">")
        .replace("<table>", "<div class=\"scroll\" tabindex=\"0\"><table>")
        .replace("</table>", "</table></div>")
}

/// Whether the cell that ends after `last` has text.
fn has_text(last: Option<&Event<'_>>) -> bool {
    match last {
        Some(Event::Text(text)) => text.as_ref() != " ",
        Some(event) => !matches!(event, Event::Start(Tag::Paragraph)),
        None => false,
    }
}

/// For each table in order: whether it is shown as a table.
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
    let mut cells_left = CELLS_MAX;
    let fits = |(depth, cells): (usize, usize)| {
        let fits = depth + DEPTH <= depth_max && cells <= cells_left;
        cells_left -= if fits { cells } else { 0 };
        fits
    };
    tables.into_iter().map(fits).collect()
}
