//! Opening a node's data folder. Each failure has one cause and an exit code.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use freehold_core::blocking::blocking;
use freehold_core::engine::EngineKind;
use freehold_core::mailbox;
use freehold_core::node::{self, Node, NodeOpenError, NodeOptions};
use freehold_core::store::{FolderLock, OpenError, Stage, Stop};
use freehold_core::vault::VaultError;

use crate::config::Config;
use crate::{console, exit};

/// Called with the progress of a rebuild: the step, items done, and items in total.
pub(crate) type OnProgress = Box<dyn Fn(&'static str, u64, u64) + Send + Sync>;

/// True if a node was opened in this folder before.
pub(crate) fn holds_node(data: &Path) -> bool {
    data.join("log").exists()
}

/// Locks the folder for this process, and creates it if there is none.
pub(crate) fn claim(data: &Path) -> Result<FolderLock> {
    node::claim(data).map_err(|error| open_error(data, &error))
}

/// Opens the node in `data`, and creates it if there is none.
pub(crate) async fn open(data: &Path, config: &Config) -> Result<Node> {
    open_claimed(claim(data)?, data, config, &Stop::default(), Box::new(|_, _, _| ())).await
}

/// Opens the node in a folder that is locked already. A rebuild of the store may take long:
/// `on_progress` reports it, and `stop` ends it early.
pub(crate) async fn open_claimed(
    claim: FolderLock,
    data: &Path,
    config: &Config,
    stop: &Stop,
    on_progress: OnProgress,
) -> Result<Node> {
    let mut options = NodeOptions::new(data);
    options.claim = Some(claim);
    options.stop = stop.clone();
    options.engine = if config.node.engine == "redb" { EngineKind::Redb } else { EngineKind::Sled };
    options.cache_len = config.node.cache_mib * 1024 * 1024;
    let display = console::ProgressDisplay::new();
    options.progress = Some(Arc::new(move |stage, done, total| {
        let step = match stage {
            Stage::Rebuilding => "Rows from the snapshot",
            Stage::Applying => "Changes from the log",
        };
        display.update(step, done, total);
        on_progress(step, done, total);
    }));
    let opened = blocking(move || Node::open(options)).await.context("the store's thread ended")?;
    let node = opened.map_err(|error| open_error(data, &error))?;
    mailbox::initialise(&node).await?;
    Ok(node)
}

/// The message and exit code for a folder that can't be opened.
fn open_error(data: &Path, error: &NodeOpenError) -> anyhow::Error {
    if let NodeOpenError::Open(OpenError::Io(cause)) = error
        && matches!(cause.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
    {
        let folder = data.display();
        return exit::with(
            exit::CANT_CREATE,
            format!("can't open {folder}: the data folder {folder} can't be written: {cause}"),
        );
    }
    let code = match error {
        NodeOpenError::Folder { .. } => exit::CANT_CREATE,
        NodeOpenError::Open(OpenError::Log(_)) => exit::DATA,
        NodeOpenError::Vault(VaultError::KeyUnreadable { .. }) => exit::NO_INPUT,
        NodeOpenError::Vault(VaultError::KeyDamaged(_)) => exit::DATA,
        _ => exit::UNAVAILABLE,
    };
    exit::with(code, format!("can't open {}: {error}", data.display()))
}
