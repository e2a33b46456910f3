//! The entries of a page as bytes: numbers of variable length, most of them as the difference from
//! the entry before.

use super::Entry;
use crate::clock::Timestamp;
use crate::mailbox::varint;

/// Set beside the system flags of an entry that has keywords.
const HAS_KEYWORDS: u8 = 64;
/// Set beside the system flags of an entry that has a Date field.
const HAS_SENT_DAY: u8 = 128;
const DAY_MILLIS: i64 = 86_400_000;

/// Encodes the entries of a page whose latest change has modseq `changed`.
pub(super) fn encode(entries: &[Entry], changed: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len().saturating_mul(14));
    let (mut uid, mut date) = (0u32, 0i64);
    for entry in entries {
        varint::put(&mut out, u64::from(entry.uid.wrapping_sub(uid)));
        uid = entry.uid;
        let mut bits = entry.bits & !(HAS_KEYWORDS | HAS_SENT_DAY);
        bits |= if entry.keywords == 0 { 0 } else { HAS_KEYWORDS };
        bits |= if entry.sent_day.is_some() { HAS_SENT_DAY } else { 0 };
        out.push(bits);
        if entry.keywords != 0 {
            varint::put(&mut out, entry.keywords);
        }
        varint::put(&mut out, changed.wrapping_sub(entry.modseq));
        varint::put(&mut out, entry.size);
        let internal = entry.internal_date.0.cast_signed();
        varint::put_signed(&mut out, internal.wrapping_sub(date));
        date = internal;
        if let Some(day) = entry.sent_day {
            varint::put_signed(&mut out, day.wrapping_sub(internal.div_euclid(DAY_MILLIS)));
        }
    }
    out
}

/// Decodes what [`encode`] wrote; `None` if it is damaged.
pub(super) fn decode(mut bytes: &[u8], changed: u64) -> Option<Vec<Entry>> {
    let mut entries = Vec::with_capacity(super::PAGE_LEN);
    let (mut uid, mut date) = (0u32, 0i64);
    while !bytes.is_empty() {
        uid = uid.wrapping_add(u32::try_from(varint::take(&mut bytes)?).ok()?);
        let (bits, rest) = bytes.split_first()?;
        bytes = rest;
        let keywords = if bits & HAS_KEYWORDS == 0 { 0 } else { varint::take(&mut bytes)? };
        let modseq = changed.wrapping_sub(varint::take(&mut bytes)?);
        let size = varint::take(&mut bytes)?;
        date = date.wrapping_add(varint::take_signed(&mut bytes)?);
        let sent_day = if bits & HAS_SENT_DAY == 0 {
            None
        } else {
            Some(varint::take_signed(&mut bytes)?.wrapping_add(date.div_euclid(DAY_MILLIS)))
        };
        entries.push(Entry {
            uid,
            modseq,
            bits: bits & !(HAS_KEYWORDS | HAS_SENT_DAY),
            keywords,
            size,
            internal_date: Timestamp(date.cast_unsigned()),
            sent_day,
        });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::page::PAGE_LEN;
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let numbers = (any::<u32>(), any::<u64>(), 0u8..32, any::<u64>(), any::<u64>());
        (numbers, any::<u64>(), any::<Option<i64>>()).prop_map(
            |((uid, modseq, bits, keywords, size), date, sent_day)| {
                let internal_date = Timestamp(date);
                Entry { uid, modseq, bits, keywords, size, internal_date, sent_day }
            },
        )
    }

    proptest! {
        #[test]
        fn page_entries_round_trip_and_fit_a_row(
            entries in prop::collection::vec(entry(), 0..=PAGE_LEN),
            changed in any::<u64>(),
        ) {
            let bytes = encode(&entries, changed);
            prop_assert!(bytes.len() < 4000);
            prop_assert_eq!(decode(&bytes, changed), Some(entries));
        }

        #[test]
        fn damaged_page_entries_are_refused_or_read(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            decode(&bytes, 7);
        }
    }
}
