//! The orderly end of the connections: stop accepting, let sessions end within a timeout, then cut
//! off what is left.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one server and the two signals that end them. Cheap to clone; clones end together.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    stop: CancellationToken,
    halt: CancellationToken,
    tasks: TaskTracker,
}

impl Drain {
    /// A server that runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `work` until it ends or the drain timeout has passed.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let halt = self.halt.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = halt.cancelled() => {}
            }
        });
    }

    /// Completes when the server stops: accept loops return, sessions end between two requests.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Completes when the drain timeout has passed: for work on other threads, which
    /// [`Drain::spawn`] cannot cut off.
    pub async fn halted(&self) {
        self.halt.cancelled().await;
    }

    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Tells all tasks to stop, waits up to `limit` for them, then cuts off the rest and waits for
    /// these. Returns whether all ended in time.
    pub async fn finish(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(limit, self.tasks.wait()).await.is_ok();
        self.halt.cancel();
        self.tasks.wait().await;
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn session_that_stops_in_time_is_not_cut() {
        let drain = Drain::new();
        let (sender, ended) = tokio::sync::oneshot::channel();
        let session = drain.clone();
        drain.spawn(async move {
            session.stopping().await;
            tokio::task::yield_now().await;
            sender.send(()).unwrap();
        });
        assert!(drain.finish(Duration::from_secs(60)).await);
        ended.await.unwrap();
    }

    #[tokio::test]
    async fn session_that_ignores_the_stop_is_cut() {
        let drain = Drain::new();
        drain.spawn(std::future::pending());
        assert!(!drain.finish(Duration::from_millis(1)).await);
    }
}
