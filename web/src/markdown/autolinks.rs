//! Web and mail addresses in running text as links, as GitHub's extended autolinks: CommonMark
//! alone links only addresses in `<` and `>`.
//!
//! An address is read from the source and not from the parser's text, because in `/a_b_c` or
//! `/a--b` the parser finds emphasis and dashes. The work is linear: each byte is looked at once
//! for the start of an address, and the bytes read from all starts have one budget.

use std::cell::Cell;
use std::ops::Range;

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::addresses::without_punctuation;

/// A longer word is no address, in bytes.
const ADDRESS_LEN_MAX: usize = 2_000;
/// How often punctuation and markup are cut off the end of a word in turn.
const TRIMS_MAX: usize = 8;
/// How often each byte of a text may be read for web addresses, on average. A text that needs more
/// was made for that, and its other addresses stay text.
const BYTES_READ_MAX: usize = 16;

type Ranged<'a> = (Event<'a>, Range<usize>);

/// The events of a Markdown text, with links where its words are addresses.
pub(super) fn linked(text: &str, options: Options) -> Vec<Event<'_>> {
    let events = merged(text, Parser::new_ext(text, options).into_offset_iter());
    let budget = Cell::new(text.len().saturating_mul(BYTES_READ_MAX));
    let mut linked = Linked { text, events, at: 0, out: Vec::new(), budget };
    let mut context = Context::default();
    while let Some((event, range)) = linked.events.get(linked.at).cloned() {
        context.note(&event);
        let is_text = matches!(event, Event::Text(_)) && !context.forbids_links();
        if !(is_text && linked.link_in(range)) {
            linked.out.push(event);
            linked.at += 1;
        }
    }
    linked.out
}

/// The events with neighbouring pieces of text in one: the parser begins a new one at each `_`,
/// which addresses may have.
fn merged<'a>(text: &'a str, events: impl Iterator<Item = Ranged<'a>>) -> Vec<Ranged<'a>> {
    let mut merged: Vec<Ranged<'a>> = Vec::new();
    let mut ends_with_source = false;
    for (event, range) in events {
        let source = text.get(range.clone());
        let is_source = matches!(&event, Event::Text(piece) if Some(piece.as_ref()) == source);
        match merged.last_mut() {
            Some((last, last_range))
                if is_source && ends_with_source && last_range.end == range.start =>
            {
                last_range.end = range.end;
                let whole = text.get(last_range.clone()).unwrap_or_default();
                *last = Event::Text(CowStr::Borrowed(whole));
            }
            _ => merged.push((event, range)),
        }
        ends_with_source = is_source;
    }
    merged
}

/// The open elements within which nothing becomes a link.
#[derive(Default)]
struct Context {
    /// Links, pictures, code blocks, HTML blocks.
    blocks: usize,
    /// `<a>` written as HTML.
    html_links: usize,
}

impl Context {
    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(
                Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_) | Tag::HtmlBlock,
            ) => self.blocks += 1,
            Event::End(TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock | TagEnd::HtmlBlock) => {
                self.blocks = self.blocks.saturating_sub(1);
            }
            Event::InlineHtml(tag) => {
                let tag = tag.to_ascii_lowercase();
                if tag.starts_with("</a>") {
                    self.html_links = self.html_links.saturating_sub(1);
                } else if tag.starts_with("<a ") || tag.starts_with("<a>") {
                    self.html_links += 1;
                }
            }
            _ => {}
        }
    }

    fn forbids_links(&self) -> bool {
        self.blocks > 0 || self.html_links > 0
    }
}

struct Linked<'a> {
    text: &'a str,
    events: Vec<Ranged<'a>>,
    /// The next event to be read.
    at: usize,
    out: Vec<Event<'a>>,
    /// How many more bytes may be read for web addresses.
    budget: Cell<usize>,
}

impl<'a> Linked<'a> {
    /// Writes the text event at `range` up to and with the first link in it, and leaves the rest of
    /// the event to be read next. False if no address begins in it.
    fn link_in(&mut self, range: Range<usize>) -> bool {
        let Some(found) = self.find(range.clone()) else { return false };
        let before = self.text.get(range.start..found.range.start).unwrap_or_default();
        if !before.is_empty() {
            self.out.push(Event::Text(CowStr::Borrowed(before)));
        }
        let link = Tag::Link {
            link_type: LinkType::Autolink,
            dest_url: CowStr::from(found.href),
            title: CowStr::Borrowed(""),
            id: CowStr::Borrowed(""),
        };
        self.out.push(Event::Start(link));
        let shown = self.text.get(found.range.clone()).unwrap_or_default();
        self.out.push(Event::Text(CowStr::from(shown.replace("&amp;", "&"))));
        self.out.push(Event::End(TagEnd::Link));
        self.at += found.events;
        // The address may end within the last event.
        let end = found.range.end;
        if let Some((event, range)) = self.events.get_mut(self.at.saturating_sub(1))
            && let Some(rest) = self.text.get(end..range.end).filter(|rest| !rest.is_empty())
        {
            *event = Event::Text(CowStr::Borrowed(rest));
            range.start = end;
            self.at -= 1;
        }
        true
    }

    /// The first address that begins in the text event at `range`.
    fn find(&self, range: Range<usize>) -> Option<Found> {
        let source = self.text.get(range.clone())?;
        // An event with other text than its source is one character: an entity, a dash, an escape.
        if !matches!(self.events.get(self.at)?, (Event::Text(text), _) if text.as_ref() == source) {
            return None;
        }
        let mut from = 0;
        while let Some(at) = next_start(source, from) {
            let start = range.start + at;
            let found = match source.as_bytes().get(at) {
                Some(b'@') => self.mail(range.clone(), start),
                _ => self.web(start),
            };
            if found.is_some() {
                return found;
            }
            from = at + 1;
        }
        None
    }

