//! Markdown becomes HTML on the way out; what is kept is always the raw text.
//!
//! A text can load nothing: pictures come from the owner's own `/photos/` or are shown as links,
//! and everything passes the sanitiser whatever wrote it. Headings begin at the second level and
//! leave none out, since the page's own title is its one `h1`.

mod highlight;
mod pictures;
mod sanitise;
mod slug;
mod tables;

use std::collections::HashMap;
use std::fmt;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

pub use slug::{SLUG_LEN_MAX, is_slug, slugify, slugify_within};

/// How deep blocks may lie in each other; what is deeper loses its block, not its text.
const DEPTH_MAX: usize = 24;
/// A text of one's own with more tags than this shows them as text.
const HTML_TAGS_MAX: usize = 1000;
const WORDS_A_MINUTE: usize = 220;
/// Of a block of HTML this much is looked at for a summary, in bytes.
const MARKUP_LEN_MAX: usize = 4096;

/// HTML that has passed the sanitiser; only this module makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who wrote a text: it decides what it may show on the owner's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Owner,
    Foreign,
}

/// The owner's own text: with their photos, harmless HTML and links within the site.
pub fn render(text: &str) -> Html {
    rendered(text, "", Trust::Owner)
}

/// Somebody else's text: without pictures, HTML or links into this site. Ids begin with `prefix`,
/// so that many texts fit a page.
pub fn render_foreign(text: &str, prefix: &str) -> Html {
    rendered(text, prefix, Trust::Foreign)
}

/// The owner's own text for a page that shows many: ids begin with `prefix`.
pub fn render_prefixed(text: &str, prefix: &str) -> Html {
    rendered(text, prefix, Trust::Owner)
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_SMART_PUNCTUATION
        | Options::ENABLE_TASKLISTS
}

fn rendered(text: &str, prefix: &str, hand: Trust) -> Html {
    let events = tables::bounded(Parser::new_ext(text, options()).collect(), DEPTH_MAX);
    let is_shown = |address: &str| hand == Trust::Owner && sanitise::is_own_picture(address);
    let is_followed = |address: &str| {
        sanitise::is_web(address) || hand == Trust::Owner && sanitise::is_within_the_site(address)
    };
    let mut events: Vec<_> =
        pictures::in_words(flattened(events.into_iter()), is_shown, is_followed).collect();
    // Only one's own HTML is shown as such, and of that only as much as anyone writes by hand: a
    // parser takes its time over tags.
    let has_html = hand == Trust::Owner && html_tags(&events) <= HTML_TAGS_MAX;
    name_headings(&mut events, prefix);
    order_headings(&mut events);
    let events = tint_code(events.into_iter().map(|event| rewritten(event, prefix, has_html)));
    let mut html = String::with_capacity(text.len() * 3 / 2);
    pulldown_cmark::html::push_html(&mut html, events.into_iter());
    html = html.replace("<p></p>\n", "");
    for side in ["left", "center", "right"] {
        // The page's policy forbids inline styles.
        html = html.replace(&format!("style=\"text-align: {side}\""), &format!("class=\"{side}\""));
    }
    Html(match hand {
        Trust::Owner => sanitise::own(&html),
        Trust::Foreign => sanitise::other(&html),
    })
}

/// The events without the blocks that lie too deep: a text of ten thousand `>` must cost no more
/// than its length.
fn flattened<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let (mut open, mut kept) = (Vec::new(), Vec::new());
    let mut depth = 0;
    for event in events {
        match event {
            Event::Start(_) => {
                let is_kept = depth < DEPTH_MAX;
                open.push(is_kept);
                if is_kept {
                    depth += 1;
                    kept.push(event);
                }
            }
            Event::End(_) => {
                if open.pop().unwrap_or(false) {
                    depth -= 1;
                    kept.push(event);
                }
            }
            other => kept.push(other),
        }
    }
    kept
}

/// How many tags the HTML in a text can have.
fn html_tags(events: &[Event<'_>]) -> usize {
    let tags = |event: &Event<'_>| match event {
        Event::Html(html) | Event::InlineHtml(html) => html.matches('<').count(),
        _ => 0,
    };
    events.iter().map(tags).sum()
}

/// Gives every heading an id made of its words, each once.
fn name_headings(events: &mut [Event<'_>], prefix: &str) {
    let mut used: HashMap<String, usize> = HashMap::new();
    let mut starts = Vec::new();
    let mut words: Option<String> = None;
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                starts.push((at, String::new()));
                words = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => {
                if let (Some(said), Some((_, id))) = (words.take(), starts.last_mut()) {
                    let base = slugify(&said)
                        .filter(|s| !s.is_empty())
                        .unwrap_or_else(|| "part".to_owned());
                    let count = used.entry(base.clone()).or_insert(0);
                    *count += 1;
                    *id = if *count == 1 {
                        format!("{prefix}{base}")
                    } else {
                        format!("{prefix}{base}-{count}")
                    };
                }
            }
            Event::Text(said) | Event::Code(said) => {
                if let Some(words) = &mut words {
                    words.push_str(said);
                }
            }
            _ => {}
        }
    }
    for (at, name) in starts {
        if let Some(Event::Start(Tag::Heading { id, .. })) = events.get_mut(at) {
            *id = Some(CowStr::from(name));
        }
    }
}

