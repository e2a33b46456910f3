//! Grams: short pieces of a folded text, each as one of some thousand buckets by a hash that is
//! keyed with the node's key. A text that lacks a bucket of a term does not contain the term.
//!
//! A gram is three letters or digits, the middle one of which may be any other character: all of
//! these count as one. Letters of scripts in which a word is one or two characters (Chinese,
//! Japanese, Korean) are grams alone and in pairs. Whether characters of a text are a gram depends
//! on these characters only. So a text that contains a term has all grams of the term.

use super::tokens;
use crate::node::KeyedHash;
use crate::row::{self, Rows};
use crate::store::StoreError;

/// The number of buckets of the body's grams, as bits of a hash.
const BODY_BITS: u32 = 14;
/// The same for the header. It is asked for seldom, so its buckets are fewer.
const HEADER_BITS: u32 = 12;

/// The part of a message that a gram is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The words of the body that only one message of a run has.
    Body,
    /// The header.
    Header,
}

impl Part {
    /// The number of its buckets.
    pub(super) fn buckets(self) -> u32 {
        1 << self.bits()
    }

    fn bits(self) -> u32 {
        match self {
            Self::Body => BODY_BITS,
            Self::Header => HEADER_BITS,
        }
    }
}

/// The node's hash of grams. The buckets are only inside sealed rows; the key keeps a stranger
/// from writing texts whose grams share buckets.
#[derive(Clone, Copy)]
pub(super) struct GramHash {
    add: u64,
    multiply: u64,
}

impl GramHash {
    /// The hash of this node.
    pub(super) fn new(rows: &impl Rows) -> Result<Self, StoreError> {
        let key = KeyedHash::new(rows, "mailbox.text")?.of(b"grams");
        let part = |at| u64::from_be_bytes(row::key_part(&key, at));
        Ok(Self { add: part(0), multiply: part(8) | 1 })
    }

    /// The bucket of a gram.
    fn bucket(self, part: Part, gram: u64) -> u32 {
        let product = u128::from(gram ^ self.add) * u128::from(self.multiply);
        let mixed = (product >> 64) as u64 ^ product as u64;
        (mixed >> (64 - part.bits())) as u32
    }

    /// The buckets of a folded text.
    pub(super) fn of(self, part: Part, text: &str) -> Buckets {
        let mut buckets = Buckets::new(part);
        self.add(part, text, &mut buckets);
        buckets
    }

    /// Adds the buckets of a folded text.
    pub(super) fn add(self, part: Part, text: &str, into: &mut Buckets) {
        grams(text, |gram| {
            into.insert(self.bucket(part, gram));
        });
    }

    /// The buckets of a folded term, each once, in the order of the term.
    pub(super) fn of_term(self, part: Part, term: &str) -> Vec<u32> {
        let mut buckets = Vec::new();
        grams(term, |gram| buckets.push(self.bucket(part, gram)));
        let mut known = Buckets::new(part);
        buckets.retain(|bucket| !known.insert(*bucket));
        buckets
    }
}

/// A line end: no gram is across it.
const LINE_END: u32 = 0;
/// Any other character that is no letter or digit.
const OTHER: u32 = 1;
/// Letters and digits are their number and this.
const LETTER: u32 = 2;

fn class(c: char) -> u32 {
    match c {
        '\n' | '\r' => LINE_END,
        c if c.is_alphanumeric() => u32::from(c) + LETTER,
        _ => OTHER,
    }
}

fn is_dense(class: u32) -> bool {
    class.checked_sub(LETTER).and_then(char::from_u32).is_some_and(tokens::is_dense)
}

/// Calls `each` with every gram of a folded text, in order.
fn grams(text: &str, mut each: impl FnMut(u64)) {
    let gram = |a: u32, b: u32, c: u32| u64::from(a) << 42 | u64::from(b) << 21 | u64::from(c);
    let (mut first, mut second) = (LINE_END, LINE_END);
    for c in text.chars() {
        let third = class(c);
        if third >= LETTER {
            if is_dense(third) {
                each(gram(0, 0, third));
            }
            if is_dense(second) {
                each(gram(0, second, third));
            }
            if first >= LETTER && second != LINE_END && !is_dense(first) {
                each(gram(first, second, third));
            }
        }
        (first, second) = (second, third);
    }
}

/// A set of buckets of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Buckets(Vec<u64>);

impl Buckets {
    /// None of the buckets.
    pub(super) fn new(part: Part) -> Self {
        Self(vec![0; part.buckets() as usize / 64])
    }

    /// Adds a bucket; true if it was there.
    pub(super) fn insert(&mut self, bucket: u32) -> bool {
        let Some(word) = self.0.get_mut(bucket as usize / 64) else { return true };
        let bit = 1 << (bucket % 64);
        let was_there = *word & bit != 0;
        *word |= bit;
        was_there
    }

    /// Its buckets in words of 64.
    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use freehold_mime::search;
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) const HASH: GramHash =
        GramHash { add: 0x1234_5678_9abc_def0, multiply: 0x9e37_79b9_7f4a_7c15 };

    fn count(term: &str) -> usize {
        HASH.of_term(Part::Body, term).len()
    }

    #[test]
    fn term_grams_need_three_letters_or_one_dense() {
        assert_eq!([count(""), count("ab"), count("--- "), count("a b")], [0, 0, 0, 1]);
        assert_eq!([count("abc"), count("abcd"), count("3.5")], [1, 2, 1]);
        assert_eq!([count("語"), count("日本"), count("ab\ncd")], [1, 3, 0]);
        assert_eq!([count("привет"), count("हिन्दी"), count("한국")], [4, 2, 3]);
    }

    proptest! {
        #[test]
        fn text_has_all_grams_of_its_pieces(
            text in "[a-cäß日本語 .\n-]{0,60}", from in 0usize..60, len in 0usize..20,
        ) {
            let folded = search::fold(&text);
            let piece: String = folded.chars().skip(from).take(len).collect();
            for part in [Part::Body, Part::Header] {
                let whole = HASH.of(part, &folded);
                for bucket in HASH.of_term(part, &piece) {
                    prop_assert!(whole.clone().insert(bucket));
                }
            }
        }
    }
}
