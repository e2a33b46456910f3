//! The background task that reads new messages and joins signatures and runs. It works in steps,
//! each of which reads a few messages or makes one commit.

use std::collections::BTreeSet;

use super::forget;
use super::grams::{GramHash, Signature};
use super::run::{self, DroppedRow, Encoded, ROWS_MAX, RUN_LEN_MAX, Run, Signed};
use super::words::WordHash;
use super::{IndexedRow, SignatureRow, indexed, present, signature_key, uid_of};
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
/// So many signatures become a run.
pub(super) const JOINED_MIN: usize = 64;
/// So many small runs are joined.
const SMALL_RUNS_MIN: usize = 16;

/// Brings the messages of a node into the index of texts. There is one at a time for a node.
#[derive(Debug, Default)]
pub struct TextIndexer {
    /// Messages that were read and are not written yet.
    batch: Option<Batch>,
    /// Folders whose signatures or runs may have to be joined; `None` before all were looked at.
    grown: Option<BTreeSet<FolderId>>,
    /// When removed messages are looked for again.
    forget_next: Timestamp,
}

struct Batch {
    folder: FolderId,
    /// All messages up to this UID were read.
    last: u32,
    /// Messages after it that are indexed, if it began at a gap; in order.
    known: Option<Vec<u32>>,
    signed: Vec<Signed>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({:?}, {} messages)", self.folder, self.signed.len())
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
                && let Some(signed) = read_message(node, folder.id, &entry, hash).await?
            {
                batch.signed.push(signed);
            }
            batch.last = entry.uid;
        }
        if is_last {
            // The last ones may have been expunged.
            batch.last = batch.last.max(folder.uid_next.saturating_sub(1));
            batch.known = None;
        }
        if is_last || batch.signed.len() >= RUN_LEN_MAX {
            let folder = batch.folder;
            write(node, batch).await?;
            self.grown.get_or_insert_default().insert(folder);
        } else {
            self.batch = Some(batch);
        }
        Ok(true)
    }

    /// Joins signatures or runs of a folder. False if all folders are done.
    async fn join(&mut self, node: &Node) -> Result<bool, StoreError> {
        if self.grown.is_none() {
            self.grown = Some(load_all(&node.store)?.iter().map(|folder| folder.id).collect());
        }
        while let Some(folder) = self.grown.as_ref().and_then(|grown| grown.first().copied()) {
            if join_signatures(node, folder).await? || join_runs(node, folder).await? {
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
            return Ok(Some(Batch { folder: folder.id, last, known, signed: Vec::new() }));
        }
    }
    Ok(None)
}

