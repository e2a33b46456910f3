//! The bytes from other people that are on the disk while they arrive, before a share is charged
//! for them. In memory only: what had not arrived at a stop is deleted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bytes that arrive, by the name of their share. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Arriving(Arc<Mutex<HashMap<Vec<u8>, u64>>>);

impl Arriving {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
