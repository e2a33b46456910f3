//! A change on its way through the committer: the function, what it returned, and whom to tell.

use tokio::sync::oneshot;

use super::committer::Job;
use super::{StoreError, Tx};
use crate::hints::Hint;

/// Whom to answer.
pub(super) trait Reply<T>: Send + 'static {
    fn send(self, answer: T);
}

impl<T: Send + 'static> Reply<T> for oneshot::Sender<T> {
    fn send(self, answer: T) {
        // Whoever asked may have gone; the change stands.
        let _ = oneshot::Sender::send(self, answer);
    }
}

impl<T: Send + 'static> Reply<T> for std::sync::mpsc::SyncSender<T> {
    fn send(self, answer: T) {
        let _ = std::sync::mpsc::SyncSender::send(&self, answer);
    }
}

/// A change that waits for the committer, and whoever waits for it.
pub(super) struct Waiter<F, T, E, R> {
    work: Option<F>,
    done: Option<Result<T, E>>,
    reply: R,
}

impl<F, T, E, R> Waiter<F, T, E, R> {
    pub(super) fn new(work: F, reply: R) -> Self {
        Self { work: Some(work), done: None, reply }
    }
}

impl<F, T, E, R, H> Job<H> for Waiter<F, T, E, R>
where
    F: FnOnce(&mut Tx<'_, H>) -> Result<T, E> + Send,
    H: Hint,
    T: Send,
    E: From<StoreError> + Send,
    R: Reply<Result<T, E>>,
{
    fn run(&mut self, tx: &mut Tx<'_, H>) -> bool {
        self.done = self.work.take().map(|work| work(tx));
        matches!(self.done, Some(Ok(_)))
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let panicked = || Err(StoreError::Unavailable("the change panicked".into()).into());
        self.reply.send(match outcome {
            Ok(()) => self.done.unwrap_or_else(panicked),
            Err(error) => Err(error.into()),
        });
    }
}
