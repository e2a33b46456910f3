//! Admission of changes by free space.

use std::time::{Duration, Instant};

use crate::space::FreeSpace;

/// How often free space is read from the file system; little can be written in between.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// How much free space there is for changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Headroom {
    /// Every change is admitted.
    #[default]
    Enough,
    /// Only changes that are small (4 KiB without blobs), remove at least as much as they write, or
    /// are essential.
    Low,
    /// The reserve is in use: essential changes, and of the others only those that delete a row or
    /// free space later.
    None,
}

/// Decides which changes are admitted.
pub(super) struct AdmissionControl {
    space: Option<FreeSpace>,
    checked: Option<Instant>,
    headroom: Headroom,
}

impl AdmissionControl {
    pub(super) fn new(space: Option<FreeSpace>) -> Self {
        Self { space, checked: None, headroom: Headroom::Enough }
    }

    /// The current headroom, at most [`CHECK_EVERY`] old.
    pub(super) fn headroom(&mut self) -> Headroom {
        let Some(space) = &self.space else { return Headroom::Enough };
        if self.checked.is_none_or(|checked| checked.elapsed() >= CHECK_EVERY) {
            self.checked = Some(Instant::now());
            self.headroom = match space.check() {
                Ok(()) => Headroom::Enough,
                Err(_) if space.has_reserve() => Headroom::Low,
                Err(_) => Headroom::None,
            };
        }
        self.headroom
    }

    /// Releases the reserve for the group that is being committed; false if there is none.
    pub(super) fn release_reserve(&mut self) -> bool {
        let released = self.space.as_ref().is_some_and(FreeSpace::release_reserve);
        if released {
            self.headroom = Headroom::None;
        }
        released
    }
}
