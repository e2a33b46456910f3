//! Code blocks with syntax highlighting, where the author named the language.

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Tag, TagEnd};

use super::highlight;

/// The events with the text of fenced code blocks replaced by highlighted HTML.
pub(super) fn highlighted<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let (mut rewritten, mut block) = (Vec::new(), None);
    for event in events {
        match (event, &mut block) {
            (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))), _) => {
                block = Some((language.clone(), String::new()));
                rewritten.push(Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))));
            }
            (Event::Text(text), Some((_, code))) => code.push_str(&text),
            (Event::End(TagEnd::CodeBlock), Some((language, code))) => {
                let html = highlight::highlighted(code, language).map(CowStr::from);
                rewritten.push(
                    html.map_or_else(
                        || Event::Text(CowStr::from(std::mem::take(code))),
                        Event::Html,
                    ),
                );
                rewritten.push(Event::End(TagEnd::CodeBlock));
                block = None;
            }
            (other, _) => rewritten.push(other),
        }
    }
    rewritten
}
