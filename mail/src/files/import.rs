//! The import: reads every message of the source, and stores those that are not there yet.
//!
//! An interrupted import is run again: it reads the source from its beginning and finds that the
//! messages are there, without storing them, so it comes to the place of the interruption at the
//! speed of the disk. Messages are stored in batches, several commits at a time, in their order.

mod maildir;
mod mbox;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{
    self, DeliverError, Flags, Folder, FolderError, Import, ImportOutcome, MESSAGE_LEN_MAX,
    Preparation, PreparedImport,
};
use freehold_core::node::Node;
use freehold_core::store::Stop;
use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::{FilesError, Format, LeftOut, Result, special};

/// The messages of a commit, and how many bytes they may have together.
const BATCH_MESSAGES: usize = 32;
const BATCH_LEN: u64 = 2 * 1024 * 1024;
/// How many commits wait at a time, so that they share a sync.
const COMMITS_MAX: usize = 4;
/// How many names of folders are remembered.
const FOLDERS_MAX: usize = 4096;
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

/// The counts of an import.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// Of all commits.
    pub outcome: ImportOutcome,
    /// Messages that Thunderbird keeps in a file although they were deleted.
    pub deleted_in_source: u64,
    /// Messages, files and folders that could not be imported.
    pub left_out: LeftOut,
    /// Files that hold no mail.
    pub ignored: LeftOut,
}

/// Called with the step, the parts done, and all parts.
pub type OnProgress = Box<dyn Fn(&'static str, u64, u64) + Send + Sync>;

type Commit =
    Pin<Box<dyn Future<Output = std::result::Result<ImportOutcome, DeliverError>> + Send>>;

/// An import that runs.
struct Importer {
    node: Node,
    options: ImportOptions,
    manifest: Option<Manifest>,
    stop: Stop,
    on_progress: OnProgress,
    /// The folders by their names; `None` if one can't be created.
    folders: HashMap<String, Option<Folder>>,
    batch: Vec<PreparedImport>,
    batch_len: u64,
    commits: VecDeque<Commit>,
    report: ImportReport,
}

/// A message of the source.
struct Message<'a> {
    text: &'a [u8],
    date: Timestamp,
    flags: Flags,
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
    let mut importer = Importer {
        node,
        options,
        manifest,
        stop,
        on_progress,
        folders: HashMap::new(),
        batch: Vec::new(),
        batch_len: 0,
        commits: VecDeque::new(),
        report: ImportReport::default(),
    };
    let read = match importer.options.format {
        Format::Maildir => maildir::read(&mut importer).await,
        Format::Mbox => mbox::read(&mut importer).await,
    };
    // The messages before an error are kept.
    let finished = importer.finish().await;
    match read.and(finished) {
        Ok(()) => Ok(importer.report),
        Err(error) => Err(error.after(importer.report.outcome.stored)),
    }
}

impl Importer {
    /// Stores a message in a folder. `place` names it if it is left out.
    async fn store(&mut self, folder: &str, message: &Message<'_>, place: &str) -> Result<()> {
        if self.stop.is_raised() {
            return Err(FilesError::Unavailable("the import was interrupted".to_owned()));
        }
        if message.text.is_empty() {
            self.report.left_out.add(place, "it is empty");
            return Ok(());
        }
        let Some(folder) = self.folder(folder).await? else {
            self.report.left_out.add(place, "its folder can't be created");
            return Ok(());
        };
        let import = Import {
            text: message.text,
            internal_date: message.date,
            flags: message.flags.clone(),
            restores: self.options.restores,
        };
        match mailbox::prepare_import(&self.node, &folder, import)? {
            Preparation::New(prepared) => {
                self.batch_len = self.batch_len.saturating_add(prepared.len());
                self.batch.push(*prepared);
            }
            Preparation::Present => self.report.outcome.present += 1,
            Preparation::Expunged => self.report.outcome.expunged += 1,
        }
        if self.batch.len() >= BATCH_MESSAGES || self.batch_len >= BATCH_LEN {
            self.commit().await?;
        }
        Ok(())
    }

