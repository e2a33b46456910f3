//! Hints sent after a commit. Losing a hint loses no data: every listener reads the rows, which are
//! the truth.

use std::fmt;

use tokio::sync::broadcast;

/// How many hints a slow listener may fall behind before it must read everything again.
const PENDING_MAX: usize = 1024;

/// The type of a hint, chosen by the crate above: it names what may have changed.
pub trait Hint: Clone + fmt::Debug + Send + Sync + 'static {}

impl<H: Clone + fmt::Debug + Send + Sync + 'static> Hint for H {}

/// The channel of hints of one store, in memory only. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hints<H> {
    sender: broadcast::Sender<H>,
}

impl<H: Hint> Default for Hints<H> {
    fn default() -> Self {
        Self { sender: broadcast::channel(PENDING_MAX).0 }
    }
}

impl<H: Hint> Hints<H> {
    /// Sends a hint to every listener.
    pub fn send(&self, hint: H) {
        // Having no listener is not an error.
        let _ = self.sender.send(hint);
    }

    /// Receives the hints sent from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<H> {
        self.sender.subscribe()
    }
}
