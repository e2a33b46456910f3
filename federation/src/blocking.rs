//! Work that never runs on an async worker: blob reads, file writes, store reads that may be long,
//! and parsing or verification of more than 64 KiB.

use std::io;

use freehold_core::store::StoreError;
use tokio::runtime::Handle;

/// Runs blocking work on one of tokio's blocking threads.
///
/// # Errors
/// When the work panicked, or the runtime is shutting down.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// Runs reads of the store, whose rows may have to come from the disk.
///
/// # Errors
/// The work's own; [`StoreError::Unavailable`] where [`run`] fails.
pub(crate) async fn read_store<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    run(work).await.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

/// Runs a future that computes for long between its awaits: the verification of entries or of an
/// identity log.
///
/// # Errors
/// As [`run`].
pub(crate) async fn run_future<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    let runtime = Handle::current();
    run(move || runtime.block_on(work)).await
}