    /// Begins the commit of the batch, and waits for the oldest if there are several.
    async fn commit(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_len = 0;
        if !batch.is_empty() {
            let node = self.node.clone();
            let mut commit: Commit =
                Box::pin(async move { mailbox::commit_imports(&node, batch).await });
            // The first poll queues the commit: commits are made in the order of the messages.
            let first = std::future::poll_fn(|cx| Poll::Ready(commit.as_mut().poll(cx))).await;
            match first {
                Poll::Ready(result) => self.count(result)?,
                Poll::Pending => self.commits.push_back(commit),
            }
        }
        while self.commits.len() >= COMMITS_MAX {
            self.wait_for_oldest().await?;
        }
        Ok(())
    }

    async fn wait_for_oldest(&mut self) -> Result<()> {
        match self.commits.pop_front() {
            Some(commit) => {
                let result = commit.await;
                self.count(result)
            }
            None => Ok(()),
        }
    }

    fn count(&mut self, result: std::result::Result<ImportOutcome, DeliverError>) -> Result<()> {
        let outcome = result?;
        let total = &mut self.report.outcome;
        total.stored += outcome.stored;
        total.present += outcome.present;
        total.expunged += outcome.expunged;
        total.without_keywords += outcome.without_keywords;
        Ok(())
    }

    /// Commits everything; of several errors the first is returned.
    async fn finish(&mut self) -> Result<()> {
        let mut result = self.commit().await;
        while !self.commits.is_empty() {
            result = result.and(self.wait_for_oldest().await);
        }
        result
    }

    /// The node's folder for a folder of the source; `None` if it can't be created.
    async fn folder(&mut self, name: &str) -> Result<Option<Folder>> {
        if let Some(known) = self.folders.get(name) {
            return Ok(known.clone());
        }
        let folder = match mailbox::folder_named(&self.node, name)? {
            Some(folder) => Some(folder),
            None => match mailbox::create_folder(&self.node, name).await {
                Ok(folder) => {
                    // Programs that show subscribed folders show it too.
                    match mailbox::subscribe(&self.node, name).await {
                        Ok(()) | Err(FolderError::TooManySubscriptions) => {}
                        Err(error) => return Err(error.into()),
                    }
                    Some(folder)
                }
                Err(FolderError::Store(error)) => return Err(error.into()),
                Err(FolderError::Exists) => mailbox::folder_named(&self.node, name)?,
                Err(error) => {
                    self.report.left_out.add(&format!("folder {name}"), &error.to_string());
                    None
                }
            },
        };
        if self.folders.len() >= FOLDERS_MAX {
            self.folders.clear();
        }
        self.folders.insert(name.to_owned(), folder.clone());
        Ok(folder)
    }

    /// The name in the node of the folder at `path` of the source, which is called `name` there.
    fn target(&self, path: &Path, name: &str) -> String {
        let below = path.strip_prefix(&self.options.path).ok().and_then(Path::to_str);
        let exported = self.manifest.as_ref().zip(below).and_then(|(m, path)| m.folders.get(path));
        self.named(exported.map_or(name, String::as_str), exported.is_some())
    }

    /// The name in the node of a folder. `is_exact` is true for a name of this program's export.
    fn named(&self, name: &str, is_exact: bool) -> String {
        match &self.options.into {
            Some(into) if name.is_empty() => mailbox::nearest_name(into),
            Some(into) => mailbox::nearest_name(&format!("{into}/{name}")),
            None if name.is_empty() => "INBOX".to_owned(),
            None if is_exact => mailbox::nearest_name(name),
            None => mailbox::nearest_name(&special::mapped(name)),
        }
    }

    /// The date of a message: `date`, or that of its newest Received field, or of its Date field,
    /// or now.
    fn date(&self, date: Option<Timestamp>, text: &[u8]) -> Timestamp {
        date.or_else(|| date_of_header(text)).unwrap_or_else(|| self.node.clock.now())
    }
}

fn date_of_header(text: &[u8]) -> Option<Timestamp> {
    use freehold_mime::{date, header, header_end};

    let header = text.get(..header_end::len(text)).unwrap_or_default();
    let received = header::first(header, "Received")
        .and_then(|value| value.rsplit(|byte| *byte == b';').next())
        .and_then(date::parse);
    let date = received.or_else(|| header::first(header, "Date").and_then(date::parse));
    date.and_then(|date| super::from_line::of_secs(date.secs))
}

/// The longest message, as a length in memory.
fn len_max() -> usize {
    usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX)
}

/// The reason why a message that is too long is left out.
fn too_long() -> String {
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
