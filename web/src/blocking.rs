//! Blocking work (file reads and writes, parsing, rendering of large bodies) off the async workers.

use freehold_core::store::StoreError;

/// Runs `work` on tokio's blocking threads and waits for its result.
///
/// # Errors
/// Those of `work`; [`StoreError::Unavailable`] if it panicked or the runtime shuts down.
pub(crate) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StoreError::Unavailable(error.to_string()).into()),
    }
}
