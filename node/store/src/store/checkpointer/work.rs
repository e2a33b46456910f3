//! Work that the committer does for another thread, between two groups.

use std::sync::mpsc::{Receiver, sync_channel};

use super::super::StoreError;
use super::Checkpointer;

/// Work for the committer's thread.
pub(in crate::store) type Work = Box<dyn FnOnce() -> Result<(), StoreError> + Send>;
/// Sends work to the committer, and returns the channel of its result.
pub(super) type SendWork = dyn Fn(Work) -> Receiver<Result<(), StoreError>> + Send + Sync;

impl Checkpointer {
    /// Sets the function that sends work to the committer; set once.
    pub(in crate::store) fn on_work(
        &self,
        send: impl Fn(Work) -> Receiver<Result<(), StoreError>> + Send + Sync + 'static,
    ) {
        let _ = self.send_work.set(Box::new(send));
    }

    /// Sends work to the committer, and returns the channel of its result. The channel is closed
    /// without a result if there is no committer.
    pub(in crate::store) fn send_to_committer(
        &self,
        work: Work,
    ) -> Receiver<Result<(), StoreError>> {
        self.send_work.get().map_or_else(|| sync_channel(1).1, |send| send(work))
    }
}