fn rewritten<'a>(event: Event<'a>, prefix: &str, has_html: bool) -> Event<'a> {
    match event {
        Event::Start(Tag::Heading { level, id, .. }) => {
            Event::Start(Tag::Heading { level, id, classes: Vec::new(), attrs: Vec::new() })
        }
        // A box that can't be ticked is a mark, not a field of a form.
        Event::TaskListMarker(is_done) => {
            Event::Text(CowStr::Borrowed(if is_done { "☑ " } else { "☐ " }))
        }
        Event::FootnoteReference(label) => Event::FootnoteReference(note_name(&label, prefix)),
        Event::Start(Tag::FootnoteDefinition(label)) => {
            Event::Start(Tag::FootnoteDefinition(note_name(&label, prefix)))
        }
        Event::Html(html) | Event::InlineHtml(html) if !has_html => Event::Text(html),
        Event::Start(Tag::HtmlBlock) if !has_html => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) if !has_html => Event::End(TagEnd::Paragraph),
        other => other,
    }
}

/// The events with the text of code in its tints, where the writer said what language it is.
fn tint_code<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let (mut kept, mut code) = (Vec::new(), None);
    for event in events {
        match (event, &mut code) {
            (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))), _) => {
                code = Some((language.clone(), String::new()));
                kept.push(Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))));
            }
            (Event::Text(said), Some((_, text))) => text.push_str(&said),
            (Event::End(TagEnd::CodeBlock), Some((language, text))) => {
                let tinted = highlight::tinted(text, language).map(CowStr::from);
                kept.push(
                    tinted.map_or_else(
                        || Event::Text(CowStr::from(std::mem::take(text))),
                        Event::Html,
                    ),
                );
                kept.push(Event::End(TagEnd::CodeBlock));
                code = None;
            }
            (other, _) => kept.push(other),
        }
    }
    kept
}

/// A footnote's id. Labels are free text; what is not a word in them becomes its hash, so that two
/// never meet.
fn note_name(label: &str, prefix: &str) -> CowStr<'static> {
    let is_plain = !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric());
    let name = if is_plain {
        label.to_owned()
    } else {
        blake3::hash(label.as_bytes()).to_hex().chars().take(8).collect()
    };
    CowStr::from(format!("{prefix}fn-{name}"))
}

/// Puts the headings below the page's own title, without a gap: the first is an `h2` whatever its
/// writer began with, and none is more than one level below the one it belongs to.
fn order_headings(events: &mut [Event<'_>]) {
    let mut above: Vec<HeadingLevel> = Vec::new();
    for event in events {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                while above.last().is_some_and(|last| last >= level) {
                    above.pop();
                }
                above.push(*level);
                *level = depth(above.len());
            }
            Event::End(TagEnd::Heading(level)) => *level = depth(above.len()),
            _ => {}
        }
    }
}

fn depth(headings: usize) -> HeadingLevel {
    match headings {
        0 | 1 => HeadingLevel::H2,
        2 => HeadingLevel::H3,
        3 => HeadingLevel::H4,
        4 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

/// How a text begins, as plain text of at most `chars` characters, ending at a word's end.
pub fn summary(text: &str, chars: usize) -> String {
    let mut said = String::new();
    let mut hidden = 0usize;
    let mut markup = String::new();
    for event in Parser::new_ext(text, options()) {
        match event {
            Event::Start(
                Tag::Heading { .. }
                | Tag::CodeBlock(_)
                | Tag::FootnoteDefinition(_)
                | Tag::Table(_),
            ) => hidden += 1,
            Event::End(
                TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::FootnoteDefinition | TagEnd::Table,
            ) => {
                hidden = hidden.saturating_sub(1);
            }
            Event::Text(words) | Event::Code(words) if hidden == 0 => said.push_str(&words),
            Event::Html(html) if hidden == 0 && markup.len() < MARKUP_LEN_MAX => {
                markup.push_str(&html)
            }
            Event::End(TagEnd::HtmlBlock) => {
                said.push_str(&sanitise::words(&std::mem::take(&mut markup)));
                said.push(' ');
            }
            // What only dresses words does not part them from what follows.
            Event::End(
                TagEnd::Emphasis
                | TagEnd::Strong
                | TagEnd::Strikethrough
                | TagEnd::Link
                | TagEnd::Image,
            ) => {}
            Event::SoftBreak | Event::HardBreak | Event::End(_) => said.push(' '),
            _ => {}
        }
        if said.len() > chars.saturating_mul(8) {
            break;
        }
    }
    shortened(&said.split_whitespace().collect::<Vec<_>>().join(" "), chars)
}

fn shortened(line: &str, chars: usize) -> String {
    let Some((end, _)) = line.char_indices().nth(chars) else { return line.to_owned() };
    let room = line.char_indices().nth(chars.saturating_sub(1)).map_or(end, |(at, _)| at);
    let (head, rest) = line.split_at(room);
    let is_whole = rest.starts_with(' ');
    let head = head.rsplit_once(' ').filter(|_| !is_whole).map_or(head, |(words, _)| words);
    format!("{}…", head.trim_end_matches([',', '.', ';', ':', ' ', '-', '–', '—']))
}

/// How many minutes a text takes to read, at least one.
pub fn minutes(text: &str) -> u32 {
    let words =
        text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
    u32::try_from(words.div_ceil(WORDS_A_MINUTE)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests;
