//! Frequent words: a message that has a word of the text certainly contains a term that is that
//! word, so its text need not be read. Grams alone would have a search for a frequent word read
//! every message that has it.
//!
//! A word is a run of letters and digits, known by 64 bits of a keyed hash: no text is written to
//! collide. Words are an addition: a word that is left out costs a reading. A run keeps those that
//! many of its messages have.

use std::collections::HashSet;

use super::bits;
use super::run::Signed;
use crate::mailbox::varint;
use crate::node::KeyedHash;
use crate::row::{self, Rows};
use crate::store::StoreError;

/// The most words of one message that are stored.
pub(super) const WORDS_MAX: usize = 512;
/// The lengths of words: in characters at least, in bytes at most.
const CHARS_MIN: usize = 3;
const LEN_MAX: usize = 40;
/// The most rows of words of a run.
pub(super) const ROWS_MAX: usize = 30;
/// The bytes of words in one row.
const ROW_LEN: usize = 4000;

/// The hash of a word.
pub(super) type Word = u64;

/// The node's hash of words.
pub(super) struct WordHash(KeyedHash);

impl WordHash {
    pub(super) fn new(rows: &impl Rows) -> Result<Self, StoreError> {
        KeyedHash::new(rows, "mailbox.text-word").map(Self)
    }

    fn of(&self, word: &str) -> Word {
        u64::from_be_bytes(row::key_part(&self.0.of(word.as_bytes()), 0))
    }

    /// The hash of a folded term that is a word.
    pub(super) fn of_term(&self, term: &str) -> Option<Word> {
        (is_word(term) && term.chars().all(char::is_alphanumeric)).then(|| self.of(term))
    }

    /// The first words of a folded text, each once.
    pub(super) fn all_of(&self, text: &str) -> Vec<Word> {
        let mut known = HashSet::new();
        let mut words = Vec::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| is_word(word)) {
            if known.insert(word) {
                words.push(self.of(word));
                if words.len() >= WORDS_MAX {
                    break;
                }
            }
        }
        words
    }
}

fn is_word(text: &str) -> bool {
    text.len() <= LEN_MAX && text.chars().nth(CHARS_MIN - 1).is_some()
}

/// The words of a run in rows, each row with the first bits of its first word. In a row each word
/// has its hash, the length of its list, and the list.
pub(super) fn encode(messages: &[Signed]) -> Vec<(u32, Vec<u8>)> {
    let universe = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    let mut places: Vec<(Word, u32)> = Vec::new();
    for (place, message) in (0u32..).zip(messages) {
        places.extend(message.words.iter().map(|word| (*word, place)));
    }
    places.sort_unstable();
    places.dedup();
    let mut count_min = (messages.len() / 128).max(2);
    loop {
        let rows = rows_of(&places, count_min, universe);
        if rows.len() <= ROWS_MAX {
            return rows;
        }
        count_min = count_min.saturating_mul(2);
    }
}

/// The words that at least `count_min` messages have.
fn rows_of(places: &[(Word, u32)], count_min: usize, universe: u32) -> Vec<(u32, Vec<u8>)> {
    let mut rows: Vec<(u32, Vec<u8>)> = Vec::new();
    let (mut list, mut numbers) = (Vec::new(), Vec::new());
    for of_word in places.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((word, _)) = of_word.first().filter(|_| of_word.len() >= count_min) else {
            continue;
        };
        numbers.clear();
        numbers.extend(of_word.iter().map(|(_, place)| *place));
        list.clear();
        bits::encode(&mut list, &numbers, universe);
        if rows.last().is_none_or(|(_, row)| row.len() + list.len() + 10 > ROW_LEN) {
            if rows.len() > ROWS_MAX {
                break;
            }
            rows.push((start_of(*word), Vec::with_capacity(ROW_LEN)));
        }
        let Some((_, row)) = rows.last_mut() else { continue };
        row.extend_from_slice(&word.to_be_bytes());
        varint::put(row, list.len() as u64);
        row.extend_from_slice(&list);
    }
    rows
}

/// The first bits of a word, by which its row is found.
pub(super) fn start_of(word: Word) -> u32 {
    u32::try_from(word >> 32).unwrap_or(u32::MAX)
}

/// Calls `visit` with each word of a row and its list, until it returns false.
pub(super) fn each<'a>(mut row: &'a [u8], mut visit: impl FnMut(Word, &'a [u8]) -> bool) {
    while let Some((word, rest)) = row.split_first_chunk::<8>() {
        row = rest;
        let Some(len) = varint::take(&mut row).and_then(|len| usize::try_from(len).ok()) else {
            return;
        };
        let Some((list, rest)) = row.split_at_checked(len) else { return };
        row = rest;
        if !visit(Word::from_be_bytes(*word), list) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::grams::Signature;
    use super::*;

    fn signed(uid: u32, words: Vec<Word>) -> Signed {
        Signed { uid, signature: Signature::default(), words }
    }

    #[test]
    fn run_words_are_the_frequent_ones() {
        let word = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let messages: Vec<Signed> =
            (0..1024).map(|n| signed(n, vec![word(u64::from(n % 10)), word(n.into())])).collect();
        let rows = encode(&messages);
        let mut found = Vec::new();
        for (_, row) in &rows {
            each(row, |word, list| {
                found.push((word, bits::decode(list).count()));
                true
            });
        }
        assert_eq!(found.len(), 10);
        assert!(found.iter().all(|(_, count)| *count >= 102) && found.is_sorted());
    }

    #[test]
    fn run_words_are_bounded() {
        let all: Vec<Word> = (0..WORDS_MAX as u64).map(|n| n << 50 | n).collect();
        let many: Vec<Signed> = (0..1024u32)
            .map(|n| signed(n, all.iter().map(|word| word + u64::from(n % 64)).collect()))
            .collect();
        assert!(encode(&many).len() <= ROWS_MAX);
    }
}
