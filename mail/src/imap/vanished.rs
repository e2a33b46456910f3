//! VANISHED (RFC 7162 3.2.10): the UIDs of expunged messages, for clients that enabled QRESYNC.
//!
//! The expunges of a folder are remembered for a number of its changes. A client that knows a state
//! before that is sent every UID that it may know and that has no message (RFC 7162 3.2.5.1).

use std::ops::RangeInclusive;

use freehold_core::mailbox::Changes;
use freehold_mime::imap::Printer;

use super::cursor::{Cursor, SyntaxError};
use super::selected::Selected;
use super::sequence::{self, End, Set};

/// Ranges in one response: many programs limit the length of a line.
const RANGES_PER_LINE: usize = 400;

/// The state of a folder that a client says it knows, in SELECT or UID FETCH.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The UIDs that it asks about; `None` for all.
    pub(crate) uids: Option<Set>,
    /// Pairs of sequence number and UID that were valid at the modseq (RFC 7162 3.2.5.2).
    pub(crate) pairs: Option<Pairs>,
}

/// Sequence numbers and their UIDs, of the same number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pairs {
    numbers: Vec<(u32, u32)>,
    uids: Vec<(u32, u32)>,
}

impl Pairs {
    /// `(known-sequence-set known-uid-set)`.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.expect("(", "the pairs of numbers and UIDs are missing")?;
        let numbers = known_set(cursor)?.ranges(u32::MAX);
        cursor.space()?;
        let uids = known_set(cursor)?.ranges(u32::MAX);
        cursor.expect(")", "the pairs of numbers and UIDs are not closed")?;
        let count = |ranges: &[(u32, u32)]| -> u64 {
            ranges.iter().map(|(from, to)| u64::from(to.saturating_sub(*from)) + 1).sum()
        };
        if count(&numbers) != count(&uids) {
            return Err(SyntaxError("there are not as many UIDs as numbers"));
        }
        Ok(Self { numbers, uids })
    }

    /// The last UID up to which the client has missed no expunge, zero if there is none: its number
    /// is still the same. No number above the folder's length is looked at.
    fn unchanged_up_to(&self, selected: &Selected) -> u32 {
        let numbers = self.numbers.iter().flat_map(|(from, to)| *from..=*to);
        let uids = self.uids.iter().flat_map(|(from, to)| *from..=*to);
        let same = numbers.zip(uids).take_while(|(at, uid)| selected.number_of(*uid) == Some(*at));
        same.last().map_or(0, |(_, uid)| uid)
    }
}

/// `known-uids`: a set without `*` and `$` (RFC 7162 7).
pub(crate) fn known_set(cursor: &mut Cursor<'_>) -> Result<Set, SyntaxError> {
    let set = cursor.set()?;
    let is_open = |(from, to): &(End, End)| *from == End::Largest || *to == End::Largest;
    if set.has_saved || set.ranges.iter().any(is_open) {
        return Err(SyntaxError("a set of known messages has no * and no $"));
    }
    Ok(set)
}

/// The UIDs below `uid_next` that have vanished, as ascending ranges. Messages that still have a
/// sequence number in this session are not among them: their expunge is still to be reported.
pub(crate) fn earlier(
    selected: &Selected,
    changes: &Changes,
    known: &Known,
    uid_next: u32,
) -> Vec<(u32, u32)> {
    let last = uid_next.saturating_sub(1);
    let ranges = known.uids.as_ref().map_or_else(|| vec![(1, last)], |set| set.ranges(last));
    if !changes.is_incomplete {
        let mut vanished = changes.vanished.clone();
        vanished.retain(|uid| selected.number_of(*uid).is_none() && is_in(&ranges, *uid));
        vanished.sort_unstable();
        vanished.dedup();
        return sequence::runs(&vanished);
    }
    let above = known.pairs.as_ref().map_or(0, |pairs| pairs.unchanged_up_to(selected));
    let mut vanished = Vec::new();
    for (from, to) in ranges {
        let from = from.max(above.saturating_add(1));
        selected.gaps(from..=to.min(last), &mut vanished);
    }
    vanished
}

/// True if one of the ascending ranges has this number.
pub(crate) fn is_in(ranges: &[(u32, u32)], number: u32) -> bool {
    let at = ranges.partition_point(|(_, to)| *to < number);
    ranges.get(at).is_some_and(|(from, _)| *from <= number)
}

/// Adds the numbers of a range that are not in `present`, which is ascending.
pub(crate) fn gaps(present: &[u32], range: RangeInclusive<u32>, out: &mut Vec<(u32, u32)>) {
    let (mut from, end) = range.into_inner();
    let start = present.partition_point(|uid| *uid < from);
    for uid in present.get(start..).unwrap_or_default().iter().copied() {
        if uid > end || from > end {
            break;
        }
        if from < uid {
            out.push((from, uid.saturating_sub(1)));
        }
        let Some(next) = uid.checked_add(1) else { return };
        from = next;
    }
    if from <= end {
        out.push((from, end));
    }
}

/// Prints VANISHED responses: with `(EARLIER)` those of before the session, which change no
/// sequence number.
pub(crate) fn print(out: &mut Printer, ranges: &[(u32, u32)], is_earlier: bool) {
    let start = if is_earlier { "* VANISHED (EARLIER) " } else { "* VANISHED " };
    for ranges in ranges.chunks(RANGES_PER_LINE) {
        out.raw(start).line(sequence::write_runs(ranges));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_the_numbers_without_a_message() {
        let of = |present: &[u32], range| {
            let mut out = Vec::new();
            gaps(present, range, &mut out);
            out
        };
        assert_eq!(of(&[2, 3, 7], 1..=9), [(1, 1), (4, 6), (8, 9)]);
        assert_eq!(of(&[2, 3, 7], 2..=3), []);
        assert_eq!(of(&[2, 3, 7], 4..=6), [(4, 6)]);
        assert_eq!(of(&[], 5..=5), [(5, 5)]);
        assert_eq!(of(&[u32::MAX], 1..=u32::MAX), [(1, u32::MAX - 1)]);
    }

    #[test]
    fn pairs_of_unequal_length_are_refused() {
        let parse = |text: &str| Pairs::parse(&mut Cursor::new(text.as_bytes()));
        assert!(parse("(1,3 7,9)").is_ok());
        assert!(parse("(1:4294967295 1:4294967295)").is_ok());
        for text in ["(1,3 7)", "(1:* 1:*)", "($ 1)", "(1 2", "()", "1 2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
