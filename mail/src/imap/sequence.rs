//! Sets of sequence numbers or UIDs, `2,4:7,*` (RFC 3501 section 9, `sequence-set`), and `$`, the
//! result of the last SEARCH that saved one (RFC 5182 3).

/// The numbers by which a command names messages: UIDs with `UID` in front, else sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// Sequence numbers.
    Sequence,
    /// UIDs.
    Uid,
}

/// Most ranges in one set.
pub(crate) const RANGES_MAX: usize = 8_192;

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A number, never zero.
    Number(u32),
    /// `*`: the largest number in use.
    Largest,
}

/// A set as sent. `*` and `$` are resolved when the set is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) ranges: Vec<(End, End)>,
    /// `$` is in the set.
    pub(crate) has_saved: bool,
}

impl Set {
    /// True if a message that was expunged meanwhile is no error: UIDs may lack a message (RFC 3501
    /// 6.4.8), and an expunged message leaves `$` by itself (RFC 5182 2.1).
    pub(crate) fn may_lack_messages(&self, by: Numbering) -> bool {
        by == Numbering::Uid || (self.has_saved && self.ranges.is_empty())
    }

    /// The set as ascending, disjoint ranges, with `*` resolved to `largest`. When no number is in
    /// use (`largest` is zero), `*` matches nothing.
    pub(crate) fn ranges(&self, largest: u32) -> Vec<(u32, u32)> {
        let number = |end: End| match end {
            End::Number(number) => number,
            End::Largest => largest,
        };
        let mut ranges: Vec<(u32, u32)> = self
            .ranges
            .iter()
            .filter(|(a, b)| largest > 0 || (*a != End::Largest && *b != End::Largest))
            .map(|(a, b)| (number(*a), number(*b)))
            .map(|(a, b)| if a <= b { (a, b) } else { (b, a) })
            .map(|(a, b)| (a.max(1), b))
            .filter(|(a, b)| a <= b)
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match merged.last_mut() {
                Some((_, end)) if from <= end.saturating_add(1) => *end = (*end).max(to),
                _ => merged.push((from, to)),
            }
        }
        merged
    }

    /// The same set in order and with `*` resolved to `largest`, as `contains` needs it.
    pub(crate) fn resolved(&self, largest: u32) -> Self {
        let number = |(from, to)| (End::Number(from), End::Number(to));
        Self { ranges: self.ranges(largest).into_iter().map(number).collect(), has_saved: false }
    }

    /// The resolved set of some numbers, which are in order.
    pub(crate) fn of(numbers: &[u32]) -> Self {
        let mut ranges: Vec<(End, End)> = Vec::new();
        let mut last = None;
        for number in numbers.iter().copied() {
            match ranges.last_mut() {
                Some((_, to)) if last == number.checked_sub(1) => *to = End::Number(number),
                _ => ranges.push((End::Number(number), End::Number(number))),
            }
            last = Some(number);
        }
        Self { ranges, has_saved: false }
    }

    /// True if a resolved set contains a number.
    pub(crate) fn contains(&self, number: u32) -> bool {
        let behind = |end: &End| matches!(end, End::Number(end) if *end < number);
        let at = self.ranges.partition_point(|(_, to)| behind(to));
        let is_begun = |(from, _): &(End, End)| matches!(from, End::Number(n) if *n <= number);
        self.ranges.get(at).is_some_and(is_begun)
    }
}

/// Formats ascending numbers with ranges, such as `1:3,7`. Empty for no numbers.
pub(crate) fn write(numbers: &[u32]) -> String {
    write_runs(&runs(numbers))
}

/// Ascending numbers as ranges.
pub(crate) fn runs(numbers: &[u32]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers.iter().copied() {
        match runs.last_mut() {
            Some((_, to)) if to.checked_add(1) == Some(number) => *to = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

/// Formats ranges.
pub(crate) fn write_runs(runs: &[(u32, u32)]) -> String {
    let mut out = String::new();
    for (from, to) in runs.iter().copied() {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&from.to_string());
        if to > from {
            out.push(':');
            out.push_str(&to.to_string());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_set_is_ordered_and_merged() {
        use End::{Largest, Number as N};
        let set = |ranges| Set { ranges, has_saved: false };
        let many = set(vec![(N(9), N(4)), (N(1), N(1)), (N(2), N(3)), (Largest, Largest)]);
        assert_eq!(many.ranges(12), [(1, 9), (12, 12)]);
        assert_eq!(set(vec![(N(20), Largest)]).ranges(5), [(5, 20)]);
        assert_eq!(set(vec![(Largest, Largest)]).ranges(0), []);
        assert_eq!(set(vec![(N(1), Largest)]).ranges(0), []);
        let resolved = many.resolved(12);
        assert_eq!(
            [0, 1, 9, 10, 12, 13].map(|number| resolved.contains(number)),
            [false, true, true, false, true, false]
        );
    }

    #[test]
    fn set_of_numbers_contains_exactly_these_numbers() {
        let set = Set::of(&[1, 2, 3, 7, u32::MAX]);
        assert_eq!(set.ranges.len(), 3);
        let is_in = [0, 1, 3, 4, 7, 8, u32::MAX].map(|number| set.contains(number));
        assert_eq!(is_in, [false, true, true, false, true, false, true]);
        assert!(!Set::of(&[]).contains(1));
    }

    #[test]
    fn number_runs_become_ranges() {
        assert_eq!(write(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(write(&[]), "");
        assert_eq!(write(&[u32::MAX]), "4294967295");
    }
}
