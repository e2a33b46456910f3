//! `freehold serve`: run until told to stop.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};

use super::Place;
use crate::control::{self, Request};
use crate::server::{Server, Startup};
use crate::stop::Stop;
use crate::{exit, open, say};

/// Names the process that this one must not outlive: the demo's nodes end with it.
pub(crate) const PARENT: &str = "FREEHOLD_END_WITH_PARENT";

/// How long another node in this folder may take to say that it is there.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Serves until Ctrl-C or SIGTERM.
pub(super) async fn run(place: Place) -> Result<()> {
    end_with_parent()?;
    let mut stop = Stop::listen()?;
    let status = Request::Status;
    let running = tokio::select! {
        answer = tokio::time::timeout(ANSWER_WITHIN, control::ask(&place.data, &status)) => answer,
        () = stop.asked() => return Ok(()),
    };
    // One that does not answer holds the folder's lock all the same, which speaks for it below.
    if let Ok(Ok(Some(_))) = running {
        let said = format!(
            "a node is already running in {}; stop it first, or name another folder with --data",
            place.data.display()
        );
        return Err(exit::with(exit::UNAVAILABLE, said));
    }
    let opening = freehold_core::store::Stop::default();
    let claim = open::claim(&place.data)?;
    let startup = Startup::bind(&place).await?;
    let node = tokio::select! {
        node = startup.open_node(&place, claim, &opening) => node?,
        // A rebuild may take long, and it can be left at any point: the next start begins it again.
        () = stop.asked() => {
            opening.raise();
            tracing::info!("stopped before the data folder was open");
            return Ok(());
        }
    };
    let mut server = Server::start(&place, startup, node).await?;
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

/// The process that this one ends with, if that was wished.
pub(crate) fn ends_with() -> Option<u32> {
    std::env::var_os(PARENT)?.to_str()?.parse().ok()
}

/// Has the system end this process with its parent, if that is wished.
fn end_with_parent() -> Result<()> {
    if std::env::var_os(PARENT).is_none() {
        return Ok(());
    }
    let parent = ends_with()
        .and_then(|pid| i32::try_from(pid).ok())
        .with_context(|| format!("{PARENT} is no process id"))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    // One that ended before this was asked for sends no signal any more.
    let is_there = rustix::process::getppid().map(Pid::as_raw_pid) == Some(parent);
    if is_there {
        Ok(())
    } else {
        Err(exit::with(
            exit::UNAVAILABLE,
            "the process that this one was to end with has ended already",
        ))
    }
}
