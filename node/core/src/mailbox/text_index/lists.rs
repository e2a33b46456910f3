//! Lists of numbers in rows, each found by its own number: the messages that have a word, the
//! messages or rows that have a gram.
//!
//! In a row each list has the difference of its number from the one before it, its length in bytes
//! and the list ([`super::bits`]). The number of the first list of a row is elsewhere.

use super::bits;
use crate::mailbox::varint;

/// The most bytes in one row.
pub(super) const ROW_LEN: usize = 4000;

/// Writes lists in the order of their numbers.
pub(super) struct ListWriter {
    /// Of how many numbers those in the lists are.
    universe: u32,
    /// The number of each row's first list, and the row.
    pub(super) rows: Vec<(u32, Vec<u8>)>,
    before: u32,
    encoded: Vec<u8>,
}

impl ListWriter {
    pub(super) fn new(universe: u32) -> Self {
        Self { universe, rows: Vec::new(), before: 0, encoded: Vec::new() }
    }

    /// Writes a list, which ascends; one that is empty is left out.
    pub(super) fn push(&mut self, number: u32, list: &[u32]) {
        if list.is_empty() {
            return;
        }
        self.encoded.clear();
        bits::encode(&mut self.encoded, list, self.universe);
        // Room for the two numbers before the list.
        let needed = self.encoded.len() + 8;
        if self.rows.last().is_none_or(|(_, row)| row.len() + needed > ROW_LEN) {
            self.rows.push((number, Vec::with_capacity(ROW_LEN)));
            self.before = number;
        }
        let Some((_, row)) = self.rows.last_mut() else { return };
        varint::put(row, u64::from(number.wrapping_sub(self.before)));
        varint::put(row, self.encoded.len() as u64);
        row.extend_from_slice(&self.encoded);
        self.before = number;
    }
}

/// Calls `visit` with the number and the bytes of each list of a row, the first of which has the
/// number `first`, until it returns false.
pub(super) fn each_list<'a>(
    first: u32,
    mut row: &'a [u8],
    mut visit: impl FnMut(u32, &'a [u8]) -> bool,
) {
    let mut number = first;
    while !row.is_empty() {
        let mut next = || u32::try_from(varint::take(&mut row)?).ok();
        let (Some(gap), Some(len)) = (next(), next()) else { return };
        let Some((list, rest)) = row.split_at_checked(len as usize) else { return };
        (number, row) = (number.saturating_add(gap), rest);
        if !visit(number, list) {
            return;
        }
    }
}

/// The list with a number in a row.
pub(super) fn list_in(first: u32, row: &[u8], wanted: u32) -> Option<&[u8]> {
    let mut found = None;
    each_list(first, row, |number, list| {
        if number == wanted {
            found = Some(list);
        }
        number < wanted
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_found_by_their_number() {
        let list = |number: u32| (0..1024).step_by(number as usize % 97 + 1).collect::<Vec<u32>>();
        let mut writer = ListWriter::new(1024);
        for number in (3..5000).step_by(7) {
            writer.push(number, &list(number));
            writer.push(number + 1, &[]);
        }
        assert!(writer.rows.len() > 3 && writer.rows.iter().all(|(_, row)| row.len() <= ROW_LEN));
        for number in [3, 10, 2999 / 7 * 7 + 3, 4987] {
            let (first, row) = writer.rows.iter().rfind(|(first, _)| *first <= number).unwrap();
            let found = list_in(*first, row, number).unwrap();
            assert_eq!(bits::decode(found).collect::<Vec<_>>(), list(number), "{number}");
            assert_eq!(list_in(*first, row, number + 1), None);
        }
    }
}
