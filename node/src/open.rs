//! Opening a node's folder, with one clear sentence where that can't be.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use freehold_core::engine::EngineKind;
use freehold_core::mailbox;
use freehold_core::node::{Node, NodeOpenError, NodeOptions};
use freehold_core::store::{OpenError, Stage, Stop};

use crate::config::Config;
use crate::{exit, say};

/// Whether a node was ever opened in this folder.
pub(crate) fn is_there(data: &Path) -> bool {
    data.join("log").exists()
}

/// Opens the node in `data`, making it the first time. `stop` ends that early: a rebuild may take long.
pub(crate) async fn node(data: &Path, config: &Config, stop: &Stop) -> Result<Node> {
    let mut options = NodeOptions::new(data);
    options.stop = stop.clone();
    options.engine = if config.node.engine == "redb" { EngineKind::Redb } else { EngineKind::Sled };
    options.cache_len = config.node.cache_mib * 1024 * 1024;
    let bar = say::progress("");
    options.progress = Some(Arc::new(move |stage, done, _| {
        // A snapshot does not say how many rows it has, nor the log how many changes: what is counted has no end that is known.
        let step = match stage {
            Stage::Rebuilding => "Rows from the snapshot",
            Stage::Applying => "Changes from the log",
        };
        say::far(&bar, step, done, 0);
    }));
    let folder = data.display().to_string();
    let opened = tokio::task::spawn_blocking(move || Node::open(options)).await.context("the store's thread ended")?;
    let node = opened.map_err(|error| {
        let code = match &error {
            NodeOpenError::Folder { .. } => exit::CANT_CREATE,
            NodeOpenError::Open(OpenError::InUse) => exit::UNAVAILABLE,
            NodeOpenError::Open(OpenError::Log(_)) => exit::DATA,
            _ => exit::UNAVAILABLE,
        };
        exit::with(code, format!("can't open {folder}: {error}"))
    })?;
    mailbox::prepare(&node).await?;
    Ok(node)
}
