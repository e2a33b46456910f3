//! The little painted door beside a person's name.

use crate::frame::initial;

/// How many house paints there are; the style sheet has a class for each.
const PAINTS: u8 = 7;

/// A person's door: an initial on one of the house paints.
#[derive(Clone)]
pub(crate) struct PersonDoor {
    pub(crate) initial: String,
    pub(crate) paint: u8,
}

impl PersonDoor {
    /// The door of somebody called `name`; the paint is chosen by `key`, which stays the same (an id, an address).
    pub(crate) fn of(name: &str, key: &[u8]) -> Self {
        let first = blake3::hash(key).as_bytes().first().copied().unwrap_or_default();
        Self { initial: initial(name), paint: first % PAINTS }
    }

    /// The door of somebody who chose the paint.
    pub(crate) fn painted(name: &str, paint: u8) -> Self {
        Self { initial: initial(name), paint: paint % PAINTS }
    }
}
