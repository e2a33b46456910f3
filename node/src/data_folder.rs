//! Opening a node's data folder. Each failure has one cause and an exit code.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use freehold_core::blocking::blocking;
use freehold_core::engine::EngineKind;
use freehold_core::mailbox;
use freehold_core::node::{self, Node, NodeOpenError, NodeOptions};
use freehold_core::space::StrangersMargin;
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

/// True if files can be written to the folder: one of [`PROBE_LEN`] bytes is written and removed.
pub(crate) fn is_writable(data: &Path) -> bool {
    let path = data.join("probe");
    let written = std::fs::File::create(&path).and_then(|mut file| {
        std::io::copy(&mut std::io::repeat(0).take(PROBE_LEN), &mut file)?;
        file.sync_all()
    });
    // It may be left from an earlier check.
    let removed = std::fs::remove_file(&path);
    written.is_ok() && removed.is_ok()
}

/// The space that a start needs on a full disk, in bytes: a short log segment and some files.
const PROBE_LEN: u64 = 4 * 1024 * 1024;

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
    if let Some(mib) = config.node.strangers_free_mib {
        options.margins.strangers = StrangersMargin::Len(mib.saturating_mul(1024 * 1024));
    }
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
    if !node.is_read_only() {
        mailbox::initialise(&node).await?;
    }
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
    if let NodeOpenError::Open(error) = error
        && error.is_full()
    {
        let folder = data.display();
        return exit::with(
            exit::CANT_CREATE,
            format!("can't open {folder}: the disk is full; free some space and start again"),
        );
    }
    let code = match error {
        NodeOpenError::Folder { .. } | NodeOpenError::Unsafe { .. } => exit::CANT_CREATE,
        NodeOpenError::Open(OpenError::Log(_)) => exit::DATA,
        NodeOpenError::Vault(VaultError::KeyUnreadable { .. }) => exit::NO_INPUT,
        NodeOpenError::Vault(VaultError::KeyDamaged(_)) => exit::DATA,
        _ => exit::UNAVAILABLE,
    };
    exit::with(code, format!("can't open {}: {error}", data.display()))
}
