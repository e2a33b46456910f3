//! The background task that reads new messages and joins runs. It works in steps, each of which
//! reads a few messages or makes one commit.

use std::collections::BTreeSet;

use super::content::{Content, MessageTexts};
use super::grams::GramHash;
use super::run::{self, DroppedRow, Encoded, ROWS_MAX, RUN_LEN_MAX, Run, RunId};
use super::{IndexedRow, forget, indexed, old, present};
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::mailbox::deliver::read_bytes;
use crate::mailbox::folders::{Folder, FolderId, load, load_all};
use crate::mailbox::page::Entry;
use crate::mailbox::read::{self, MessageRow};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Tx};

/// The messages read in one step.
const READ_EACH: usize = 32;
/// The words that are gathered before they are written, each once for a message.
const GATHERED_MAX: usize = 2_000_000;
/// Runs that have fewer messages than the first number are joined if there are as many of them as
/// the second says. So a message is written about four times.
const JOINED: [(usize, usize); 3] = [(16, 16), (256, 16), (RUN_LEN_MAX / 2, 4)];

/// Brings the messages of a node into the index of texts. There is one at a time for a node.
#[derive(Debug, Default)]
pub struct TextIndexer {
    /// Messages that were read and are not written yet.
    batch: Option<Batch>,
    /// Folders whose runs may have to be joined; `None` before all were looked at.
    grown: Option<BTreeSet<FolderId>>,
    /// When removed messages are looked for again.
    forget_next: Timestamp,
    /// True if the rows of the earlier index are deleted.
    has_no_old_rows: bool,
}

struct Batch {
    folder: FolderId,
    /// All messages up to this UID were read.
    last: u32,
    /// Messages after it that are indexed, if it began at a gap; in order.
    known: Option<Vec<u32>>,
    content: Content,
    /// The number of words, each once for a message.
    gathered: usize,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({:?}, {} messages)", self.folder, self.content.uids.len())
    }
}

impl TextIndexer {
    /// Does a small part of the work: reads up to 32 messages, or makes a commit. False if there
    /// was nothing to do. Up to 1,024 messages are read before they are written, if there are so
    /// many; what a stop interrupts is read again.
    ///
    /// # Errors
    /// When the store refuses; a later call continues.
    pub async fn step(&mut self, node: &Node) -> Result<bool, StoreError> {
        if !self.has_no_old_rows {
            self.has_no_old_rows = !old::delete_some(node).await?;
            return Ok(true);
        }
        if delete_dropped(node).await? {
            return Ok(true);
        }
        let now = node.clock.now();
        if now >= self.forget_next || self.forget_next.0 > now.0.saturating_add(forget::DELAY) {
            if forget::forget_some(node, now).await? {
                return Ok(true);
            }
            self.forget_next = now.plus_millis(forget::DELAY / 6);
        }
        Ok(self.read_some(node).await? || self.join(node).await?)
    }

    /// Reads some messages of the batch, or begins one; writes it when there are no more.
    async fn read_some(&mut self, node: &Node) -> Result<bool, StoreError> {
        // After an error the messages of the batch are read again.
        let taken = self.batch.take();
        let batch = match taken {
            None => next_batch(node)?,
            Some(batch) => Some(batch),
        };
        let Some(mut batch) = batch else { return Ok(false) };
        let Some(folder) = load(&node.store, batch.folder)? else { return Ok(true) };
        let entries = next_entries(node, &folder, batch.last)?;
        let is_last = entries.len() < READ_EACH;
        let hash = GramHash::new(&node.store)?;
        for entry in entries {
            let is_known = |known: &Vec<u32>| known.binary_search(&entry.uid).is_ok();
            if !batch.known.as_ref().is_some_and(is_known)
                && let Some(texts) = read_message(node, folder.id, &entry, hash).await?
            {
                batch.gathered += texts.words_len();
                batch.content.push(entry.uid, texts);
            }
            batch.last = entry.uid;
        }
        if is_last {
            // The last ones may have been expunged.
            batch.last = batch.last.max(folder.uid_next.saturating_sub(1));
            batch.known = None;
        }
        if is_last || batch.content.uids.len() >= RUN_LEN_MAX || batch.gathered >= GATHERED_MAX {
            let folder = batch.folder;
            write(node, batch, hash).await?;
            self.grown.get_or_insert_default().insert(folder);
        } else {
            self.batch = Some(batch);
        }
        Ok(true)
    }

