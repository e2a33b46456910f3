//! Asks work that may take long to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{StoreError, stopped};

/// A flag that ends a long start, a snapshot or a check within moments of being raised. Clones
/// share it; it is never lowered.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks whoever looks at it to end.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error once it was raised: looked at between one row, page or group and the next.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.is_raised() { Err(stopped()) } else { Ok(()) }
    }
}
