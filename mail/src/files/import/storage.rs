//! The half of an import that stores: batches, several commits at a time, and the folders. Every
//! source of messages has it in common.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::task::Poll;

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{
    self, DeliverError, Flags, Folder, FolderError, Import, ImportOutcome, Preparation,
    PreparedImport,
};
use freehold_core::node::Node;
use freehold_core::store::Stop;

use crate::files::{FilesError, LeftOut, Result, from_line, special};

/// The messages of a commit, and how many bytes they may have together.
const BATCH_MESSAGES: usize = 32;
const BATCH_LEN: u64 = 2 * 1024 * 1024;
/// How many commits wait at a time, so that they share a sync.
const COMMITS_MAX: usize = 4;
/// How many names of folders are remembered.
const FOLDERS_MAX: usize = 4096;

/// The counts of an import.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// Of all commits.
    pub outcome: ImportOutcome,
    /// New messages for each folder of the node.
    pub folders: BTreeMap<String, u64>,
    /// Messages that Thunderbird keeps in a file although they were deleted.
    pub deleted_in_source: u64,
    /// Messages, files and folders that could not be imported.
    pub left_out: LeftOut,
    /// Files and folders that hold no mail of their own.
    pub ignored: LeftOut,
}

type Commit =
    Pin<Box<dyn Future<Output = std::result::Result<ImportOutcome, DeliverError>> + Send>>;

/// The storing half of an import.
pub(crate) struct Storage {
    pub(crate) node: Node,
    stop: Stop,
    /// The folder of the node below which everything is stored.
    into: Option<String>,
    /// Whether messages are stored again that were imported before and expunged since.
    restores: bool,
    /// The folders by their names; `None` if one can't be created.
    folders: HashMap<String, Option<Folder>>,
    batch: Batch,
    pub(crate) report: ImportReport,
}

/// Messages that are not committed yet, and commits that are not durable yet.
#[derive(Default)]
struct Batch {
    messages: Vec<PreparedImport>,
    len: u64,
    commits: VecDeque<Commit>,
}

/// A message of the source.
pub(crate) struct Message<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) date: Timestamp,
    pub(crate) flags: Flags,
}

impl Storage {
    pub(crate) fn new(node: Node, into: Option<String>, restores: bool, stop: Stop) -> Self {
        Self {
            node,
            stop,
            into,
            restores,
            folders: HashMap::new(),
            batch: Batch::default(),
            report: ImportReport::default(),
        }
    }

    /// Stores a message in a folder. `place` names it if it is left out.
    pub(crate) async fn store(
        &mut self,
        folder: &str,
        message: &Message<'_>,
        place: &str,
    ) -> Result<()> {
        if self.stop.is_raised() {
            return Err(FilesError::Unavailable("the import was interrupted".to_owned()));
        }
        if message.text.is_empty() {
            self.report.left_out.add(place, "it is empty");
            return Ok(());
        }
        let Some(found) = self.folder(folder).await? else {
            self.report.left_out.add(place, "its folder can't be created");
            return Ok(());
        };
        let import = Import {
            text: message.text,
            internal_date: message.date,
            flags: message.flags.clone(),
            restores: self.restores,
        };
        match mailbox::prepare_import(&self.node, &found, import)? {
            Preparation::New(prepared) => {
                self.batch.len = self.batch.len.saturating_add(prepared.len());
                self.batch.messages.push(*prepared);
                let count = self.report.folders.entry(found.name).or_default();
                *count = count.saturating_add(1);
            }
            Preparation::Present => self.report.outcome.present += 1,
            Preparation::Expunged => self.report.outcome.expunged += 1,
        }
        if self.batch.messages.len() >= BATCH_MESSAGES || self.batch.len >= BATCH_LEN {
            self.commit().await?;
        }
        Ok(())
    }

    /// Begins the commit of the batch, and waits for the oldest if there are several.
    async fn commit(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch.messages);
        self.batch.len = 0;
        if !batch.is_empty() {
            let node = self.node.clone();
            let mut commit: Commit =
                Box::pin(async move { mailbox::commit_imports(&node, batch).await });
            // The first poll queues the commit: commits are made in the order of the messages.
            let first = std::future::poll_fn(|cx| Poll::Ready(commit.as_mut().poll(cx))).await;
            match first {
                Poll::Ready(result) => self.count(result)?,
                Poll::Pending => self.batch.commits.push_back(commit),
            }
        }
        while self.batch.commits.len() >= COMMITS_MAX {
            self.wait_for_oldest().await?;
        }
        Ok(())
    }

    async fn wait_for_oldest(&mut self) -> Result<()> {
        match self.batch.commits.pop_front() {
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
    pub(crate) async fn finish(&mut self) -> Result<()> {
        let mut result = self.commit().await;
        while !self.batch.commits.is_empty() {
            result = result.and(self.wait_for_oldest().await);
        }
        result
    }

    /// The node's folder for a folder of the source; `None` if it can't be created.
    pub(crate) async fn folder(&mut self, name: &str) -> Result<Option<Folder>> {
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

    /// The name in the node of a folder. `is_exact` is true for a name of this program's export.
    pub(crate) fn named(&self, name: &str, is_exact: bool) -> String {
        match &self.into {
            Some(into) if name.is_empty() => mailbox::nearest_name(into),
            Some(into) => mailbox::nearest_name(&format!("{into}/{name}")),
            None if name.is_empty() => "INBOX".to_owned(),
            None if is_exact => mailbox::nearest_name(name),
            None => mailbox::nearest_name(&special::mapped(name)),
        }
    }

    /// The date of a message: `date`, or that of its newest Received field, or of its Date field,
    /// or now.
    pub(crate) fn date(&self, date: Option<Timestamp>, text: &[u8]) -> Timestamp {
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
    date.and_then(|date| from_line::of_secs(date.secs))
}
