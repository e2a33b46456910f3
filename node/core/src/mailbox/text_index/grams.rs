//! Grams: the short pieces of a folded text by which the index knows it, and the signature of a
//! message, the set of its grams.
//!
//! A gram is three letters or digits, the middle one of which may be any other character: all of
//! these count as one. Letters of scripts in which a word is one or two characters (Chinese,
//! Japanese, Korean) are grams alone and in pairs. Whether characters of a text are a gram depends
//! on these characters only. So a text that contains a term has all grams of the term.

use freehold_mime::structure::{HEADER_LEN_MAX, Structure};
use freehold_mime::{header_end, search};

use super::bits;
use super::words::{Word, WordHash};
use crate::node::KeyedHash;
use crate::row::{self, Rows};
use crate::store::StoreError;

/// The number of buckets of the body's grams, as bits of a hash.
const BODY_BITS: u32 = 14;
/// The same for the header. It has many grams by chance (ids, signatures) and is asked for seldom,
/// so its buckets are fewer.
const HEADER_BITS: u32 = 12;
/// The number of all buckets: those of the body, then those of the header.
pub(super) const BUCKETS: u32 = (1 << BODY_BITS) + (1 << HEADER_BITS);
const WORDS: usize = BUCKETS as usize / 64;

/// The part of a message that a gram is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Body,
    Header,
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
        let first_bits = |count: u32| (mixed >> (64 - count)) as u32;
        match part {
            Part::Body => first_bits(BODY_BITS),
            Part::Header => (1 << BODY_BITS) + first_bits(HEADER_BITS),
        }
    }

    /// The buckets of a folded term, each once, in the order of the term.
    pub(super) fn buckets(self, part: Part, term: &str) -> Vec<u32> {
        let mut buckets = Vec::new();
        grams(term, |gram| buckets.push(self.bucket(part, gram)));
        let mut known = Signature::default();
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

/// True for letters of which one or two are a word.
fn is_dense(class: u32) -> bool {
    matches!(class.saturating_sub(LETTER),
        0x1100..=0x11ff | 0x2e80..=0xa4cf | 0xa960..=0xa97f | 0xac00..=0xd7ff | 0xf900..=0xfaff
        | 0xff66..=0xffdc | 0x20000..=0x3ffff)
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

/// The buckets of a message's grams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature(Vec<u64>);

impl Default for Signature {
    fn default() -> Self {
        Self(vec![0; WORDS])
    }
}

impl Signature {
    /// The signature of a message, from its bytes, and some of its words.
    pub(super) fn of(message: &[u8], hash: GramHash, words: &WordHash) -> (Self, Vec<Word>) {
        let mut signature = Self::default();
        let mut add = |part: Part, text: &str| {
            grams(text, |gram| {
                signature.insert(hash.bucket(part, gram));
            });
        };
        let body = search::fold(&search::body(message, &Structure::parse(message)));
        add(Part::Body, &body);
        add(Part::Header, &search::fold(&search::header(header(message))));
        (signature, words.all_of(&body))
    }

    /// Adds a bucket; true if it was there.
    pub(super) fn insert(&mut self, bucket: u32) -> bool {
        let Some(word) = self.0.get_mut(bucket as usize / 64) else { return true };
        let bit = 1 << (bucket % 64);
        let was_there = *word & bit != 0;
        *word |= bit;
        was_there
    }

    pub(super) fn contains(&self, bucket: u32) -> bool {
        self.0.get(bucket as usize / 64).is_some_and(|word| word >> (bucket % 64) & 1 == 1)
    }

    /// Its buckets in words of 64.
    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }

    /// At most [`BUCKETS`] bits and a byte.
    pub(super) fn encode(&self) -> Vec<u8> {
        let buckets: Vec<u32> = (0..BUCKETS).filter(|bucket| self.contains(*bucket)).collect();
        let mut out = Vec::new();
        bits::encode(&mut out, &buckets, BUCKETS);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        let mut signature = Self::default();
        for bucket in bits::decode(bytes) {
            signature.insert(bucket);
        }
        signature
    }
}

/// The header of a message, which SEARCH TEXT reads beside the body.
pub(super) fn header(message: &[u8]) -> &[u8] {
    let read = message.get(..HEADER_LEN_MAX).unwrap_or(message);
    read.get(..header_end::len(read)).unwrap_or(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: GramHash = GramHash { add: 0x1234_5678_9abc_def0, multiply: 0x9e37_79b9_7f4a_7c15 };

    fn count(term: &str) -> usize {
        HASH.buckets(Part::Body, term).len()
    }

    #[test]
    fn term_grams_need_three_letters_or_one_dense() {
        assert_eq!([count(""), count("ab"), count("--- "), count("a b")], [0, 0, 0, 1]);
        assert_eq!([count("abc"), count("abcd"), count("3.5")], [1, 2, 1]);
        assert_eq!([count("語"), count("日本"), count("ab\ncd")], [1, 3, 0]);
        assert_eq!([count("привет"), count("हिन्दी"), count("한국")], [4, 2, 3]);
    }

    #[test]
    fn signature_of_a_huge_text_is_bounded() {
        let mut signature = Signature::default();
        (0..BUCKETS + 5).for_each(|bucket| {
            signature.insert(bucket);
        });
        let bytes = signature.encode();
        assert!(bytes.len() <= BUCKETS as usize / 8 + 1);
        assert_eq!(Signature::decode(&bytes), signature);
    }

    proptest! {
        #[test]
        fn text_has_all_grams_of_its_pieces(
            text in "[a-cäß日本語 .\n-]{0,60}", from in 0usize..60, len in 0usize..20,
        ) {
            let folded = search::fold(&text);
            let piece: String = folded.chars().skip(from).take(len).collect();
            let whole = HASH.buckets(Part::Body, &folded);
            for bucket in HASH.buckets(Part::Body, &piece) {
                prop_assert!(whole.contains(&bucket));
            }
        }

        #[test]
        fn any_piece_of_any_message_is_in_its_signature(
            text in "(?s).{0,80}", from in 0usize..80, len in 0usize..20,
        ) {
            let message = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}");
            let mut signature = Signature::default();
            let parsed = Structure::parse(message.as_bytes());
            let body = search::fold(&search::body(message.as_bytes(), &parsed));
            for bucket in HASH.buckets(Part::Body, &body) {
                signature.insert(bucket);
            }
            let piece: String = body.chars().skip(from).take(len).collect();
            for bucket in HASH.buckets(Part::Body, &search::fold(&piece)) {
                // A piece that folds further is not in the folded text either.
                let is_in = body.contains(&search::fold(&piece));
                prop_assert!(!is_in || signature.contains(bucket));
            }
            prop_assert_eq!(Signature::decode(&signature.encode()), signature);
        }
    }
}
