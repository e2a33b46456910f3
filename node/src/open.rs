//! Opening a node's folder, with one clear sentence where that can't be.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use freehold_core::blocking::blocking;
use freehold_core::engine::EngineKind;
use freehold_core::mailbox;
use freehold_core::node::{self, Node, NodeOpenError, NodeOptions};
use freehold_core::store::{Claim, OpenError, Stage, Stop};

use crate::config::Config;
use crate::{exit, say};

/// Told how far the opening is: the step, how many are done, and of how many.
pub(crate) type Tell = Box<dyn Fn(&'static str, u64, u64) + Send + Sync>;

/// Whether a node was ever opened in this folder.
pub(crate) fn is_there(data: &Path) -> bool {
    data.join("log").exists()
}

/// Claims the folder for this process, making it the first time.
pub(crate) fn claim(data: &Path) -> Result<Claim> {
    node::claim(data).map_err(|error| said(data, &error))
}

/// Opens the node in `data`, making it the first time.
pub(crate) async fn node(data: &Path, config: &Config) -> Result<Node> {
    claimed(claim(data)?, data, config, &Stop::default(), Box::new(|_, _, _| ())).await
}

/// Opens the node in a folder that is claimed. A rebuild may take long: `tell` hears how far it is,
/// and `stop` ends it early.
pub(crate) async fn claimed(
    claim: Claim,
    data: &Path,
    config: &Config,
    stop: &Stop,
    tell: Tell,
) -> Result<Node> {
    let mut options = NodeOptions::new(data);
    options.claim = Some(claim);
    options.stop = stop.clone();
    options.engine = if config.node.engine == "redb" { EngineKind::Redb } else { EngineKind::Sled };
    options.cache_len = config.node.cache_mib * 1024 * 1024;
    let bar = say::Bar::new();
    options.progress = Some(Arc::new(move |stage, done, total| {
        let step = match stage {
            Stage::Rebuilding => "Rows from the snapshot",
            Stage::Applying => "Changes from the log",
        };
        bar.far(step, done, total);
        tell(step, done, total);
    }));
    let opened = blocking(move || Node::open(options)).await.context("the store's thread ended")?;
    let node = opened.map_err(|error| said(data, &error))?;
    mailbox::prepare(&node).await?;
    Ok(node)
}

/// Why the folder does not open, with the exit code.
fn said(data: &Path, error: &NodeOpenError) -> anyhow::Error {
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
        _ => exit::UNAVAILABLE,
    };
    exit::with(code, format!("can't open {}: {error}", data.display()))
}
