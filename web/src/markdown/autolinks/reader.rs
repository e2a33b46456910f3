//! Reading a web or mail address from the source of a Markdown text.

use std::cell::Cell;
use std::ops::Range;

use pulldown_cmark::{Event, Tag, TagEnd};

use super::Ranged;
use crate::addresses::without_punctuation;

/// A longer word is no address, in bytes.
const ADDRESS_LEN_MAX: usize = 2_000;
/// How often punctuation and markup are cut off the end of a word in turn.
const TRIMS_MAX: usize = 8;
/// How often each byte of a text may be read for web addresses, on average. A text that needs more
/// was made for that, and its other addresses stay text.
const BYTES_READ_MAX: usize = 16;

/// An address in the text.
pub(super) struct Found {
    pub(super) range: Range<usize>,
    /// The number of events that it covers, the last perhaps in part.
    pub(super) events: usize,
    pub(super) href: String,
}

/// Reads addresses from a text.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// How many more bytes may be read for web addresses.
    budget: Cell<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, budget: Cell::new(text.len().saturating_mul(BYTES_READ_MAX)) }
    }

    /// The first address that begins in the first of the events.
    pub(super) fn find(&self, events: &[Ranged<'_>]) -> Option<Found> {
        let (event, range) = events.first()?;
        let source = self.text.get(range.clone())?;
        // An event with other text than its source is one character: an entity, a dash, an escape.
        if !matches!(event, Event::Text(text) if text.as_ref() == source) {
            return None;
        }
        let mut from = 0;
        while let Some(at) = next_start(source, from) {
            let start = range.start + at;
            let found = match source.as_bytes().get(at) {
                Some(b'@') => self.mail(range.clone(), start),
                _ => self.web(events, start),
            };
            if found.is_some() {
                return found;
            }
            from = at + 1;
        }
        None
    }

    /// A web address that begins at `start`, in the first of the events.
    fn web(&self, events: &[Ranged<'_>], start: usize) -> Option<Found> {
        self.spend(0)?;
        let is_inside = |c: char| c.is_alphanumeric() || "/.@_-".contains(c);
        if self.text.get(..start)?.ends_with(is_inside) {
            return None;
        }
        let is_end = |c: char| c.is_whitespace() || c.is_control() || "<>\"`\\".contains(c);
        let mut chars = self.text.get(start..)?.char_indices();
        let len = chars.find(|(at, c)| is_end(*c) || *at > ADDRESS_LEN_MAX);
        let mut end = len.map_or(self.text.len(), |(at, _)| start + at);
        self.spend(end - start)?;
        if end - start > ADDRESS_LEN_MAX {
            return None;
        }
        let mut covered = None;
        for _ in 0..TRIMS_MAX {
            self.spend(end - start)?;
            let (cut, count) = self.covered(events, end);
            let word = without_punctuation(self.text.get(start..cut)?);
            end = start + word.len();
            if end == cut {
                covered = Some((word, count));
                break;
            }
        }
        let (word, count) = covered?;
        let (scheme, host) = match word.split_once("://") {
            Some((_, host)) => ("", host),
            None => ("https://", word),
        };
        let labels = host.split('.').filter(|label| !label.is_empty()).count();
        let is_host = host.starts_with(|c: char| c.is_alphanumeric() || c == '[')
            && (scheme.is_empty() || labels >= 3);
        let href = format!("{scheme}{}", word.replace("&amp;", "&"));
        (is_host && word.len() <= ADDRESS_LEN_MAX).then_some(Found {
            range: start..end,
            events: count,
            href,
        })
    }

    /// Takes the reading of so many bytes from the budget; `None` once it is used up.
    fn spend(&self, bytes: usize) -> Option<()> {
        self.budget.set(self.budget.get().saturating_sub(bytes));
        (self.budget.get() > 0).then_some(())
    }

    /// A mail address around the `@` at `at`, within one event.
    fn mail(&self, range: Range<usize>, at: usize) -> Option<Found> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let before = self.text.get(range.start..at)?;
        let local = before.trim_end_matches(is_part);
        let start = range.start + local.len();
        // The name may begin in an event before this one.
        if start == at
            || self.text.get(..start)?.ends_with(|c: char| is_part(c) || "/@:".contains(c))
        {
            return None;
        }
        let after = self.text.get(at + 1..range.end)?;
        let len = after.find(|c| !is_part(c) || c == '+').unwrap_or(after.len());
        let host = without_punctuation(after.get(..len)?).trim_end_matches('-');
        let labels: Vec<&str> = host.split('.').collect();
        let is_host = labels.len() > 1 && labels.iter().all(|label| !label.is_empty());
        let end = at + 1 + host.len();
        let word = self.text.get(start..end)?;
        // A `/` after it makes it a part of something longer.
        let goes_on = self.text.get(end..)?.starts_with(['@', '/', '_']);
        (is_host && !goes_on && word.len() <= ADDRESS_LEN_MAX).then(|| Found {
            range: start..end,
            events: 1,
            href: format!("mailto:{word}"),
        })
    }

    /// The end of a word that begins in the first of the events and would end at `end`, and the
    /// number of events that it covers. The word ends early where inline markup begins or ends that
    /// is not wholly within it, and before a character reference.
    fn covered(&self, events: &[Ranged<'_>], end: usize) -> (usize, usize) {
        // The start of the outermost open emphasis, and how many events are before it.
        let (mut outer, mut open, mut last) = (None, 0usize, 0);
        for (count, (event, range)) in events.iter().enumerate() {
            let here = outer.unwrap_or((range.start.min(end), count));
            match event {
                _ if range.start >= end && open == 0 => return (end, count),
                Event::Text(text) => {
                    let source = self.text.get(range.clone()).unwrap_or_default();
                    if source.starts_with('&') && source != text.as_ref() && source != "&amp;" {
                        return here;
                    }
                    last = range.end;
                }
                Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough)
                    if range.end <= end =>
                {
                    outer = Some(here);
                    open += 1;
                }
                Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough)
                    if open > 0 =>
                {
                    open -= 1;
                    last = range.end;
                    outer = outer.filter(|_| open > 0);
                }
                // The end of an element has the whole element's range.
                Event::End(_) => return outer.unwrap_or((last.min(end), count)),
                _ => return here,
            }
        }
        (last.min(end), events.len())
    }
}

/// Where the next address may begin, from byte `from` on: at a scheme, at `www.`, or around an `@`.
fn next_start(source: &str, from: usize) -> Option<usize> {
    let bytes = source.as_bytes();
    let begins = |at: usize, start: &str| {
        bytes
            .get(at..at + start.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(start.as_bytes()))
    };
    (from..bytes.len()).find(|&at| match bytes.get(at) {
        Some(b'@') => true,
        Some(b'h' | b'H') => begins(at, "http://") || begins(at, "https://"),
        Some(b'w' | b'W') => begins(at, "www."),
        _ => false,
    })
}
