//! Signals: SIGTERM (service manager), SIGINT (Ctrl-C) and the end of the terminal stop the node;
//! SIGHUP without a terminal reloads the certificate.
//!
//! Both subscribe before anything is started: a signal that arrives during a rebuild of the store
//! must neither be lost nor kill the process.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

fn subscribe(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("this system gives no signals")
}

/// Waits for SIGHUP; forever without a subscription.
async fn hangup(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// The signals that stop the node.
pub(crate) struct Stop {
    term: Signal,
    interrupt: Signal,
    /// SIGHUP, where standard input is a terminal: the terminal was closed.
    hangup: Option<Signal>,
}

impl Stop {
    /// Subscribes.
    pub(crate) fn listen() -> Result<Self> {
        let is_terminal = std::io::stdin().is_terminal();
        Ok(Self {
            term: subscribe(SignalKind::terminate())?,
            interrupt: subscribe(SignalKind::interrupt())?,
            hangup: is_terminal.then(|| subscribe(SignalKind::hangup())).transpose()?,
        })
    }

    /// Completes once for each stop signal.
    pub(crate) async fn requested(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
            () = hangup(&mut self.hangup) => {}
        }
    }
}

/// The signal that reloads the certificate: SIGHUP, where standard input is no terminal.
pub(crate) struct Reload(Option<Signal>);

impl Reload {
    /// Subscribes.
    pub(crate) fn listen() -> Result<Self> {
        let is_service = !std::io::stdin().is_terminal();
        Ok(Self(is_service.then(|| subscribe(SignalKind::hangup())).transpose()?))
    }

    /// Completes once for each SIGHUP.
    pub(crate) async fn requested(&mut self) {
        hangup(&mut self.0).await;
    }
}
