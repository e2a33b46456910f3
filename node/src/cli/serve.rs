//! `freehold serve`: run until told to stop.

use anyhow::Result;

use super::Place;
use crate::control::{self, Request};
use crate::server::Server;
use crate::stop::Stop;
use crate::{exit, open, say};

/// Serves until Ctrl-C or SIGTERM.
pub(super) async fn run(place: Place) -> Result<()> {
    if std::env::var_os("FREEHOLD_END_WITH_PARENT").is_some() {
        // The demo's nodes must not outlive it.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    }
    let mut stop = Stop::listen()?;
    if let Ok(Some(_)) = control::ask(&place.data, &Request::Status).await {
        let said = format!("a node is already running in {}; stop it first, or name another folder with --data", place.data.display());
        return Err(exit::with(exit::UNAVAILABLE, said));
    }
    tracing::info!("opening the data folder");
    let node = tokio::select! {
        node = open::node(&place.data, &place.config) => node?,
        // A rebuild may take long, and it can be left at any point: the next start begins it again.
        () = stop.asked() => {
            tracing::info!("stopped before the data folder was open");
            return Ok(());
        }
    };
    let mut server = Server::start(&place, node).await?;
    server.welcome().await?;
    stop.asked().await;
    tokio::select! {
        stopped = server.shutdown() => stopped,
        () = stop.asked() => {
            say::aside("freehold: stopped at once, as asked twice; nothing is lost, the next start reads the log");
            Ok(())
        }
    }
}
