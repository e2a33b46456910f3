//! A handle that aborts the connection to a next hop.
//!
//! lettre writes the end of a message as soon as there are no more pieces. A message that can't be
//! read to its end must not be ended, or the next hop would accept a truncated one. So the stream
//! is aborted first, and the end is never written.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Aborts its stream.
#[derive(Clone, Debug, Default)]
pub(super) struct AbortHandle(Arc<AtomicBool>);

impl AbortHandle {
    /// Every later write fails.
    pub(super) fn abort(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(super) fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            Err(io::Error::other("the message could not be read"))
        } else {
            Ok(())
        }
    }
}
