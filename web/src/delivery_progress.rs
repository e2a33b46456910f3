//! The delivery progress under a post of the owner: one tick for each friend, tall if the post has
//! arrived there. The height carries the meaning, so colour is not needed.

use freehold_core::clock::Timestamp;
use freehold_core::delivery_status::DeliveryStatus;

use crate::dates;
use crate::friends::is_online;

/// The most ticks; with more friends each tick counts several.
const TICKS_MAX: usize = 60;
/// The distance between two ticks, in pixels.
const STEP: usize = 4;
/// Number of missing friends that are named.
const NAMED_MAX: usize = 12;

/// The delivery progress as the template draws it.
pub(crate) struct DeliveryProgress {
    /// The tall ticks, as SVG path data.
    pub(crate) arrived_ticks: String,
    /// The short ticks, as SVG path data.
    pub(crate) missing_ticks: String,
    /// The width of the drawing, in pixels.
    pub(crate) width: usize,
    /// Such as "arrived at 37 of 41".
    pub(crate) label: String,
    /// A sentence that names the friends who do not have the post yet.
    pub(crate) missing: String,
}

impl DeliveryProgress {
    /// The progress of one post; `None` if the owner has no friends.
    pub(crate) fn of(status: &DeliveryStatus, now: Timestamp) -> Option<Self> {
        let DeliveryStatus { at, of, missing, held } = status;
        if *of == 0 {
            return None;
        }
        let friends_per_tick = [1, 2, 5, 10, 20, 50, 100]
            .into_iter()
            .find(|count| of.div_ceil(*count) <= TICKS_MAX)
            .unwrap_or(100);
        let (ticks, tall) = (of.div_ceil(friends_per_tick), at / friends_per_tick);
        let drawn = |range: std::ops::Range<usize>, tick: &str| {
            range.map(|n| format!("M{} {tick}", n * STEP + 1)).collect::<String>()
        };
        let label = match (at, missing.len() + held.len()) {
            _ if !held.is_empty() => {
                format!("arrived at {at} of {of}, held back at {}", held.len())
            }
            (0, _) => "setting off".to_owned(),
            (_, 0) => "arrived everywhere".to_owned(),
            _ => format!("arrived at {at} of {of}"),
        };
        Some(Self {
            arrived_ticks: drawn(0..tall, "0v12"),
            missing_ticks: drawn(tall..ticks, "8v4"),
            width: ticks * STEP,
            label,
            missing: missing_sentence(status, now),
        })
    }
}

fn missing_sentence(status: &DeliveryStatus, now: Timestamp) -> String {
    if !status.held.is_empty() {
        let names: Vec<&str> =
            status.held.iter().take(NAMED_MAX).map(|friend| friend.name.as_str()).collect();
        return format!(
            "It came from the future by the clock of {}: it stays hidden there until that hour. \
             Compare the clocks; yours may be ahead.",
            names.join(", ")
        );
    }
    if status.missing.is_empty() {
        return "It is at every friend\u{2019}s house.".to_owned();
    }
    let mut named: Vec<String> = status
        .missing
        .iter()
        .take(NAMED_MAX)
        .map(|friend| match friend.last_seen {
            _ if is_online(friend, now) => format!("{} (awake, so any moment)", friend.name),
            Some(seen) => format!("{} (last heard {})", friend.name, dates::ago(seen, now)),
            None => format!("{} (not reached yet)", friend.name),
        })
        .collect();
    let more = status.missing.len() - named.len();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    format!("Not yet: {}. It goes there as soon as the house answers.", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(at: usize, of: usize) -> DeliveryStatus {
        DeliveryStatus { at, of, ..DeliveryStatus::default() }
    }

    #[test]
    fn each_friend_has_a_tick_up_to_the_limit() {
        let now = Timestamp(0);
        assert!(DeliveryProgress::of(&status(0, 0), now).is_none());
        let few = DeliveryProgress::of(&status(2, 3), now).unwrap();
        assert_eq!(
            (few.arrived_ticks.as_str(), few.missing_ticks.as_str(), few.width),
            ("M1 0v12M5 0v12", "M9 8v4", 12)
        );
        let many = DeliveryProgress::of(&status(500, 500), now).unwrap();
        assert_eq!(
            (many.arrived_ticks.matches('M').count(), many.missing_ticks.as_str()),
            (50, "")
        );
    }
}
