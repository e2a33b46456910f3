//! A flag that ends long work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{StoreError, stopped};

/// A flag that ends a long start, a snapshot or a check within milliseconds after it is raised.
/// Clones share the flag; it is never lowered.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the work to end.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True if the flag was raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails once the flag is raised. Called after each row, page or group.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.is_raised() { Err(stopped()) } else { Ok(()) }
    }
}
