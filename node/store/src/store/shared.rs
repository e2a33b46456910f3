//! The state that readers, the committer and the checkpointer share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::packs::RunningPlaces;
use super::sealed_rows::SealedRows;
use crate::wal::Mark;

/// State shared by readers and the committer.
pub(super) struct Shared {
    pub(super) rows: SealedRows,
    /// The last record that is durable and visible.
    end: Mutex<Mark>,
    /// Locked while a group becomes visible and until `end` says so.
    applying: Mutex<()>,
    /// The next group must begin a new segment.
    rotate: AtomicBool,
    /// The error that stopped the log.
    log_failure: Mutex<Option<String>>,
    /// The reason why this store was opened read-only.
    read_only: Option<String>,
}

impl Shared {
    pub(super) fn new(rows: SealedRows, end: Mark) -> Self {
        Self {
            rows,
            end: Mutex::new(end),
            applying: Mutex::default(),
            rotate: AtomicBool::new(false),
            log_failure: Mutex::default(),
            read_only: None,
        }
    }

    /// The state of a store that refuses all changes for this reason.
    pub(super) fn read_only(rows: SealedRows, end: Mark, reason: String) -> Self {
        Self { read_only: Some(reason), ..Self::new(rows, end) }
    }

    /// Lets the blobs find their places in these rows.
    pub(super) fn find_places(self: &Arc<Self>) {
        if let Some(blobs) = self.rows.blobs() {
            blobs.set_place_rows(Arc::new(RunningPlaces(Arc::downgrade(self))));
        }
    }

    /// The reason why the store was opened read-only; `None` if it was not.
    pub(super) fn read_only_reason(&self) -> Option<&str> {
        self.read_only.as_deref()
    }

    /// The last record that is durable and visible.
    pub(super) fn end(&self) -> Mark {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As [`Shared::end`], but not while a group is being made visible: every row that was read
    /// before is of this record or of an earlier one.
    pub(super) fn settled_end(&self) -> Mark {
        let _applying = self.applying();
        self.end()
    }

    /// Locked by the committer while a group becomes visible and until `end` says so.
    pub(super) fn applying(&self) -> MutexGuard<'_, ()> {
        self.applying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_end(&self, end: &Mark) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone_from(end);
    }

    /// The error that stopped the log; `None` if it accepts changes.
    pub(super) fn log_failure(&self) -> Option<String> {
        self.log_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_log_failure(&self, failure: Option<&str>) {
        let mut stored = self.log_failure.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.as_deref() != failure {
            *stored = failure.map(str::to_owned);
        }
    }

    pub(super) fn begin_segment(&self) {
        self.rotate.store(true, Ordering::Relaxed);
    }

    /// True once after [`Shared::begin_segment`].
    pub(super) fn take_rotation(&self) -> bool {
        self.rotate.swap(false, Ordering::Relaxed)
    }
}
