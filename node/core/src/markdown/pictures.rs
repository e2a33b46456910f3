//! Pictures that a text may not show: what they say stays, as a link where the address leads
//! somewhere.

use pulldown_cmark::{CowStr, Event, LinkType, Tag, TagEnd};

/// The events with every picture that is not `shown` turned into its words, around which goes a
/// link if its address is `followed`. A link within a link is none, so inside one the words stand
/// alone; a picture without words leaves nothing.
pub(super) fn in_words<'a>(
    events: Vec<Event<'a>>,
    shown: impl Fn(&str) -> bool,
    followed: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Event<'a>> {
    let (mut kept, mut links) = (Vec::with_capacity(events.len()), 0usize);
    let mut events = events.into_iter();
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::Image { dest_url, title, .. }) if !shown(&dest_url) => {
                let words = words(&mut events);
                if links > 0 || words.is_empty() || !followed(&dest_url) {
                    kept.push(Event::Text(words));
                } else {
                    kept.push(Event::Start(Tag::Link {
                        link_type: LinkType::Inline,
                        dest_url,
                        title,
                        id: CowStr::Borrowed(""),
                    }));
                    kept.push(Event::Text(words));
                    kept.push(Event::End(TagEnd::Link));
                }
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                kept.push(Event::Start(Tag::Image { link_type, dest_url, title, id }));
                kept.push(Event::Text(words(&mut events)));
                kept.push(Event::End(TagEnd::Image));
            }
            Event::Start(Tag::Link { .. }) => {
                links += 1;
                kept.push(event);
            }
            Event::End(TagEnd::Link) => {
                links = links.saturating_sub(1);
                kept.push(event);
            }
            other => kept.push(other),
        }
    }
    kept.into_iter()
}

/// The words of the picture that has just begun, up to its end; whatever dresses them, be it links
/// or further pictures, goes.
fn words<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> CowStr<'a> {
    let (mut words, mut depth) = (String::new(), 1usize);
    for event in events {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            Event::Text(said) | Event::Code(said) => words.push_str(&said),
            Event::SoftBreak | Event::HardBreak => words.push(' '),
            _ => {}
        }
    }
    CowStr::from(words)
}
