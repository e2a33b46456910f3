//! Work that waits for the disk or keeps a processor busy, away from the threads that serve the
//! network.

use std::io;

use freehold_core::store::StoreError;
use tokio::runtime::Handle;

/// Runs something that blocks.
///
/// # Errors
/// When it panicked, or the runtime is going down.
#[allow(clippy::disallowed_methods, reason = "the helper itself")]
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// Reads the store, whose rows may lie on the disk.
///
/// # Errors
/// What the work says; as [`blocking`], in the store's words.
pub(crate) async fn reading<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    blocking(work).await.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

/// Runs something that computes for long between its awaits: the verification of entries, of an
/// identity log.
///
/// # Errors
/// As [`blocking`].
#[allow(clippy::disallowed_methods, reason = "the helper itself")]
pub(crate) async fn computing<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    let here = Handle::current();
    blocking(move || here.block_on(work)).await
}
