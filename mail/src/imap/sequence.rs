//! Sets of sequence numbers or UIDs, `2,4:7,*` (RFC 3501 section 9, `sequence-set`).

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

/// A set as sent. `*` is resolved when the set is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set(pub(crate) Vec<(End, End)>);

impl Set {
    /// The set as ascending, disjoint ranges, with `*` resolved to `largest`. When no number is in
    /// use (`largest` is zero), `*` matches nothing.
    pub(crate) fn ranges(&self, largest: u32) -> Vec<(u32, u32)> {
        let number = |end: End| match end {
            End::Number(number) => number,
            End::Largest => largest,
        };
        let mut ranges: Vec<(u32, u32)> = self
            .0
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
        Self(
            self.ranges(largest)
                .into_iter()
                .map(|(from, to)| (End::Number(from), End::Number(to)))
                .collect(),
        )
    }

    /// True if a resolved set contains a number.
    pub(crate) fn contains(&self, number: u32) -> bool {
        let behind = |end: &End| matches!(end, End::Number(end) if *end < number);
        let at = self.0.partition_point(|(_, to)| behind(to));
        self.0.get(at).is_some_and(|(from, _)| matches!(from, End::Number(from) if *from <= number))
    }
}

/// Formats ascending numbers with ranges, such as `1:3,7`. Empty for no numbers.
pub(crate) fn write(numbers: &[u32]) -> String {
    let mut out = String::new();
    let mut numbers = numbers.iter().copied().peekable();
    while let Some(from) = numbers.next() {
        let mut to = from;
        while numbers.next_if(|next| *next == to.saturating_add(1)).is_some() {
            to = to.saturating_add(1);
        }
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
        let set = Set(vec![(N(9), N(4)), (N(1), N(1)), (N(2), N(3)), (Largest, Largest)]);
        assert_eq!(set.ranges(12), [(1, 9), (12, 12)]);
        assert_eq!(Set(vec![(N(20), Largest)]).ranges(5), [(5, 20)]);
        assert_eq!(Set(vec![(Largest, Largest)]).ranges(0), []);
        assert_eq!(Set(vec![(N(1), Largest)]).ranges(0), []);
        let resolved = set.resolved(12);
        assert_eq!(
            [0, 1, 9, 10, 12, 13].map(|number| resolved.contains(number)),
            [false, true, true, false, true, false]
        );
    }

    #[test]
    fn number_runs_become_ranges() {
        assert_eq!(write(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(write(&[]), "");
        assert_eq!(write(&[u32::MAX]), "4294967295");
    }
}
