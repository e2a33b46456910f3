//! The state that readers, the committer and the checkpointer share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::sealed_rows::SealedRows;
use crate::wal::Mark;

/// State shared by readers and the committer.
pub(super) struct Shared {
    pub(super) rows: SealedRows,
    /// The last record that is durable and visible.
    end: Mutex<Mark>,
    /// The next group must begin a new segment.
    rotate: AtomicBool,
}

impl Shared {
    pub(super) fn new(rows: SealedRows, end: Mark) -> Self {
        Self { rows, end: Mutex::new(end), rotate: AtomicBool::new(false) }
    }

    /// The last record that is durable and visible.
    pub(super) fn end(&self) -> Mark {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_end(&self, end: &Mark) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone_from(end);
    }

    pub(super) fn begin_segment(&self) {
        self.rotate.store(true, Ordering::Relaxed);
    }

    /// True once after [`Shared::begin_segment`].
    pub(super) fn take_rotation(&self) -> bool {
        self.rotate.swap(false, Ordering::Relaxed)
    }
}
