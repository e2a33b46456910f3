//! The memory that decoding a picture may take.

use super::RenditionError;

/// The memory for the renditions, beside the decoded picture, in bytes: the large one twice, the
/// rows between two sizes, tables of a colour profile.
const RENDITIONS_LEN: u64 = 24 * 1024 * 1024;
/// Memory that stays free for everything else that the node does meanwhile, in bytes.
const KEPT_FREE: u64 = 8 * 1024 * 1024;

/// The free memory at the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    free: Option<u64>,
}

impl Memory {
    /// No limit, as where the system does not say what is free.
    pub const UNLIMITED: Self = Self { free: None };

    /// With `free` bytes of free memory, if that is known.
    pub fn of(free: Option<u64>) -> Self {
        Self { free }
    }

    /// Refuses a picture that takes `needed` bytes while it is decoded.
    pub(super) fn check(self, needed: u64) -> Result<(), RenditionError> {
        let needed = needed.saturating_add(RENDITIONS_LEN);
        match self.free.map(|free| free.saturating_sub(KEPT_FREE)) {
            Some(free) if needed > free => Err(RenditionError::OutOfMemory { needed, free }),
            _ => Ok(()),
        }
    }
}
