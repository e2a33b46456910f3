//! Ids and levels of a text's headings.

use std::collections::HashMap;

use freehold_core::slug::slugify;
use pulldown_cmark::{CowStr, Event, HeadingLevel, Tag, TagEnd};

/// Gives every heading an id made from its text, each id once.
pub(super) fn name(events: &mut [Event<'_>], prefix: &str) {
    let mut used: HashMap<String, usize> = HashMap::new();
    let mut starts = Vec::new();
    let mut heading: Option<String> = None;
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                starts.push((at, String::new()));
                heading = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => {
                if let (Some(title), Some((_, id))) = (heading.take(), starts.last_mut()) {
                    let base = slugify(&title)
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
            Event::Text(text) | Event::Code(text) => {
                if let Some(title) = &mut heading {
                    title.push_str(text);
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

/// Puts the headings below the page's title without a gap: the first is an `h2`, whichever level its
/// author began with, and each is at most one level below the heading it belongs to.
pub(super) fn order(events: &mut [Event<'_>]) {
    let mut above: Vec<HeadingLevel> = Vec::new();
    for event in events {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                while above.last().is_some_and(|last| last >= level) {
                    above.pop();
                }
                above.push(*level);
                *level = level_of(above.len());
            }
            Event::End(TagEnd::Heading(level)) => *level = level_of(above.len()),
            _ => {}
        }
    }
}

fn level_of(depth: usize) -> HeadingLevel {
    match depth {
        0 | 1 => HeadingLevel::H2,
        2 => HeadingLevel::H3,
        3 => HeadingLevel::H4,
        4 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}
