//! The gauge under an own post: a tick per friend, tall where it has arrived. Height tells, not
//! colour alone.

use freehold_core::clock::Timestamp;
use freehold_core::delivery_status::DeliveryStatus;

use crate::dates;
use crate::friends::is_awake;

/// The most ticks; with more friends each tick stands for several.
const TICKS_MAX: usize = 60;
/// From one tick to the next, in pixels.
const STEP: usize = 4;
/// How many of those who are missing are named.
const NAMED_MAX: usize = 12;

/// The gauge as the template draws it.
pub(crate) struct DeliveryProgress {
    /// The tall ticks, as SVG path data.
    pub(crate) tall: String,
    /// The short ticks, as SVG path data.
    pub(crate) short: String,
    /// How wide the drawing is, in pixels.
    pub(crate) width: usize,
    /// "arrived at 37 of 41".
    pub(crate) words: String,
    /// Who is missing, in a sentence.
    pub(crate) missing: String,
}

impl DeliveryProgress {
    /// The gauge of one post; nothing while there are no friends it could arrive at.
    pub(crate) fn of(arrivals: &DeliveryStatus, now: Timestamp) -> Option<Self> {
        let DeliveryStatus { at, of, missing } = arrivals;
        if *of == 0 {
            return None;
        }
        let each = [1, 2, 5, 10, 20, 50, 100]
            .into_iter()
            .find(|each| of.div_ceil(*each) <= TICKS_MAX)
            .unwrap_or(100);
        let (ticks, tall) = (of.div_ceil(each), at / each);
        let drawn = |range: std::ops::Range<usize>, tick: &str| {
            range.map(|n| format!("M{} {tick}", n * STEP + 1)).collect::<String>()
        };
        let words = match (at, missing.len()) {
            (0, _) => "setting off".to_owned(),
            (_, 0) => "arrived everywhere".to_owned(),
            _ => format!("arrived at {at} of {of}"),
        };
        Some(Self {
            tall: drawn(0..tall, "0v12"),
            short: drawn(tall..ticks, "8v4"),
            width: ticks * STEP,
            words,
            missing: sentence(arrivals, now),
        })
    }
}

fn sentence(arrivals: &DeliveryStatus, now: Timestamp) -> String {
    if arrivals.missing.is_empty() {
        return "It is at every friend\u{2019}s house.".to_owned();
    }
    let mut named: Vec<String> = arrivals
        .missing
        .iter()
        .take(NAMED_MAX)
        .map(|friend| match friend.last_seen {
            _ if is_awake(friend, now) => format!("{} (awake, so any moment)", friend.name),
            Some(seen) => format!("{} (last heard {})", friend.name, dates::ago(seen, now)),
            None => format!("{} (not reached yet)", friend.name),
        })
        .collect();
    let more = arrivals.missing.len() - named.len();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    format!("Not yet: {}. It goes there as soon as the house answers.", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(at: usize, of: usize) -> DeliveryStatus {
        DeliveryStatus { at, of, missing: Vec::new() }
    }

    #[test]
    fn there_is_a_tick_per_friend_until_there_are_too_many() {
        let now = Timestamp(0);
        assert!(DeliveryProgress::of(&arrivals(0, 0), now).is_none());
        let few = DeliveryProgress::of(&arrivals(2, 3), now).unwrap();
        assert_eq!(
            (few.tall.as_str(), few.short.as_str(), few.width),
            ("M1 0v12M5 0v12", "M9 8v4", 12)
        );
        let many = DeliveryProgress::of(&arrivals(500, 500), now).unwrap();
        assert_eq!((many.tall.matches('M').count(), many.short.as_str()), (50, ""));
    }
}
