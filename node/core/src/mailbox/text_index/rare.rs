//! The rare words of a run: those that one of its messages has. They stand message by message, so
//! they need no lists. A row is `place of its first message ‖ LZ4 of the words`; a zero byte ends a
//! message, and separators are around each word.

use memchr::{memchr, memmem};

use super::content::Place;
use super::lists::ROW_LEN;
use super::tokens::SEPARATOR;
use crate::mailbox::varint;

/// Ends a message.
const END: u8 = 0;
/// The most bytes of a row before it is compressed.
const PLAIN_LEN_MAX: usize = 64 * 1024;

/// Writes words, in the order of their messages, as rows; each with the number of its words.
pub(super) fn encode(words: &[(Place, &str)]) -> Vec<(usize, Vec<u8>)> {
    let mut rows = Vec::new();
    let (mut rest, mut target) = (words, ROW_LEN);
    while !rest.is_empty() {
        let mut count = fitting(rest, target);
        loop {
            let (plain_len, row) = encode_row(rest.get(..count).unwrap_or_default());
            if row.len() <= ROW_LEN || count == 1 {
                // The next words will be as compressible.
                target = (plain_len * ROW_LEN / row.len().max(1) * 15 / 16).max(1);
                rows.push((count, row));
                break;
            }
            count = (count * ROW_LEN / row.len() * 15 / 16).clamp(1, count - 1);
        }
        rest = rest.get(count..).unwrap_or_default();
    }
    rows
}

/// The number of words that have up to `len` bytes.
fn fitting(words: &[(Place, &str)], len: usize) -> usize {
    let mut sum = 0;
    let fits = |(_, word): &&(Place, &str)| {
        sum += word.len() + 2;
        sum <= len.min(PLAIN_LEN_MAX / 2)
    };
    words.iter().take_while(fits).count().max(1)
}

fn encode_row(words: &[(Place, &str)]) -> (usize, Vec<u8>) {
    let first = words.first().map_or(0, |(place, _)| *place);
    let (mut plain, mut at) = (vec![SEPARATOR as u8], first);
    for (place, word) in words {
        while at < *place {
            plain.extend([END, SEPARATOR as u8]);
            at += 1;
        }
        plain.extend_from_slice(word.as_bytes());
        plain.push(SEPARATOR as u8);
    }
    let mut row = Vec::new();
    varint::put(&mut row, u64::from(first));
    row.extend_from_slice(&lz4_flex::block::compress_prepend_size(&plain));
    (plain.len(), row)
}

/// The words of a row.
pub(super) struct RareWords {
    first: Place,
    plain: Vec<u8>,
}

impl RareWords {
    /// `None` if the row is damaged.
    pub(super) fn decode(mut row: &[u8]) -> Option<Self> {
        let first = Place::try_from(varint::take(&mut row)?).ok()?;
        let (len, compressed) = lz4_flex::block::uncompressed_size(row).ok()?;
        if len > PLAIN_LEN_MAX {
            return None;
        }
        let plain = lz4_flex::block::decompress(compressed, len).ok()?;
        (plain.len() == len).then_some(Self { first, plain })
    }

    /// Calls `visit` with the place of each message that has a word with `sought` in it.
    pub(super) fn find(&self, sought: &memmem::Finder<'_>, mut visit: impl FnMut(Place)) {
        let (mut place, mut rest) = (self.first, self.plain.as_slice());
        while let Some(at) = sought.find(rest) {
            let (before, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            let ended = memchr::memchr_iter(END, before).count();
            place = place.saturating_add(Place::try_from(ended).unwrap_or(Place::MAX));
            visit(place);
            let Some(end) = memchr(END, after) else { return };
            place = place.saturating_add(1);
            rest = after.get(end + 1..).unwrap_or_default();
        }
    }

    /// Calls `visit` with each word.
    pub(super) fn each(&self, mut visit: impl FnMut(Place, &str)) {
        for (place, of_message) in (self.first..).zip(self.plain.split(|byte| *byte == END)) {
            let text = std::str::from_utf8(of_message).unwrap_or_default();
            for word in text.split(SEPARATOR).filter(|word| !word.is_empty()) {
                visit(place, word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_are_found_in_their_messages() {
        let words: Vec<(Place, String)> =
            (0..3000u16).map(|n| (n / 7 * 2, format!("w{}x{n}", n.wrapping_mul(40_503)))).collect();
        let words: Vec<(Place, &str)> = words.iter().map(|(p, word)| (*p, word.as_str())).collect();
        let rows = encode(&words);
        assert!(rows.len() > 2 && rows.iter().all(|(_, row)| row.len() <= ROW_LEN));
        assert_eq!(rows.iter().map(|(count, _)| count).sum::<usize>(), words.len());
        let (mut all, mut found, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for (_, row) in &rows {
            let rare = RareWords::decode(row).unwrap();
            rare.each(|place, word| all.push((place, word.to_owned())));
            rare.find(&memmem::Finder::new("x29"), |place| found.push(place));
            rare.find(&memmem::Finder::new(&format!("\n{}\n", words[6].1)), |p| whole.push(p));
        }
        assert!(all.iter().map(|(place, word)| (*place, word.as_str())).eq(words.iter().copied()));
        let mut expected: Vec<Place> =
            words.iter().filter(|(_, word)| word.contains("x29")).map(|(p, _)| *p).collect();
        expected.dedup();
        found.dedup();
        assert_eq!((found, whole), (expected, vec![words[6].0]));
    }

    #[test]
    fn damaged_rare_words_are_refused() {
        assert!(RareWords::decode(&[]).is_none());
        assert!(RareWords::decode(&[1, 255, 255, 255, 255, 3]).is_none());
        assert!(RareWords::decode(&[1, 9, 0, 0, 0, 3]).is_none());
    }
}
