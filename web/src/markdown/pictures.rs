//! Pictures that a text may not show: their alternative text is kept, as a link where the address
//! may be linked.

use pulldown_cmark::{CowStr, Event, LinkType, Tag, TagEnd};

/// The text in place of a picture that is not shown and has no alternative text.
const NO_ALT: &str = "(a picture that is not here)";

/// The events with every picture that is not `shown` replaced by its alternative text, which
/// becomes a link if its address is `linked`. HTML forbids a link within a link, so within one the
/// text is not linked. A picture without alternative text leaves [`NO_ALT`].
pub(super) fn as_text<'a>(
    events: Vec<Event<'a>>,
    shown: impl Fn(&str) -> bool,
    linked: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Event<'a>> {
    let (mut rewritten, mut links) = (Vec::with_capacity(events.len()), 0usize);
    let mut events = events.into_iter();
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::Image { dest_url, title, .. }) if !shown(&dest_url) => {
                let alt = Some(alternative_text(&mut events)).filter(|alt| !alt.trim().is_empty());
                let alt = alt.unwrap_or(CowStr::Borrowed(NO_ALT));
                if links > 0 || !linked(&dest_url) {
                    rewritten.push(Event::Text(alt));
                } else {
                    rewritten.push(Event::Start(Tag::Link {
                        link_type: LinkType::Inline,
                        dest_url,
                        title,
                        id: CowStr::Borrowed(""),
                    }));
                    rewritten.push(Event::Text(alt));
                    rewritten.push(Event::End(TagEnd::Link));
                }
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                rewritten.push(Event::Start(Tag::Image { link_type, dest_url, title, id }));
                rewritten.push(Event::Text(alternative_text(&mut events)));
                rewritten.push(Event::End(TagEnd::Image));
            }
            Event::Start(Tag::Link { .. }) => {
                links += 1;
                rewritten.push(event);
            }
            Event::End(TagEnd::Link) => {
                links = links.saturating_sub(1);
                rewritten.push(event);
            }
            other => rewritten.push(other),
        }
    }
    rewritten.into_iter()
}

/// The alternative text of the picture that has just begun, up to its end, without inline markup,
/// links and further pictures.
fn alternative_text<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> CowStr<'a> {
    let (mut alt, mut depth) = (String::new(), 1usize);
    for event in events {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            Event::Text(text) | Event::Code(text) => alt.push_str(&text),
            Event::SoftBreak | Event::HardBreak => alt.push(' '),
            _ => {}
        }
    }
    CowStr::from(alt)
}
