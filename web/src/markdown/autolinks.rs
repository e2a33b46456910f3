//! Web and mail addresses in running text as links, as GitHub's extended autolinks: CommonMark
//! alone links only addresses in `<` and `>`.
//!
//! An address is read from the source and not from the parser's text, because in `/a_b_c` or
//! `/a--b` the parser finds emphasis and dashes. The work is linear: each byte is looked at once
//! for the start of an address, and the bytes read from all starts have one budget.

mod reader;

use std::ops::Range;

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};
use reader::Reader;

/// An event with its range in the source.
type Ranged<'a> = (Event<'a>, Range<usize>);

/// The events of a Markdown text, with links where its words are addresses.
pub(super) fn linked(text: &str, options: Options) -> Vec<Event<'_>> {
    let events = merged(text, Parser::new_ext(text, options).into_offset_iter());
    let mut linked = Linked { text, events, at: 0, out: Vec::new(), reader: Reader::new(text) };
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
    reader: Reader<'a>,
}

impl<'a> Linked<'a> {
    /// Writes the text event at `range` up to and with the first link in it, and leaves the rest of
    /// the event to be read next. False if no address begins in it.
    fn link_in(&mut self, range: Range<usize>) -> bool {
        let events = self.events.get(self.at..).unwrap_or_default();
        let Some(found) = self.reader.find(events) else { return false };
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
                "<a href=\"https://a.example\">https://a.example</a> \
                 <a href=\"https://b.example\">https://b.example</a>",
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
