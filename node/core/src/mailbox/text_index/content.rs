//! The content of a run in memory: the words of its messages, and the grams of their headers.

use std::collections::{HashMap, HashSet};

use freehold_mime::structure::{HEADER_LEN_MAX, Structure};
use freehold_mime::{header_end, search};

use super::grams::{Buckets, GramHash, Part};
use super::tokens;

/// The bytes of the words of one message that are indexed; one with more is always a candidate.
pub(super) const WORDS_LEN_MAX: usize = 256 * 1024;

/// A message as the index knows it.
pub(super) struct MessageTexts {
    /// The words of the body, each once.
    words: Vec<Box<str>>,
    /// The grams of the header.
    header: Buckets,
    /// False if it has more words.
    is_complete: bool,
}

impl MessageTexts {
    /// Reads a message.
    pub(super) fn of(message: &[u8], hash: GramHash) -> Self {
        let body = search::fold(&search::body(message, &Structure::parse(message)));
        let (mut known, mut len) = (HashSet::new(), 0usize);
        let mut is_complete = true;
        tokens::words(&body, |word| {
            if known.insert(word) {
                len += word.len() + 1;
                is_complete = len <= WORDS_LEN_MAX;
            }
            is_complete
        });
        let header = hash.of(Part::Header, &search::fold(&search::header(header(message))));
        Self { words: known.into_iter().map(Box::from).collect(), header, is_complete }
    }

    /// The number of its words.
    pub(super) fn words_len(&self) -> usize {
        self.words.len()
    }
}

/// The header of a message, which SEARCH TEXT reads beside the body.
pub(super) fn header(message: &[u8]) -> &[u8] {
    let read = message.get(..HEADER_LEN_MAX).unwrap_or(message);
    read.get(..header_end::len(read)).unwrap_or(read)
}

/// The place of a message in a run.
pub(super) type Place = u16;

/// Messages of a run, in the order of their UIDs.
#[derive(Default)]
pub(super) struct Content {
    pub(super) uids: Vec<u32>,
    /// For each word the places of the messages that have it, in order.
    pub(super) words: HashMap<Box<str>, Vec<Place>>,
    /// The grams of the headers.
    pub(super) headers: Vec<Buckets>,
    /// The places of messages with more words than the index has.
    pub(super) incomplete: Vec<Place>,
}

impl Content {
    /// Adds a message, the UID of which is the highest.
    pub(super) fn push(&mut self, uid: u32, texts: MessageTexts) {
        let place = place(self.uids.len());
        self.uids.push(uid);
        self.headers.push(texts.header);
        if !texts.is_complete {
            self.incomplete.push(place);
        }
        for word in texts.words {
            self.words.entry(word).or_default().push(place);
        }
    }

    /// The messages of some runs that are to stay.
    pub(super) fn joined(parts: Vec<Self>, stays: impl Fn(u32) -> bool) -> Self {
        let mut order: Vec<(u32, usize, usize)> = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let uids = part.uids.iter().enumerate().filter(|(_, uid)| stays(**uid));
            order.extend(uids.map(|(at, uid)| (*uid, number, at)));
        }
        order.sort_unstable();
        let mut joined = Self::default();
        let mut places: Vec<Vec<Option<Place>>> =
            parts.iter().map(|part| vec![None; part.uids.len()]).collect();
        for (at, (uid, number, from)) in order.iter().enumerate() {
            joined.uids.push(*uid);
            let header = parts.get(*number).and_then(|part| part.headers.get(*from));
            joined.headers.push(header.cloned().unwrap_or_else(|| Buckets::new(Part::Header)));
            let known = places.get_mut(*number).and_then(|places| places.get_mut(*from));
            if let Some(known) = known {
                *known = Some(place(at));
            }
        }
        for (part, places) in parts.into_iter().zip(&places) {
            let moved = |from: &Place| places.get(usize::from(*from)).copied().flatten();
            joined.incomplete.extend(part.incomplete.iter().filter_map(moved));
            for (word, from) in part.words {
                let mut to = from.iter().filter_map(moved).peekable();
                if to.peek().is_some() {
                    joined.words.entry(word).or_default().extend(to);
                }
            }
        }
        joined.words.values_mut().for_each(|places| places.sort_unstable());
        joined.incomplete.sort_unstable();
        joined
    }

    /// Takes off the messages from the place `count` on.
    pub(super) fn split_off(&mut self, count: usize) -> Self {
        let from = |places: &mut Vec<Place>| {
            let kept = places.partition_point(|place| usize::from(*place) < count);
            let rest = places.split_off(kept);
            let rest = rest.into_iter().map(|at| at.saturating_sub(place(count)));
            rest.collect::<Vec<Place>>()
        };
        let mut rest = Self {
            uids: self.uids.split_off(count.min(self.uids.len())),
            headers: self.headers.split_off(count.min(self.headers.len())),
            incomplete: from(&mut self.incomplete),
            words: HashMap::new(),
        };
        self.words.retain(|word, places| {
            let moved = from(places);
            if !moved.is_empty() {
                rest.words.insert(word.clone(), moved);
            }
            !places.is_empty()
        });
        rest
    }
}

fn place(at: usize) -> Place {
    Place::try_from(at).unwrap_or(Place::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::grams::tests::HASH;
    use super::*;

    fn content(messages: &[(u32, &str)]) -> Content {
        let mut content = Content::default();
        for (uid, text) in messages {
            let message = format!("Subject: s{uid}\r\n\r\n{text}\r\n");
            content.push(*uid, MessageTexts::of(message.as_bytes(), HASH));
        }
        content
    }

    fn words_of(content: &Content, uid: u32) -> Vec<String> {
        let place = content.uids.iter().position(|known| *known == uid).unwrap();
        let has = |places: &Vec<Place>| places.contains(&Place::try_from(place).unwrap());
        let mut words: Vec<String> =
            content.words.iter().filter(|(_, p)| has(p)).map(|(w, _)| w.to_string()).collect();
        words.sort();
        words
    }

    #[test]
    fn joined_and_split_contents_have_the_words_of_messages() {
        let first = content(&[(2, "a b"), (5, "b c"), (9, "only")]);
        let second = content(&[(1, "c"), (7, "a")]);
        let mut joined = Content::joined(vec![first, second], |uid| uid != 9);
        assert_eq!(joined.uids, [1, 2, 5, 7]);
        assert!(!joined.words.contains_key("only"));
        assert_eq!(words_of(&joined, 1), ["c"]);
        assert_eq!(words_of(&joined, 2), ["a", "b"]);
        assert_eq!(words_of(&joined, 7), ["a"]);
        let rest = joined.split_off(2);
        assert_eq!((joined.uids.as_slice(), rest.uids.as_slice()), (&[1, 2][..], &[5, 7][..]));
        assert_eq!(words_of(&rest, 5), ["b", "c"]);
        assert_eq!(words_of(&rest, 7), ["a"]);
        assert_eq!((joined.words.len(), rest.words.len()), (3, 3));
        assert_eq!((joined.headers.len(), rest.headers.len()), (2, 2));
    }

    #[test]
    fn message_with_too_many_words_is_incomplete() {
        let text: String = (0..60_000).map(|n| format!("word{n}\r\n")).collect();
        let content = content(&[(1, "few"), (2, &text)]);
        assert_eq!(content.incomplete, [1]);
    }
}
