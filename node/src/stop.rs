//! Being asked to stop: SIGTERM from a service manager, SIGINT from Ctrl-C.
//!
//! Listened for before anything is begun: a signal that comes while the store is still being
//! rebuilt must not be lost, nor kill.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The ears for it.
pub(crate) struct Stop {
    term: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self> {
        let hear = |kind| signal(kind).context("this system gives no signals");
        Ok(Self { term: hear(SignalKind::terminate())?, interrupt: hear(SignalKind::interrupt())? })
    }

    /// Returns when it is asked for, once for each time.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
