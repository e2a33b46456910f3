//! The folder of an engine in the data folder, and opening the engine in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::options::{EngineSource, OpenError};
use crate::engine::{Engine, EngineError};
use crate::fs::Fs;

/// The folder of the engine in the data folder.
pub(super) fn engine_folder(data: &Path, source: &EngineSource) -> PathBuf {
    data.join(format!("rows-{}", source.name()))
}

/// Creates `folder` and opens the engine `source` in it.
pub(super) fn open_engine(
    fs: &dyn Fs,
    source: &EngineSource,
    folder: &Path,
) -> Result<Arc<dyn Engine>, OpenError> {
    fs.create_folder(folder)?;
    source.open(folder).map_err(|error: EngineError| error.into())
}
