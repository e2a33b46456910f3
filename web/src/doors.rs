//! The little painted door beside a person's name.

use freehold_core::friends::Friend;

use crate::frame::initial;

/// The house paints: the names people know them by and their colours, the same in light and dark.
/// Their places are kept in profiles, and the style sheet has a class for each.
pub(crate) const PAINTS: [(&str, &str); 7] = [
    ("Slate green", "#3f5a53"),
    ("Harbour blue", "#3d5873"),
    ("Brick", "#84402f"),
    ("Old brass", "#6d5a1e"),
    ("Pewter", "#4f5148"),
    ("Teal", "#276069"),
    ("Mulberry", "#7a3a4d"),
];

/// One of them, whatever the number.
fn paint(number: u8) -> u8 {
    number % PAINTS.len() as u8
}

/// A person's door: an initial on one of the house paints.
#[derive(Clone)]
pub(crate) struct PersonDoor {
    pub(crate) initial: String,
    pub(crate) paint: u8,
}

impl PersonDoor {
    /// The door of somebody called `name`; the paint is chosen by `key`, which stays the same (an
    /// id, an address).
    pub(crate) fn of(name: &str, key: &[u8]) -> Self {
        let first = blake3::hash(key).as_bytes().first().copied().unwrap_or_default();
        Self { initial: initial(name), paint: paint(first) }
    }

    /// A friend's door: in the paint they chose, once it is known.
    pub(crate) fn of_friend(friend: &Friend) -> Self {
        match friend.avatar_colour {
            Some(number) => Self::painted(&friend.name, number),
            None => Self::of(&friend.name, &friend.person.0),
        }
    }

    /// The door of somebody who chose the paint.
    pub(crate) fn painted(name: &str, number: u8) -> Self {
        Self { initial: initial(name), paint: paint(number) }
    }
}
