//! The words of a folded text as the index has them, and the pieces of a term that are looked for
//! in them.
//!
//! A word is a run of letters and digits. A long one is cut into pieces that overlap, so a text of
//! up to [`PIECE_CHARS`] characters inside it is inside a piece. Scripts in which a word is one or
//! two characters (Chinese, Japanese, Korean) are *dense*: there each pair of neighbours is a word.
//! Whether characters are a word depends on them and on their neighbours only. So a text contains a
//! term of letters of one kind if, and only if, one of its words contains the term.

use std::ops::Range;

/// The distance from a piece of a long word to the next one, in characters. A piece has twice as
/// many.
const PIECE_CHARS: usize = 20;
/// The most needles of a term: the longest ones.
const NEEDLES_MAX: usize = 8;

/// Stands before and after each word where words are stored together; no word has it.
pub(super) const SEPARATOR: char = '\n';

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Letter,
    Dense,
}

fn class(c: char) -> Class {
    match c {
        c if is_dense(c) && c.is_alphanumeric() => Class::Dense,
        c if c.is_alphanumeric() => Class::Letter,
        _ => Class::Other,
    }
}

/// True for characters of which one or two are a word.
pub(super) fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x11ff | 0x2e80..=0xa4cf | 0xa960..=0xa97f | 0xac00..=0xd7ff | 0xf900..=0xfaff
        | 0xff66..=0xffdc | 0x20000..=0x3ffff)
}

/// Calls `each` with the longest sequences of letters of one class.
fn each_sequence(text: &str, mut each: impl FnMut(Class, Range<usize>)) {
    let (mut before, mut start) = (Class::Other, 0);
    for (at, c) in text.char_indices() {
        let class = class(c);
        if class != before {
            if before != Class::Other {
                each(before, start..at);
            }
            (before, start) = (class, at);
        }
    }
    if before != Class::Other {
        each(before, start..text.len());
    }
}

/// Calls `each` with every word of a folded text, in order, until it returns false.
pub(super) fn words<'a>(text: &'a str, mut each: impl FnMut(&'a str) -> bool) {
    let mut goes_on = true;
    each_sequence(text, |class, range| {
        let sequence = text.get(range).unwrap_or_default();
        if goes_on {
            goes_on = match class {
                Class::Dense => pieces(sequence, 1, &mut each),
                _ => pieces(sequence, PIECE_CHARS, &mut each),
            };
        }
    });
}

/// Calls `each` with the pieces of a sequence: each of `2 * step` characters, `step` characters
/// after the one before it. A sequence that is not longer is its only piece.
fn pieces<'a>(sequence: &'a str, step: usize, each: &mut impl FnMut(&'a str) -> bool) -> bool {
    let starts = || sequence.char_indices().map(|(at, _)| at).step_by(step);
    let ends = starts().skip(2).map(Some).chain(std::iter::repeat(None));
    for (start, end) in starts().zip(ends) {
        let piece = sequence.get(start..end.unwrap_or(sequence.len())).unwrap_or_default();
        if !each(piece) {
            return false;
        }
        if end.is_none() {
            break;
        }
    }
    true
}

/// A text that a word must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needle {
    /// With [`SEPARATOR`] where the word must begin or end.
    pub(super) sought: String,
}

impl Needle {
    /// The needle without separators.
    pub(super) fn letters(&self) -> &str {
        self.sought.trim_matches(SEPARATOR)
    }
}

/// A term as the index looks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// A text that contains the term has a word with each of these. Empty if the term has no letter
    /// or digit.
    pub(super) needles: Vec<Needle>,
    /// True if a text with a word with each needle contains the term.
    pub(super) is_exact: bool,
}

