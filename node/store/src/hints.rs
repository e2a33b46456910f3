//! Hints sent after a commit ("look now"). Losing one loses nothing: every listener also reads the
//! rows themselves.

use std::fmt;

use tokio::sync::broadcast;

/// How many hints a slow listener may fall behind before it must look at everything.
const PENDING_MAX: usize = 1024;

/// A kind of hint: what may have changed, in the words of the crate above.
pub trait Hint: Clone + fmt::Debug + Send + Sync + 'static {}

impl<H: Clone + fmt::Debug + Send + Sync + 'static> Hint for H {}

/// The channel of hints of one store. Lasts no longer than the process. Cheap to clone.
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
        // Having no listener is not an error: the rows are the truth.
        let _ = self.sender.send(hint);
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<H> {
        self.sender.subscribe()
    }
}
