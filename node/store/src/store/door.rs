//! How much room there is, asked of the disk now and then.

use std::time::{Duration, Instant};

use super::Room;
use crate::space::FreeSpace;

/// How often the disk is asked; in between little can be written.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Decides what is let in.
pub(super) struct Door {
    space: Option<FreeSpace>,
    asked: Option<Instant>,
    found: Room,
    /// The disk was full and the reserve given up: only what makes room is let in, until there is
    /// room for all.
    pressed: bool,
}

impl Door {
    pub(super) fn new(space: Option<FreeSpace>) -> Self {
        Self { space, asked: None, found: Room::Enough, pressed: false }
    }

    /// How much room there is.
    pub(super) fn room(&mut self) -> Room {
        let Some(space) = &self.space else { return Room::Enough };
        if self.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
            self.asked = Some(Instant::now());
            self.found = match space.check() {
                Ok(()) => {
                    self.pressed = false;
                    Room::Enough
                }
                Err(_) if self.pressed => Room::None,
                Err(_) => Room::Low,
            };
        }
        self.found
    }

    /// Gives up the reserve for what is being committed; false if there is none.
    pub(super) fn give_up_reserve(&mut self) -> bool {
        let given = self.space.as_ref().is_some_and(FreeSpace::give_up_reserve);
        if given {
            self.pressed = true;
            self.found = Room::None;
        }
        given
    }
}