/// The messages of a folder that are indexed.
fn known(node: &Node, folder: FolderId) -> Result<Vec<u32>, StoreError> {
    let keys =
        node.store.keys(SignatureRow::TABLE, &Scan::prefix(&folder.key(), usize::MAX >> 1))?;
    let mut known: Vec<u32> = keys.iter().map(|key| uid_of(key)).collect();
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
) -> Result<Option<Signed>, StoreError> {
    let row = match row::get::<MessageRow>(&node.store, &read::key(folder, entry.uid)) {
        Ok(Some(row)) => row,
        Ok(None) | Err(StoreError::Corrupt { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let words = WordHash::new(&node.store)?;
    let signature = move |message: &[u8]| Signature::of(message, hash, &words);
    match read_bytes(node, row.blob, entry.size, signature).await {
        Ok((signature, words)) => Ok(Some(Signed { uid: entry.uid, signature, words })),
        Err(StoreError::Corrupt { .. } | StoreError::NoBlob) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the messages of a batch: as runs, the last few with a row each.
async fn write(node: &Node, batch: Batch) -> Result<(), StoreError> {
    let Batch { folder, last, known, mut signed } = batch;
    let has_gaps = known.is_some();
    loop {
        if signed.len() < JOINED_MIN {
            let indexed = IndexedRow { last, has_gaps };
            let commit = move |tx: &mut Tx<'_>| put_signatures(tx, folder, &signed, indexed);
            return node.store.commit(commit).await;
        }
        let (encoded, all) = try_blocking(move || Ok::<_, StoreError>(split(signed))).await?;
        signed = all;
        let (id, count) = (node.random.array(), encoded.uids.len());
        let rest = signed.get(count..).unwrap_or_default();
        let is_all = rest.is_empty();
        let until = if is_all { last } else { encoded.uids.last().copied().unwrap_or(0) };
        let indexed = IndexedRow { last: until, has_gaps };
        let commit = move |tx: &mut Tx<'_>| {
            let missing = missing(tx, folder, &encoded)?;
            if missing.is_empty() {
                encoded.put(tx, folder, id)?;
                row::put(tx, &folder.key(), &indexed)?;
            }
            Ok::<_, StoreError>(missing)
        };
        let missing = node.store.commit(commit).await?;
        match missing.is_empty() {
            true if is_all => return Ok(()),
            true => drop(signed.drain(..count)),
            false => signed.retain(|signed| missing.binary_search(&signed.uid).is_err()),
        }
    }
}

/// A run of the first messages, as many as fit.
fn split(signed: Vec<Signed>) -> (Encoded, Vec<Signed>) {
    let mut count = run::fitting(signed.iter().map(|signed| signed.uid)).max(1);
    loop {
        match run::encode(signed.get(..count).unwrap_or_default()) {
            Some(encoded) => return (encoded, signed),
            // Some 64 messages fit, whatever they are.
            None => count = (count / 2).max(1),
        }
    }
}

fn put_signatures(
    tx: &mut Tx<'_>,
    folder: FolderId,
    signed: &[Signed],
    indexed: IndexedRow,
) -> Result<(), StoreError> {
    if load(tx, folder)?.is_none() {
        return Ok(());
    }
    let uids: Vec<u32> = signed.iter().map(|signed| signed.uid).collect();
    let present = present(tx, folder, &uids)?;
    for signed in signed.iter().filter(|signed| present.binary_search(&signed.uid).is_ok()) {
        row::put(tx, &signature_key(folder, signed.uid), &SignatureRow::new(signed))?;
    }
    row::put(tx, &folder.key(), &indexed)
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

/// Makes a run of the signatures of a folder, if there are enough.
async fn join_signatures(node: &Node, folder: FolderId) -> Result<bool, StoreError> {
    let found = row::scan::<SignatureRow>(&node.store, &Scan::prefix(&folder.key(), JOINED_MIN))?;
    if found.len() < JOINED_MIN {
        return Ok(false);
    }
    let signed: Vec<Signed> = found.iter().map(|(key, row)| row.signed(key)).collect();
    let keys = found.into_iter().map(|(key, _)| key).collect();
    replace(node, folder, Replaced { runs: Vec::new(), signatures: keys }, signed).await
}

/// Joins small runs of a folder, if there are enough.
async fn join_runs(node: &Node, folder: FolderId) -> Result<bool, StoreError> {
    let mut runs = run::all(&node.store, folder)?;
    runs.retain(Run::is_small);
    if runs.len() < SMALL_RUNS_MIN {
        return Ok(false);
    }
    let (mut rows, mut messages) = (0, 0);
    runs.retain(|run| {
        (rows, messages) = (rows + run.rows(), messages + run.uids.len());
        rows <= ROWS_MAX && messages <= RUN_LEN_MAX
    });
    let reading = node.clone();
    let load = move || {
        let mut signed = Vec::new();
        for run in &runs {
            // There is no other writer: a run that is gone was in a folder that was deleted.
            signed.append(&mut run.load(&reading.store, folder)?.unwrap_or_default());
        }
        signed.sort_by_key(|message| message.uid);
        Ok::<_, StoreError>((runs, signed))
    };
    let (runs, signed) = try_blocking(load).await?;
    replace(node, folder, Replaced { runs, signatures: Vec::new() }, signed).await
}

/// The rows in whose place a run is written.
pub(super) struct Replaced {
    pub(super) runs: Vec<Run>,
    /// The keys of signatures.
    pub(super) signatures: Vec<Vec<u8>>,
}

/// Writes a run in the place of others, without the messages that are gone. False if it would be
/// too long; nothing is changed then.
pub(super) async fn replace(
    node: &Node,
    folder: FolderId,
    replaced: Replaced,
    mut signed: Vec<Signed>,
) -> Result<bool, StoreError> {
    let uids: Vec<u32> = signed.iter().map(|signed| signed.uid).collect();
    let there = present(&node.store, folder, &uids)?;
    signed.retain(|signed| there.binary_search(&signed.uid).is_ok());
    if run::fitting(signed.iter().map(|signed| signed.uid)) < signed.len() {
        return Ok(false);
    }
    let encode = move || Ok::<_, StoreError>(run::encode(&signed));
    let Some(encoded) = try_blocking(encode).await? else { return Ok(false) };
    let id = node.random.array();
    let commit = move |tx: &mut Tx<'_>| {
        // A message that was expunged meanwhile: the next step tries again.
        if load(tx, folder)?.is_none() || !missing(tx, folder, &encoded)?.is_empty() {
            return Ok(());
        }
        for run in &replaced.runs {
            run.drop_in(tx, folder)?;
        }
        for key in &replaced.signatures {
            row::delete::<SignatureRow>(tx, key);
        }
        encoded.put(tx, folder, id)
    };
    node.store.commit(commit).await?;
    Ok(true)
}

/// Deletes some postings of runs that were replaced.
async fn delete_dropped(node: &Node) -> Result<bool, StoreError> {
    let Some(key) = node.store.keys(DroppedRow::TABLE, &Scan::prefix(&[], 1))?.pop() else {
        return Ok(false);
    };
    node.store.commit(move |tx| run::delete_dropped(tx, &key)).await?;
    Ok(true)
}
