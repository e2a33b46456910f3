//! Avatars: the first letter of a person's name on one of seven colours.

use freehold_core::friends::Friend;

/// The colours and the names people know them by; the same in the light and the dark scheme.
/// Profiles store an index into this table, and the style sheet has the class `p<index>` for each.
pub(crate) const AVATAR_COLOURS: [(&str, &str); 7] = [
    ("Slate green", "#3f5a53"),
    ("Harbour blue", "#3d5873"),
    ("Brick", "#84402f"),
    ("Old brass", "#6d5a1e"),
    ("Pewter", "#4f5148"),
    ("Teal", "#276069"),
    ("Mulberry", "#7a3a4d"),
];

/// A valid index for any number.
fn colour_index(number: u8) -> u8 {
    number % AVATAR_COLOURS.len() as u8
}

/// The first letter of a name, in upper case; `?` if the name has none.
pub(crate) fn initial(name: &str) -> String {
    name.chars()
        .find(|c| c.is_alphanumeric())
        .map_or("?".to_owned(), |c| c.to_uppercase().collect())
}

/// A person's avatar.
#[derive(Clone)]
pub(crate) struct Avatar {
    pub(crate) initial: String,
    /// Index into [`AVATAR_COLOURS`].
    pub(crate) colour: u8,
}

impl Avatar {
    /// The avatar of somebody whose colour is not known. `key` (an id, an address) chooses the
    /// colour, so it stays the same.
    pub(crate) fn of(name: &str, key: &[u8]) -> Self {
        let first = blake3::hash(key).as_bytes().first().copied().unwrap_or_default();
        Self::with_colour(name, first)
    }

    /// A friend's avatar, in the colour the friend chose once it is known.
    pub(crate) fn of_friend(friend: &Friend) -> Self {
        match friend.avatar_colour {
            Some(number) => Self::with_colour(&friend.name, number),
            None => Self::of(&friend.name, &friend.person.0),
        }
    }

    /// The avatar of somebody who chose the colour `number`.
    pub(crate) fn with_colour(name: &str, number: u8) -> Self {
        Self { initial: initial(name), colour: colour_index(number) }
    }
}
