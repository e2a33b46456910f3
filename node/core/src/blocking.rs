//! Work that blocks, off the async workers: blob reads, file writes, walks over many rows, and
//! parsing of more than 64 KiB.
//!
//! Two busy workers are a whole server on a small machine: one read from a slow disk on each, and
//! nobody is served. This module is the only place that calls `spawn_blocking`; Clippy's
//! `disallowed_methods` refuses it elsewhere, and refuses the blocking calls themselves in the
//! crates that serve the network.

use std::io;

use freehold_store::store::StoreError;
use tokio::runtime::Handle;

/// Why blocking work has no result: it panicked, or the runtime is shutting down.
#[derive(Debug, thiserror::Error)]
#[error("blocking work did not finish: {0}")]
pub struct Unfinished(#[from] tokio::task::JoinError);

impl From<Unfinished> for StoreError {
    fn from(error: Unfinished) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<Unfinished> for io::Error {
    fn from(error: Unfinished) -> Self {
        Self::other(error)
    }
}

/// Runs `work` on a thread that may block. Work goes on to its end even when this future is
/// dropped.
///
/// # Errors
/// [`Unfinished`].
#[allow(clippy::disallowed_methods, reason = "the one place that calls it")]
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// [`blocking`] for work that can fail. Unfinished work fails as an unavailable store.
///
/// # Errors
/// The work's own, and [`StoreError::Unavailable`].
pub async fn try_blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    blocking(work).await.map_err(StoreError::from)?
}

/// [`blocking`] for a future that blocks between its awaits, such as a walk over rows that then
/// commits.
///
/// The thread is held while the future waits: bound the number of callers well below the pool's
/// 512 threads, and never wait in it for other blocking work.
///
/// # Errors
/// [`Unfinished`].
#[allow(clippy::disallowed_methods, reason = "the one place that calls it")]
pub async fn blocking_future<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Unfinished> {
    let runtime = Handle::current();
    blocking(move || runtime.block_on(work)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panicked_work_is_an_unavailable_store() {
        let panicked = try_blocking(|| -> Result<(), StoreError> { panic!("by this test") }).await;
        assert!(matches!(panicked, Err(StoreError::Unavailable(_))), "{panicked:?}");
    }

    #[tokio::test]
    async fn blocking_future_runs_off_the_worker() {
        let worker = std::thread::current().id();
        let thread = blocking_future(async {
            tokio::task::yield_now().await;
            std::thread::current().id()
        });
        assert_ne!(thread.await.unwrap(), worker);
    }
}