    /// Joins runs of a folder. False if all folders are done.
    async fn join(&mut self, node: &Node) -> Result<bool, StoreError> {
        if self.grown.is_none() {
            self.grown = Some(load_all(&node.store)?.iter().map(|folder| folder.id).collect());
        }
        while let Some(folder) = self.grown.as_ref().and_then(|grown| grown.first().copied()) {
            if join_runs(node, folder).await? {
                return Ok(true);
            }
            self.grown.get_or_insert_default().remove(&folder);
        }
        Ok(false)
    }
}

/// A batch of the first folder with messages that were not read.
fn next_batch(node: &Node) -> Result<Option<Batch>, StoreError> {
    for folder in load_all(&node.store)?.into_iter().filter(|folder| folder.is_paged) {
        let IndexedRow { last, has_gaps } = indexed(&node.store, folder.id)?;
        if last.saturating_add(1) < folder.uid_next {
            let known = has_gaps.then(|| known(node, folder.id)).transpose()?;
            return Ok(Some(Batch {
                folder: folder.id,
                last,
                known,
                content: Content::default(),
                gathered: 0,
            }));
        }
    }
    Ok(None)
}

/// The messages of a folder that are indexed.
fn known(node: &Node, folder: FolderId) -> Result<Vec<u32>, StoreError> {
    let mut known: Vec<u32> = Vec::new();
    run::all(&node.store, folder)?.iter().for_each(|run| known.extend(&run.uids));
    known.sort_unstable();
    Ok(known)
}

/// The next messages after UID `last`.
fn next_entries(node: &Node, folder: &Folder, last: u32) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::with_capacity(READ_EACH);
    read::each_entry(&node.store, folder, last.saturating_add(1), |entry| {
        entries.push(entry.clone());
        entries.len() < READ_EACH
    })?;
    Ok(entries)
}

