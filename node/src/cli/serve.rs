//! `freehold serve`: run until told to stop.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use super::Place;
use crate::control::{self, Request};
use crate::exit;
use crate::server::Server;

/// Serves until Ctrl-C or SIGTERM.
pub(super) async fn run(place: Place) -> Result<()> {
    if std::env::var_os("FREEHOLD_END_WITH_PARENT").is_some() {
        // The demo's nodes must not outlive it.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    }
    let mut term = signal(SignalKind::terminate())?;
    if let Ok(Some(_)) = control::ask(&place.data, &Request::Status).await {
        let said = format!("a node is already running in {}; stop it first, or name another folder with --data", place.data.display());
        return Err(exit::with(exit::UNAVAILABLE, said));
    }
    let server = Server::start(&place).await?;
    server.welcome().await?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
    server.shutdown().await
}
