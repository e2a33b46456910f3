//! Footnotes: their numbers and ids, the link from a mark to its note and the one back.

use std::collections::HashMap;

use pulldown_cmark::{CowStr, Event, Tag, TagEnd};

#[derive(Default)]
struct Footnotes {
    /// By label: the number, in the order of the first mark or note.
    numbers: HashMap<String, Number>,
    /// The note that is open: its id, and whether a mark leads to it.
    open: Option<(String, bool)>,
}

#[derive(Clone, Copy)]
struct Number {
    number: usize,
    has_mark: bool,
}

/// The events with the footnotes as HTML. Ids begin with `prefix`.
pub(super) fn as_html<'a>(
    events: impl Iterator<Item = Event<'a>>,
    prefix: &str,
) -> impl Iterator<Item = Event<'a>> {
    let mut footnotes = Footnotes::default();
    events.map(move |event| match event {
        Event::FootnoteReference(label) => html(footnotes.mark(&label, prefix)),
        Event::Start(Tag::FootnoteDefinition(label)) => html(footnotes.start(&label, prefix)),
        Event::End(TagEnd::FootnoteDefinition) => html(footnotes.end()),
        other => other,
    })
}

fn html<'a>(text: String) -> Event<'a> {
    Event::InlineHtml(CowStr::from(text))
}

impl Footnotes {
    fn number(&mut self, label: &str) -> &mut Number {
        let next = self.numbers.len() + 1;
        let new = Number { number: next, has_mark: false };
        self.numbers.entry(label.to_owned()).or_insert(new)
    }

    /// The first mark of a note has the id that the link back leads to.
    fn mark(&mut self, label: &str, prefix: &str) -> String {
        let (id, number) = (id(label, prefix), self.number(label));
        let is_first = !std::mem::replace(&mut number.has_mark, true);
        let anchor = if is_first { format!(" id=\"{id}-mark\"") } else { String::new() };
        let number = number.number;
        format!("<sup class=\"footnote-reference\"{anchor}><a href=\"#{id}\">{number}</a></sup>")
    }

    fn start(&mut self, label: &str, prefix: &str) -> String {
        let (id, number) = (id(label, prefix), *self.number(label));
        self.open = Some((id.clone(), number.has_mark));
        let number = number.number;
        format!(
            "<div class=\"footnote-definition\" id=\"{id}\">\
             <sup class=\"footnote-definition-label\">{number}</sup><div>"
        )
    }

    fn end(&mut self) -> String {
        match self.open.take() {
            Some((id, true)) => format!("<a href=\"#{id}-mark\">Back</a></div></div>\n"),
            _ => "</div></div>\n".to_owned(),
        }
    }
}

/// A footnote's id. A label is free text; one that is not alphanumeric is replaced by its hash, so
/// that two labels never share an id.
fn id(label: &str, prefix: &str) -> String {
    let is_plain = !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric());
    let name = if is_plain {
        label.to_owned()
    } else {
        blake3::hash(label.as_bytes()).to_hex().chars().take(8).collect()
    };
    format!("{prefix}fn-{name}")
}
