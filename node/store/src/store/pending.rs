//! A change that waits for the committer: its function, its result and its reply channel.

use tokio::sync::oneshot;

use super::queue::Job;
use super::{StoreError, Tx};
use crate::hints::Hint;

/// A channel for the result of a change.
pub(super) trait Reply<T>: Send + 'static {
    fn send(self, result: T);
}

impl<T: Send + 'static> Reply<T> for oneshot::Sender<T> {
    fn send(self, result: T) {
        // The caller may have dropped its future; the change is committed all the same.
        let _ = oneshot::Sender::send(self, result);
    }
}

impl<T: Send + 'static> Reply<T> for std::sync::mpsc::SyncSender<T> {
    fn send(self, result: T) {
        let _ = std::sync::mpsc::SyncSender::send(&self, result);
    }
}

/// A change that waits for the committer.
pub(super) struct PendingChange<F, T, E, R> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: R,
}

impl<F, T, E, R> PendingChange<F, T, E, R> {
    pub(super) fn new(work: F, reply: R) -> Self {
        Self { work: Some(work), result: None, reply }
    }
}

impl<F, T, E, R, H> Job<H> for PendingChange<F, T, E, R>
where
    F: FnOnce(&mut Tx<'_, H>) -> Result<T, E> + Send,
    H: Hint,
    T: Send,
    E: From<StoreError> + Send,
    R: Reply<Result<T, E>>,
{
    fn run(&mut self, tx: &mut Tx<'_, H>) -> bool {
        self.result = self.work.take().map(|work| work(tx));
        matches!(self.result, Some(Ok(_)))
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let panicked = || Err(StoreError::Unavailable("the change panicked".into()).into());
        self.reply.send(match outcome {
            Ok(()) => self.result.unwrap_or_else(panicked),
            Err(error) => Err(error.into()),
        });
    }
}
