//! Work that takes long, done off the threads that serve.

use freehold_core::store::StoreError;

use crate::answer::Problem;

/// Runs `work` on a thread of its own and waits for it there.
#[allow(clippy::disallowed_methods, reason = "the helper itself")]
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Unavailable(error.to_string()))?
}
