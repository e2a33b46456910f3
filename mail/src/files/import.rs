//! The import of files: reads every message of the source, and stores those that are not there yet.
//!
//! An interrupted import is run again: it reads the source from its beginning and finds that the
//! messages are there, without storing them, so it comes to the place of the interruption at the
//! speed of the disk. Messages are stored in batches, several commits at a time, in their order.

mod maildir;
mod mbox;
mod storage;

use std::path::{Path, PathBuf};

use freehold_core::mailbox::MESSAGE_LEN_MAX;
use freehold_core::node::Node;
use freehold_core::store::Stop;
use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::{Format, LeftOut, Result};

pub use storage::ImportReport;
pub(crate) use storage::{Message, Storage};

/// How deep folders of the source are nested at most.
const DEPTH_MAX: usize = 20;

/// The source of an import, and how it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOptions {
    /// The form of the files.
    pub format: Format,
    /// The file or folder.
    pub path: PathBuf,
    /// The folder of the node below which everything is stored.
    pub into: Option<String>,
    /// Whether `>From ` stands for `From ` in every mbox.
    pub is_mboxrd: bool,
    /// Whether messages are stored again that were imported before and expunged since.
    pub restores: bool,
}

/// Called with the step, the parts done, and all parts.
pub type OnProgress = Box<dyn Fn(&'static str, u64, u64) + Send + Sync>;

/// An import that runs.
struct Importer {
    options: ImportOptions,
    manifest: Option<Manifest>,
    on_progress: OnProgress,
    storage: Storage,
}

/// Imports everything in the source. Its reads block: run it inside `blocking_future`.
///
/// # Errors
/// When the source can't be read, the store is unavailable or full, or `stop` is raised; the same
/// import goes on from there.
pub async fn import(
    node: Node,
    options: ImportOptions,
    on_progress: OnProgress,
    stop: Stop,
) -> Result<ImportReport> {
    let manifest = Manifest::read(&options.path).filter(|found| found.format == options.format);
    let storage = Storage::new(node, options.into.clone(), options.restores, stop);
    let mut importer = Importer { options, manifest, on_progress, storage };
    let read = match importer.options.format {
        Format::Maildir => maildir::read(&mut importer).await,
        Format::Mbox => mbox::read(&mut importer).await,
    };
    // The messages before an error stay.
    let finished = importer.storage.finish().await;
    match read.and(finished) {
        Ok(()) => Ok(importer.storage.report),
        Err(error) => Err(error.after(importer.storage.report.outcome.stored)),
    }
}

impl Importer {
    /// The name in the node of the folder at `path` of the source, which is called `name` there.
    fn target(&self, path: &Path, name: &str) -> String {
        let below = path.strip_prefix(&self.options.path).ok().and_then(Path::to_str);
        let exported = self.manifest.as_ref().zip(below).and_then(|(m, path)| m.folders.get(path));
        self.storage.named(exported.map_or(name, String::as_str), exported.is_some())
    }
}

/// The longest message, as a length in memory.
pub(crate) fn len_max() -> usize {
    usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX)
}

/// The reason why a message that is too long is left out.
pub(crate) fn too_long() -> String {
    format!("it is longer than {} MiB", MESSAGE_LEN_MAX / 1024 / 1024)
}

/// The text of a name: UTF-8, or else Latin-1, which has a character for each byte.
fn text_of(name: &std::ffi::OsStr) -> String {
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(name);
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_owned)
}

/// The entries of a folder in the order of their names; `None` if it can't be read, which is named.
fn entries(
    dir: &Path,
    left_out: &mut LeftOut,
) -> Option<Vec<(std::ffi::OsString, std::fs::FileType)>> {
    let read = || -> std::io::Result<Vec<_>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            found.push((entry.file_name(), entry.file_type()?));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    };
    match read() {
        Ok(found) => Some(found),
        Err(error) => {
            left_out.add(&dir.to_string_lossy(), &error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests;
