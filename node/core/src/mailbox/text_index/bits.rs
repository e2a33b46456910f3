//! Ascending numbers as bits (Rice coding): the differences between neighbours, each as a quotient
//! in unary and a remainder of a fixed width. The width is the one that suits the density, so that
//! a list takes about as few bits as it can, and never more than a bit for each possible number.
//!
//! The first four bits are the width. The last byte is filled up with ones, which are no complete
//! difference, so no length is stored.

/// Appends `numbers`, which ascend and are below `universe`.
pub(super) fn encode(out: &mut Vec<u8>, numbers: &[u32], universe: u32) {
    let count = u32::try_from(numbers.len()).unwrap_or(u32::MAX).max(1);
    let density = (universe / count).max(1).ilog2();
    let width = (density.saturating_sub(2)..=density)
        .min_by_key(|width| gaps(numbers).map(|gap| gap >> width).sum::<u32>() + count * width)
        .unwrap_or(0);
    let mut writer = Writer { out, pending: 0, len: 0 };
    writer.put(width, 4);
    for gap in gaps(numbers) {
        let mut ones = gap >> width;
        while ones >= 32 {
            writer.put(u32::MAX, 32);
            ones -= 32;
        }
        // The ones, then the zero that ends them.
        writer.put(u32::MAX << 1, ones + 1);
        writer.put(gap, width);
    }
    let filling = writer.len.wrapping_neg() % 8;
    writer.put(u32::MAX, filling);
}

/// The differences between neighbours, less one.
fn gaps(numbers: &[u32]) -> impl Iterator<Item = u32> {
    let before = std::iter::once(0).chain(numbers.iter().map(|number| number.saturating_add(1)));
    numbers.iter().zip(before).map(|(number, least)| number.saturating_sub(least))
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Bits that are no whole byte yet, the latest the lowest.
    pending: u64,
    /// The number of bits written.
    len: u32,
}

impl Writer<'_> {
    /// Appends the lowest `width` bits of `value`, at most 32 or 33.
    fn put(&mut self, value: u32, width: u32) {
        for at in (0..width).rev() {
            let bit = value.checked_shr(at).unwrap_or(1) & 1;
            self.pending = self.pending << 1 | u64::from(bit);
            self.len = self.len.wrapping_add(1);
            if self.len.is_multiple_of(8) {
                self.out.push(u8::try_from(self.pending & 0xff).unwrap_or(0));
                self.pending = 0;
            }
        }
    }
}

/// The numbers that [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Numbers<'_> {
    let mut reader = Reader { bytes, bits: 0, len: 0 };
    let width = reader.take(4).unwrap_or(0);
    Numbers { reader, width, least: 0 }
}

/// See [`decode`].
pub(super) struct Numbers<'a> {
    reader: Reader<'a>,
    width: u32,
    /// The least value of the next number.
    least: u32,
}

impl Iterator for Numbers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let quotient = self.reader.take_unary()?;
        let remainder = self.reader.take(self.width)?;
        let gap = quotient.checked_shl(self.width)?.checked_add(remainder)?;
        let number = self.least.checked_add(gap)?;
        self.least = number.checked_add(1)?;
        Some(number)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bits, the first the highest; zeros behind them.
    bits: u64,
    /// The number of bits in `bits`.
    len: u32,
}

impl Reader<'_> {
    fn fill(&mut self) {
        while self.len <= 56
            && let Some((byte, rest)) = self.bytes.split_first()
        {
            self.bits |= u64::from(*byte) << (56 - self.len);
            self.len += 8;
            self.bytes = rest;
        }
    }

    /// The next `width` bits, at most 32; `None` if there are fewer.
    fn take(&mut self, width: u32) -> Option<u32> {
        if self.len < width {
            self.fill();
        }
        self.len = self.len.checked_sub(width)?;
        let value = self.bits.checked_shr(64 - width).unwrap_or(0);
        self.bits = self.bits.checked_shl(width).unwrap_or(0);
        u32::try_from(value).ok()
    }

    /// The number of ones before the next zero; `None` if no zero is left.
    fn take_unary(&mut self) -> Option<u32> {
        let mut ones = 0u32;
        loop {
            let found = self.bits.leading_ones();
            ones = ones.checked_add(found)?;
            if found < self.len {
                self.len -= found + 1;
                self.bits = self.bits.checked_shl(found + 1).unwrap_or(0);
                return Some(ones);
            }
            (self.bits, self.len) = (0, 0);
            self.fill();
            if self.len == 0 {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn encoded(numbers: &[u32], universe: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, numbers, universe);
        bytes
    }

    #[test]
    fn encoded_numbers_are_short_at_any_density() {
        let all: Vec<u32> = (0..1024).collect();
        assert!(encoded(&all, 1024).len() <= 129);
        let half: Vec<u32> = (0..1024).filter(|n| n % 2 == 0).collect();
        assert!(encoded(&half, 1024).len() <= 129);
        let few: Vec<u32> = (0..1024).filter(|n| n % 64 == 7).collect();
        assert!(encoded(&few, 1024).len() <= 16);
        assert_eq!(decode(&encoded(&[], 1024)).count(), 0);
        assert_eq!(decode(&[]).count(), 0);
    }

    proptest! {
        #[test]
        fn encoded_numbers_round_trip(
            numbers in prop::collection::btree_set(0u32..20_480, 0..600),
        ) {
            let numbers: Vec<u32> = numbers.into_iter().collect();
            prop_assert_eq!(decode(&encoded(&numbers, 20_480)).collect::<Vec<_>>(), numbers);
        }

        #[test]
        fn dense_numbers_round_trip(left_out in prop::collection::btree_set(0u32..1024, 0..400)) {
            let left_out: BTreeSet<u32> = left_out;
            let numbers: Vec<u32> = (0..1024).filter(|n| !left_out.contains(n)).collect();
            let bytes = encoded(&numbers, 1024);
            prop_assert!(bytes.len() <= 1024 / 8 + 1);
            prop_assert_eq!(decode(&bytes).collect::<Vec<_>>(), numbers);
        }

        #[test]
        fn damaged_numbers_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let numbers: Vec<u32> = decode(&bytes).collect();
            prop_assert!(numbers.is_sorted() && numbers.len() <= bytes.len() * 8);
        }
    }
}