/// Reads a message; `None` if it was expunged meanwhile or can't be read: it stays a
/// candidate, and a search meets the damage.
async fn read_message(
    node: &Node,
    folder: FolderId,
    entry: &Entry,
    hash: GramHash,
) -> Result<Option<MessageTexts>, StoreError> {
    let row = match row::get::<MessageRow>(&node.store, &read::key(folder, entry.uid)) {
        Ok(Some(row)) => row,
        Ok(None) | Err(StoreError::Corrupt { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let texts = move |message: &[u8]| MessageTexts::of(message, hash);
    match read_bytes(node, row.blob, entry.size, texts).await {
        Ok(texts) => Ok(Some(texts)),
        Err(StoreError::Corrupt { .. } | StoreError::NoBlob) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the messages of a batch as runs.
async fn write(node: &Node, batch: Batch, hash: GramHash) -> Result<(), StoreError> {
    let Batch { folder, last, known, content, .. } = batch;
    let has_gaps = known.is_some();
    // The messages to be written, the next ones at the end.
    let mut left = vec![content];
    while let Some(next) = left.pop() {
        let (mut encoded, written, mut rest) =
            try_blocking(move || Ok::<_, StoreError>(split(next, hash))).await?;
        left.append(&mut rest);
        let until = match left.is_empty() {
            true => last,
            false => written.uids.last().copied().unwrap_or(0),
        };
        let indexed = IndexedRow { last: until, has_gaps };
        let id = node.random.array();
        let commit = move |tx: &mut Tx<'_>| {
            let missing = match encoded.take() {
                Some(encoded) => put_run(tx, folder, &encoded, id)?,
                None => Vec::new(),
            };
            if missing.is_empty() && load(tx, folder)?.is_some() {
                row::put(tx, &folder.key(), &indexed)?;
            }
            Ok::<_, StoreError>(missing)
        };
        let missing = node.store.commit(commit).await?;
        if !missing.is_empty() {
            let is_there = |uid: u32| missing.binary_search(&uid).is_err();
            left.push(Content::joined(vec![written], is_there));
        }
    }
    Ok(())
}

/// A run of the first messages, as many as fit; these messages; the others, the next ones at the
/// end. No run if there is no message.
fn split(mut next: Content, hash: GramHash) -> (Option<Encoded>, Content, Vec<Content>) {
    let mut rest = Vec::new();
    let mut count = run::fitting(next.uids.iter().copied()).max(1);
    loop {
        if count < next.uids.len() {
            rest.push(next.split_off(count));
        }
        if next.uids.is_empty() {
            return (None, next, rest);
        }
        match run::encode(&next, hash) {
            // One message fits, whatever it has.
            None if next.uids.len() > 1 => count = next.uids.len() / 2,
            encoded => return (encoded, next, rest),
        }
    }
}

/// Writes a run within a commit, if all of its messages are in the folder; returns those that are
/// not.
fn put_run(
    tx: &mut Tx<'_>,
    folder: FolderId,
    encoded: &Encoded,
    id: RunId,
) -> Result<Vec<u32>, StoreError> {
    let missing = missing(tx, folder, encoded)?;
    if missing.is_empty() {
        encoded.put(tx, folder, id)?;
    }
    Ok(missing)
}

/// The messages of a run to be written that are not in the folder any more: all of them if the
/// folder was deleted.
fn missing(tx: &Tx<'_>, folder: FolderId, run: &Encoded) -> Result<Vec<u32>, StoreError> {
    let present = match load(tx, folder)? {
        Some(_) => present(tx, folder, &run.uids)?,
        None => Vec::new(),
    };
    let is_missing = |uid: &u32| present.binary_search(uid).is_err();
    Ok(run.uids.iter().copied().filter(is_missing).collect())
}

/// Joins small runs of a folder, if there are enough.
async fn join_runs(node: &Node, folder: FolderId) -> Result<bool, StoreError> {
    let mut runs = run::all(&node.store, folder)?;
    runs.retain(|run| run.rows() < ROWS_MAX / 2);
    let mut below = 0;
    for (len, count) in JOINED {
        let is_of_size = |run: &&Run| (below..len).contains(&run.uids.len());
        let some: Vec<Run> = runs.iter().filter(is_of_size).cloned().collect();
        if some.len() >= count && join(node, folder, some).await? {
            return Ok(true);
        }
        below = len;
    }
    Ok(false)
}

/// Joins as many of some runs as fit into one.
async fn join(node: &Node, folder: FolderId, mut runs: Vec<Run>) -> Result<bool, StoreError> {
    let (mut rows, mut messages) = (0, 0);
    runs.retain(|run| {
        (rows, messages) = (rows + run.rows(), messages + run.uids.len());
        rows <= ROWS_MAX && messages <= RUN_LEN_MAX
    });
    if runs.len() < 2 {
        return Ok(false);
    }
    let reading = node.clone();
    let load = move || {
        let mut contents = Vec::new();
        for run in &runs {
            // There is no other writer: a run that is gone was in a folder that was deleted.
            contents.extend(run.load(&reading.store)?);
        }
        Ok::<_, StoreError>((runs, contents))
    };
    let (runs, contents) = try_blocking(load).await?;
    replace(node, folder, runs, contents).await
}

/// Writes a run in the place of others, without the messages that are gone. False if it would be
/// too long; nothing is changed then.
pub(super) async fn replace(
    node: &Node,
    folder: FolderId,
    replaced: Vec<Run>,
    contents: Vec<Content>,
) -> Result<bool, StoreError> {
    let mut uids: Vec<u32> =
        contents.iter().flat_map(|content| content.uids.iter().copied()).collect();
    uids.sort_unstable();
    let there = present(&node.store, folder, &uids)?;
    if run::fitting(there.iter().copied()) < there.len() {
        return Ok(false);
    }
    let (hash, id) = (GramHash::new(&node.store)?, node.random.array());
    let encode = move || {
        let stays = |uid: u32| there.binary_search(&uid).is_ok();
        Ok::<_, StoreError>(run::encode(&Content::joined(contents, stays), hash))
    };
    let Some(encoded) = try_blocking(encode).await? else { return Ok(false) };
    let commit = move |tx: &mut Tx<'_>| {
        // A message that was expunged meanwhile: the next step tries again.
        if load(tx, folder)?.is_none() || !missing(tx, folder, &encoded)?.is_empty() {
            return Ok(());
        }
        for run in &replaced {
            run.drop_in(tx)?;
        }
        encoded.put(tx, folder, id)
    };
    node.store.commit(commit).await?;
    Ok(true)
}

/// Deletes some rows of runs that were replaced.
async fn delete_dropped(node: &Node) -> Result<bool, StoreError> {
    let Some(key) = node.store.keys(DroppedRow::TABLE, &Scan::prefix(&[], 1))?.pop() else {
        return Ok(false);
    };
    node.store.commit(move |tx| run::delete_dropped(tx, &key)).await?;
    Ok(true)
}
