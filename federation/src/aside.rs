//! Work that waits for the disk or keeps a processor busy, away from the threads that serve the network.

use std::io;

use tokio::runtime::Handle;

/// Runs something that blocks.
///
/// # Errors
/// When it panicked, or the runtime is going down.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// Runs something that computes for long between its awaits: the verification of entries, of an identity log.
///
/// # Errors
/// As [`blocking`].
pub(crate) async fn computing<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let here = Handle::current();
    blocking(move || here.block_on(work)).await
}