impl Term {
    pub(super) fn new(folded: &str) -> Self {
        let mut needles = Vec::new();
        let mut is_exact = false;
        each_sequence(folded, |class, range| {
            let (begins, ends) = (range.start == 0, range.end == folded.len());
            let sequence = folded.get(range).unwrap_or_default();
            if class == Class::Dense {
                is_exact = begins && ends && sequence.chars().nth(2).is_none();
                pieces(sequence, 1, &mut |pair| {
                    needles.push(Needle { sought: pair.to_owned() });
                    needles.len() < 4 * NEEDLES_MAX
                });
                return;
            }
            let mut push = |from: usize, to: usize, is_start: bool, is_end: bool| {
                let separator = |wanted: bool| if wanted { "\n" } else { "" };
                let letters = sequence.get(from..to).unwrap_or_default();
                let (before, after) = (separator(is_start), separator(is_end));
                needles.push(Needle { sought: format!("{before}{letters}{after}") });
            };
            match sequence.char_indices().nth(PIECE_CHARS) {
                None => {
                    is_exact = begins && ends;
                    push(0, sequence.len(), !begins, !ends);
                }
                Some((end, _)) => {
                    let last = sequence.char_indices().rev().nth(PIECE_CHARS - 1);
                    push(0, end, !begins, false);
                    push(last.map_or(0, |(at, _)| at), sequence.len(), false, !ends);
                }
            }
        });
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.letters().chars().count()));
        needles.dedup();
        needles.truncate(NEEDLES_MAX);
        is_exact &= needles.len() == 1;
        Self { needles, is_exact }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        words(text, |word| {
            found.push(word);
            true
        });
        found
    }

    fn needles(term: &str) -> Vec<String> {
        Term::new(term).needles.into_iter().map(|needle| needle.sought).collect()
    }

    #[test]
    fn words_are_runs_of_letters_or_dense_pairs() {
        assert_eq!(all("a bc-d3.\r\nx_y"), ["a", "bc", "d3", "x", "y"]);
        assert_eq!(all("日本語abc東"), ["日本", "本語", "abc", "東"]);
        let long: String = ('a'..='z').cycle().take(61).collect();
        assert_eq!(all(&long), [&long[..40], &long[20..60], &long[40..]]);
        assert_eq!(all(&long[..60]), [&long[..40], &long[20..60]]);
        assert_eq!(all(&long[..40]), [&long[..40]]);
    }

    #[test]
    fn needles_know_where_words_begin_and_end() {
        assert_eq!(needles("ord"), ["ord"]);
        assert_eq!(needles("example.org"), ["example\n", "\norg"]);
        assert_eq!(needles(" ab cd "), ["\nab\n", "\ncd\n"]);
        assert_eq!(needles("日本語"), ["日本", "本語"]);
        assert_eq!(needles("--"), Vec::<String>::new());
        assert!(Term::new("東京").is_exact && Term::new("abc").is_exact);
        assert!(!Term::new("東京都").is_exact && !Term::new("a b").is_exact);
        assert!(!Term::new("a日").is_exact && !Term::new("-").is_exact);
        assert!(!Term::new("abcdefghijklmnopqrstuvwxyz").is_exact);
    }

    proptest! {
        #[test]
        fn words_have_the_needles_of_every_piece(
            text in "([a-c]{1,70}|日本語?東{0,5}|[ .\n-]|[äßé]){0,20}",
            from in 0usize..100,
            len in 0usize..50,
            other in "[a-c日本東 ]{1,4}",
        ) {
            let stored = all(&text).iter().map(|w| format!("\n{w}\n")).collect::<Vec<_>>();
            let piece: String = text.chars().skip(from).take(len).collect();
            for term in [&piece, &other] {
                let wanted = Term::new(term);
                let has = |n: &Needle| stored.iter().any(|word| word.contains(&n.sought));
                let has_all = wanted.needles.iter().all(has);
                if wanted.is_exact {
                    prop_assert_eq!(has_all, text.contains(term.as_str()), "{:?}", term);
                } else if text.contains(term.as_str()) {
                    prop_assert!(has_all, "{:?} {:?}", term, wanted);
                }
            }
        }
    }
}
