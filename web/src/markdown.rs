//! Markdown rendered as sanitised HTML. Posts and profiles are stored as raw Markdown and rendered
//! for each page.
//!
//! Rendered text loads nothing from elsewhere: pictures are shown from the owner's own `/photos/`
//! only and become links otherwise, and all HTML passes the sanitiser, whether the owner or
//! somebody else wrote it. Of somebody else's text, relative links lead to its author's site.
//! Headings begin at level 2 and skip no level, because the page's title is its only `h1`.

mod autolinks;
mod code;
mod footnotes;
mod headings;
mod highlight;
mod pictures;
mod sanitise;
mod tables;

use std::fmt;

use freehold_core::text::{MARKDOWN_OPTIONS, permitted, unknown_tags_escaped};
use pulldown_cmark::{CowStr, Event, Tag, TagEnd};
use url::Url;

/// How deep blocks may be nested; deeper ones lose their block, not their text.
const DEPTH_MAX: usize = 24;
/// A text with more HTML tags than this shows them as text.
const HTML_TAGS_MAX: usize = 1000;

/// HTML that has passed the sanitiser; only this module makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// The markup.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The author of a text: it decides which elements and links the owner's pages show of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author<'a> {
    Owner,
    Friend {
        /// The text's address on the author's own site, if it is known.
        address: Option<&'a str>,
    },
}

/// How a text is rendered.
#[derive(Clone, Copy, Debug)]
struct Style<'a> {
    author: Author<'a>,
    /// The beginning of all ids, so that a page can hold several texts.
    prefix: &'a str,
    /// True if a line end in the text is one on the page: people write short texts so.
    keeps_line_ends: bool,
}

/// Renders a text of the owner: with photos of the site, harmless HTML and links within the site.
/// Without a title it is short, a note for example, and its line ends stay.
pub(crate) fn render_post(title: &str, text: &str) -> Html {
    rendered(text, Style { author: Author::Owner, prefix: "", keeps_line_ends: title.is_empty() })
}

/// Renders a post for a page that shows several: ids begin with `prefix`. A friend's text has no
/// pictures and no links into this site.
pub(crate) fn render_one_of_many(
    title: &str,
    text: &str,
    prefix: &str,
    author: Author<'_>,
) -> Html {
    rendered(text, Style { author, prefix, keeps_line_ends: title.is_empty() })
}

fn rendered(text: &str, style: Style<'_>) -> Html {
    let Style { author, prefix, keeps_line_ends } = style;
    let is_own = author == Author::Owner;
    let base = match author {
        Author::Friend { address: Some(address) } => Url::parse(address).ok(),
        _ => None,
    };
    // Rows of earlier versions may have forbidden characters.
    let text = permitted(text);
    let events = tables::bounded(autolinks::linked(&text, MARKDOWN_OPTIONS), DEPTH_MAX);
    let is_shown = |address: &str| is_own && sanitise::is_own_picture(address);
    let has_relative_links = is_own || base.is_some();
    let is_linked = |address: &str| {
        sanitise::is_web(address) || has_relative_links && sanitise::is_within_site(address)
    };
    let mut events: Vec<_> =
        pictures::as_text(flattened(events.into_iter()), is_shown, is_linked).collect();
    // No more HTML is kept than a person writes by hand: the HTML parser is slow on many tags.
    let keeps_html = html_tags(&events) <= HTML_TAGS_MAX;
    headings::name(&mut events, prefix);
    headings::order(&mut events);
    let events = code::highlighted(events.into_iter().map(|event| match event {
        Event::SoftBreak if keeps_line_ends => Event::HardBreak,
        event => rewritten(event, keeps_html),
    }));
    let mut html = String::with_capacity(text.len() * 3 / 2);
    let events = footnotes::as_html(events.into_iter(), prefix);
    pulldown_cmark::html::push_html(&mut html, events);
    html = html.replace("<p></p>\n", "");
    for side in ["left", "center", "right"] {
        // The Content-Security-Policy forbids inline styles.
        html = html.replace(&format!("style=\"text-align: {side}\""), &format!("class=\"{side}\""));
    }
    let html = match author {
        Author::Owner => sanitise::owner(&html),
        Author::Friend { .. } => sanitise::foreign(&html, prefix, base),
    };
    Html(tables::scrolling(&html))
}

/// The events without the blocks that are nested too deep: a text of ten thousand `>` must cost no
/// more than its length.
fn flattened<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let (mut open, mut flat) = (Vec::new(), Vec::new());
    let mut depth = 0;
    for event in events {
        match event {
            Event::Start(_) => {
                let is_within = depth < DEPTH_MAX;
                open.push(is_within);
                if is_within {
                    depth += 1;
                    flat.push(event);
                }
            }
            Event::End(_) => {
                if open.pop().unwrap_or(false) {
                    depth -= 1;
                    flat.push(event);
                }
            }
            other => flat.push(other),
        }
    }
    flat
}

/// An upper bound of the number of tags in a text's HTML.
fn html_tags(events: &[Event<'_>]) -> usize {
    let tags = |event: &Event<'_>| match event {
        Event::Html(html) | Event::InlineHtml(html) => html.matches('<').count(),
        _ => 0,
    };
    events.iter().map(tags).sum()
}

fn rewritten<'a>(event: Event<'a>, keeps_html: bool) -> Event<'a> {
    match event {
        Event::Start(Tag::Heading { level, id, .. }) => {
            Event::Start(Tag::Heading { level, id, classes: Vec::new(), attrs: Vec::new() })
        }
        // A character instead of a form field: a reader cannot tick the box.
        Event::TaskListMarker(is_done) => {
            let mark = if is_done { "☑" } else { "☐" };
            Event::InlineHtml(CowStr::from(format!("<span class=\"task\">{mark}</span> ")))
        }
        Event::Html(html) | Event::InlineHtml(html) if !keeps_html => Event::Text(html),
        Event::Html(html) => Event::Html(CowStr::from(unknown_tags_escaped(&html).into_owned())),
        Event::InlineHtml(html) => {
            Event::InlineHtml(CowStr::from(unknown_tags_escaped(&html).into_owned()))
        }
        Event::Start(Tag::HtmlBlock) if !keeps_html => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) if !keeps_html => Event::End(TagEnd::Paragraph),
        other => other,
    }
}

#[cfg(test)]
mod tests;
