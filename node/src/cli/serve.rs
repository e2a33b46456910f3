//! `freehold serve`: runs the node until SIGTERM or Ctrl-C.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};

use super::Target;
use crate::control::{self, Request};
use crate::server::{Server, Startup};
use crate::stop::Stop;
use crate::{console, data_folder, exit};

/// The environment variable with the process id that this process ends with. The demo sets it, so
/// that its nodes end with it.
pub(crate) const PARENT: &str = "FREEHOLD_END_WITH_PARENT";

/// The time in which another node in this folder must respond.
const RESPONSE_WITHIN: Duration = Duration::from_secs(3);

/// Serves until Ctrl-C or SIGTERM.
pub(super) async fn run(target: Target) -> Result<()> {
    end_with_parent()?;
    let mut stop = Stop::listen()?;
    let status = control::call(&target.data, &Request::Status);
    let running = tokio::select! {
        response = tokio::time::timeout(RESPONSE_WITHIN, status) => response,
        () = stop.requested() => return Ok(()),
    };
    // A node that does not answer still holds the folder's lock: `claim` below fails.
    if let Ok(Ok(Some(_))) = running {
        let message = format!(
            "a node is already running in {}; stop it first, or name another folder with --data",
            target.data.display()
        );
        return Err(exit::with(exit::UNAVAILABLE, message));
    }
    while let Outcome::Writable = serve(&target, &mut stop).await? {
        tracing::info!("the data folder can be written again; the node is opened anew");
    }
    Ok(())
}

/// Why a node stopped.
enum Outcome {
    /// It was asked to.
    Stopped,
    /// It was read-only, and its disk can be written again.
    Writable,
}

/// Opens the node and serves until it stops.
async fn serve(target: &Target, stop: &mut Stop) -> Result<Outcome> {
    let opening = freehold_core::store::Stop::default();
    let claim = data_folder::claim(&target.data)?;
    let startup = Startup::bind(target).await?;
    let node = tokio::select! {
     node = startup.open_node(target, claim, &opening) => node?,
    // A rebuild may take long. It can be interrupted at any point: the next start repeats it.
            () = stop.requested() => {
                opening.raise();
                tracing::info!("stopped before the data folder was open");
                return Ok(Outcome::Stopped);
            }
        };
    let mut server = Server::start(target, startup, node).await?;
    server.print_startup_message().await?;
    let outcome = tokio::select! {
        () = stop.requested() => Outcome::Stopped,
        () = server.writable_again() => Outcome::Writable,
    };
    tokio::select! {
        stopped = server.shutdown() => stopped.map(|()| outcome),
        () = stop.requested() => {
            console::eprint(
                "freehold: stopped at once after a second signal; nothing is lost, the next start \
                 reads the log",
            );
            Ok(Outcome::Stopped)
        }
    }
}

/// The process id in [`PARENT`], if it is set.
pub(crate) fn ends_with() -> Option<u32> {
    std::env::var_os(PARENT)?.to_str()?.parse().ok()
}

/// Asks the kernel to end this process with its parent, if [`PARENT`] is set.
fn end_with_parent() -> Result<()> {
    if std::env::var_os(PARENT).is_none() {
        return Ok(());
    }
    let parent = ends_with()
        .and_then(|pid| i32::try_from(pid).ok())
        .with_context(|| format!("{PARENT} is not a process id"))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    // A parent that ended before the call above sends no signal.
    let is_alive = rustix::process::getppid().map(Pid::as_raw_pid) == Some(parent);
    if is_alive {
        Ok(())
    } else {
        Err(exit::with(exit::UNAVAILABLE, "the parent process has ended already"))
    }
}