    /// A web address that begins at `start`.
    fn web(&self, start: usize) -> Option<Found> {
        self.spend(0)?;
        let is_inside = |c: char| c.is_alphanumeric() || "/.@_-".contains(c);
        if self.text.get(..start)?.ends_with(is_inside) {
            return None;
        }
        let is_end = |c: char| c.is_whitespace() || c.is_control() || "<>\"`\\".contains(c);
        let mut letters = self.text.get(start..)?.char_indices();
        let len = letters.find(|(at, c)| is_end(*c) || *at > ADDRESS_LEN_MAX);
        let mut end = len.map_or(self.text.len(), |(at, _)| start + at);
        self.spend(end - start)?;
        if end - start > ADDRESS_LEN_MAX {
            return None;
        }
        let mut covered = None;
        for _ in 0..TRIMS_MAX {
            self.spend(end - start)?;
            let (cut, events) = self.covered(end);
            let word = without_punctuation(self.text.get(start..cut)?);
            end = start + word.len();
            if end == cut {
                covered = Some((word, events));
                break;
            }
        }
        let (word, events) = covered?;
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
            events,
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

    /// The end of a word that begins in the current event and would end at `end`, and the number
    /// of events that it covers. The word ends early where inline markup begins or ends that is
    /// not wholly within it, and before a character reference.
    fn covered(&self, end: usize) -> (usize, usize) {
        // The start of the outermost open emphasis, and how many events are before it.
        let (mut outer, mut open, mut last) = (None, 0usize, 0);
        let events = self.events.get(self.at..).unwrap_or_default();
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

/// An address in the text.
struct Found {
    range: Range<usize>,
    /// The number of events that it covers, the last perhaps in part.
    events: usize,
    href: String,
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

#[cfg(test)]
mod tests {
    use freehold_core::text::MARKDOWN_OPTIONS;

    use super::*;

    fn html(text: &str) -> String {
        let mut html = String::new();
        pulldown_cmark::html::push_html(&mut html, linked(text, MARKDOWN_OPTIONS).into_iter());
        html.trim_end().to_owned()
    }

    #[test]
    fn addresses_in_running_text_are_links() {
        for (text, shown) in [
            (
                "See https://a.example/b?c=d.",
                "See <a href=\"https://a.example/b?c=d\">https://a.example/b?c=d</a>.",
            ),
            (
                "(www.a.example/b_(c))",
                "(<a href=\"https://www.a.example/b_(c)\">www.a.example/b_(c)</a>)",
            ),
            (
                "http://a.example/_b_/c--d",
                "<a href=\"http://a.example/_b_/c--d\">http://a.example/_b_/c--d</a>",
            ),
            (
                "*see https://a.example/x*",
                "<em>see <a href=\"https://a.example/x\">https://a.example/x</a></em>",
            ),
            (
                "**https://a.example** on",
                "<strong><a href=\"https://a.example\">https://a.example</a></strong> on",
            ),
            (
                "https://a.example?x=1&amp;y=2 z",
                "<a href=\"https://a.example?x=1&amp;y=2\">https://a.example?x=1&amp;y=2</a> z",
            ),
            (
                "or j_b_c@d-e.example",
                "or <a href=\"mailto:j_b_c@d-e.example\">j_b_c@d-e.example</a>",
            ),
            (
                "ask joe.b+c@d.example, now",
                "ask <a href=\"mailto:joe.b+c@d.example\">joe.b+c@d.example</a>, now",
            ),
            (
                "https://a.example https://b.example",
                "<a href=\"https://a.example\">https://a.example</a> <a href=\"https://b.example\">https://b.example</a>",
            ),
            (
                "https://a.example`x`",
                "<a href=\"https://a.example\">https://a.example</a><code>x</code>",
            ),
            (
                "https://a.example/*b c*",
                "<a href=\"https://a.example/\">https://a.example/</a><em>b c</em>",
            ),
        ] {
            assert_eq!(html(text), format!("<p>{shown}</p>"), "{text}");
        }
    }

    #[test]
    fn code_links_and_other_words_stay_as_they_are() {
        for text in [
            "`https://a.example`",
            "    https://a.example",
            "[https://a.example](/b)",
            "<https://a.example>",
            "<a href=\"/b\">https://a.example</a>",
            "![https://a.example](/b)",
            "https:// http://. www. www.a xhttps://a.example",
            "@a.example a@b a@.b @a@b.example javascript:alert(1) a@b.example/c",
        ] {
            let html = html(text);
            let links = html.matches("<a ").count();
            let is_link = text.starts_with("[") || text.starts_with("<");
            assert_eq!(links, usize::from(is_link), "{text}: {html}");
        }
    }

    #[test]
    fn text_without_addresses_is_rendered_as_before() {
        for text in
            ["# A *b*\n\n- c -- \"d\" &amp; \\* e@ f\n\n|a|b|\n|-|-|\n|c@|d|\n", "a\u{0}b @", ""]
        {
            let mut plain = String::new();
            pulldown_cmark::html::push_html(&mut plain, Parser::new_ext(text, MARKDOWN_OPTIONS));
            assert_eq!(html(text), plain.trim_end());
        }
    }
}
