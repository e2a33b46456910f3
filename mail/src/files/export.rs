//! The export: every folder and message, durable before it is reported as done.
//!
//! The target must be empty, or hold an unfinished export of the same node in the same format,
//! which goes on. The target is locked meanwhile.

mod maildir;
mod mbox;

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use freehold_core::mailbox::{self, Folder, MESSAGE_LEN_MAX, Message};
use freehold_core::node::Node;
use freehold_core::store::{Stop, StoreError};
use rustix::fs::{FlockOperation, flock, syncfs};

use super::manifest::{self, Manifest};
use super::{FilesError, Format, LeftOut, Result, folder_name};

/// The number of messages listed at a time.
const MESSAGES_PER_READ: usize = 500;
/// The access to folders that are made.
const DIR_MODE: u32 = 0o700;

/// The counts of a finished export.
#[derive(Debug, Default)]
pub struct ExportReport {
    /// Folders written.
    pub folders: u64,
    /// Messages written.
    pub messages: u64,
    /// Of the messages, as they are stored; bytes.
    pub len: u64,
    /// Messages that are damaged.
    pub left_out: LeftOut,
}

/// An export that runs.
struct Export<'a> {
    node: &'a Node,
    stop: &'a Stop,
    on_progress: &'a dyn Fn(u64, u64),
    total: u64,
    report: ExportReport,
}

/// Exports all mail to `dir`, which is created. `on_progress` gets the messages done and in total.
/// Blocks, possibly for long.
///
/// # Errors
/// When the target can't be written or is not empty, the store is unavailable, or `stop` is raised;
/// the same call goes on from there.
pub fn export(
    node: &Node,
    format: Format,
    dir: &Path,
    on_progress: &dyn Fn(u64, u64),
    stop: &Stop,
) -> Result<ExportReport> {
    create_dir(dir)?;
    let id = HEXLOWER.encode(&node.keyed("mail.export", b"")?);
    let opened = File::open(dir).map_err(|error| cant_write(dir, &error))?;
    if flock(&opened, FlockOperation::NonBlockingLockExclusive).is_err() {
        let message = format!("another export to {} is running", dir.display());
        return Err(FilesError::Unavailable(message));
    }
    let folders = mailbox::folders(node)?;
    let mut manifest = Manifest { folders: paths(format, &folders), ..claim(dir, format, id)? };
    manifest.write(dir).map_err(|error| cant_write(dir, &error))?;
    let total = folders.iter().map(|folder| u64::from(folder.total)).sum();
    let mut export = Export { node, stop, on_progress, total, report: ExportReport::default() };
    let by_name: BTreeMap<&str, &str> =
        manifest.folders.iter().map(|(path, name)| (name.as_str(), path.as_str())).collect();
    for folder in &folders {
        let path = by_name.get(folder.name.as_str()).copied().unwrap_or_default();
        match format {
            Format::Maildir => maildir::write(&mut export, folder, &dir.join(path))?,
            Format::Mbox => mbox::write(&mut export, folder, dir, path)?,
        }
        export.report.folders += 1;
    }
    // One sync for all files: a sync of each takes hours for a large mailbox.
    syncfs(&opened).map_err(|error| cant_write(dir, &error.into()))?;
    manifest.finished = true;
    manifest.write(dir).map_err(|error| cant_write(dir, &error))?;
    Ok(export.report)
}

/// The path of each folder below the target.
fn paths(format: Format, folders: &[Folder]) -> BTreeMap<String, String> {
    let path = |name: &str| match format {
        // The target itself is INBOX, as in Maildir++.
        Format::Maildir if name == "INBOX" => String::new(),
        Format::Maildir => folder_name::to_maildir(name),
        Format::Mbox => folder_name::to_mbox(name),
    };
    folders.iter().map(|folder| (path(&folder.name), folder.name.clone())).collect()
}

/// Checks that the target is empty or an unfinished export, and returns the manifest to write.
fn claim(dir: &Path, format: Format, node: String) -> Result<Manifest> {
    let refused = |reason: &str| {
        let message = format!("{} {reason}; name a new or an empty folder", dir.display());
        FilesError::Target(message)
    };
    let entries = std::fs::read_dir(dir).map_err(|error| cant_write(dir, &error))?;
    let mut others = 0;
    for entry in entries {
        let name = entry.map_err(|error| cant_write(dir, &error))?.file_name();
        let own = name.to_string_lossy();
        // A crash may leave the manifest that was being written.
        others += usize::from(own.strip_suffix(".part").unwrap_or(&own) != manifest::NAME);
    }
    let new = Manifest { format, node, finished: false, folders: BTreeMap::new() };
    match Manifest::read(dir) {
        Some(found) if found.finished => Err(refused("holds a finished export")),
        Some(found) if found.node != new.node || found.format != format => {
            Err(refused("holds another export"))
        }
        None if others > 0 => Err(refused("is not empty")),
        _ => Ok(new),
    }
}

impl Export<'_> {
    /// The messages of a folder with a UID from `first`, at most [`MESSAGES_PER_READ`].
    fn messages(&self, folder: &Folder, first: u32) -> Result<Vec<Message>> {
        Ok(mailbox::messages(self.node, folder.id, first, u32::MAX, MESSAGES_PER_READ)?)
    }

    /// The bytes of a message; `None` if it was expunged meanwhile, or is damaged and was named.
    fn text(&mut self, folder: &Folder, message: &Message) -> Result<Option<Vec<u8>>> {
        let len_max = usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX);
        let text = mailbox::body(self.node, message).and_then(|body| body.read_all(len_max));
        match text {
            Ok(text) => Ok(Some(text)),
            Err(StoreError::Corrupt { .. } | StoreError::NoBlob) => {
                if mailbox::message(self.node, folder.id, message.uid)?.is_some() {
                    let place = format!("{}, UID {}", folder.name, message.uid);
                    self.report.left_out.add(&place, "the stored message is damaged");
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Counts a message, and fails if the export is to stop.
    fn count(&mut self, message: &Message) -> Result<()> {
        self.report.messages += 1;
        self.report.len += message.size;
        (self.on_progress)(self.report.messages, self.total);
        if self.stop.is_raised() {
            return Err(FilesError::Unavailable("the export was interrupted".to_owned()));
        }
        Ok(())
    }
}

/// Creates a folder and those above it, for the user alone.
fn create_dir(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)
        .map_err(|error| cant_write(dir, &error))
}

/// The error for a file that can't be written.
fn cant_write(path: &Path, error: &std::io::Error) -> FilesError {
    let next = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free some space and run the command again, it goes on from there"
        }
        // The running node writes the files.
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; choose a folder that the user of the node can write to"
        }
        _ => "",
    };
    FilesError::Target(format!("can't write {}: {error}{next}", path.display()))
}

/// `path` with a suffix to its last name.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
