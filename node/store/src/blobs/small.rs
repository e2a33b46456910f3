//! Small blobs: in memory after `put`, in the log with the first change that refers to them, in a
//! file after the next checkpoint.

use std::sync::Arc;

use super::seal::CHUNK_LEN;
use super::write::SpillFile;
use super::{AtRest, Blobs, map_error};
use crate::types::{BlobId, StoreError};

/// A blob that is written to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SmallBlob {
    /// Its content address.
    pub(crate) id: BlobId,
    /// Its encoding at rest.
    pub(crate) at_rest: AtRest,
    /// Its content.
    pub(crate) bytes: Arc<[u8]>,
}

pub(super) struct Small {
    pub(super) bytes: Arc<[u8]>,
    /// Its encoding in the last durable group with it, until it is flushed to a file.
    logged: Option<AtRest>,
    /// The encoding in which the next change that refers to it writes it to the log. Until then it
    /// is kept by its pins only.
    unlogged: Option<AtRest>,
}

impl Small {
    /// Plain if either encoding is plain.
    fn at_rest(&self) -> AtRest {
        if [self.logged, self.unlogged].contains(&Some(AtRest::Plain)) {
            AtRest::Plain
        } else {
            AtRest::Sealed
        }
    }

    /// Called when the last pin is dropped; false if no durable group holds the blob.
    pub(super) fn unpin(&mut self) -> bool {
        self.unlogged = None;
        self.logged.is_some()
    }
}

impl Blobs {
    /// The small blob if no durable group holds it in the requested encoding yet: then the change
    /// that refers to it must write it to the log.
    pub(crate) fn unlogged(&self, id: &BlobId) -> Option<SmallBlob> {
        let state = self.state();
        let small = state.small.get(id)?;
        Some(SmallBlob { id: *id, at_rest: small.unlogged?, bytes: small.bytes.clone() })
    }

    /// Records that a durable group holds `blob`, after an append or during a replay: the blob is
    /// readable from now on, before it is flushed to a file.
    pub(crate) fn logged(&self, blob: SmallBlob) {
        let mut state = self.state();
        let small = state.small.entry(blob.id).or_insert(Small {
            bytes: blob.bytes,
            logged: None,
            unlogged: None,
        });
        small.unlogged = small.unlogged.filter(|unlogged| *unlogged != blob.at_rest);
        // Of two groups with the blob in different encodings the later one is right.
        small.logged = Some(blob.at_rest);
    }

    /// The bytes of small blobs that wait for the next checkpoint.
    pub(crate) fn unflushed_len(&self) -> usize {
        self.state()
            .small
            .values()
            .filter(|small| small.logged.is_some())
            .map(|small| small.bytes.len())
            .sum()
    }

    /// Drops the logged small blobs for which `keep` returns false: after a replay, those that no
    /// row refers to.
    pub(crate) fn retain_unflushed(&self, mut keep: impl FnMut(&BlobId) -> bool) {
        let mut state = self.state();
        let state = &mut *state;
        state
            .small
            .retain(|id, small| small.logged.is_none() || state.pins.contains_key(id) || keep(id));
    }

    /// Writes the file of every small blob that a durable group holds, and makes all of them
    /// durable by one sync of the file system. The log before this call is then not needed for
    /// blobs. Existing files of these names are overwritten, since an interrupted flush may have
    /// left them. Returns the number of blobs.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the disk's; all blobs stay in memory and the next call writes them
    /// again.
    pub fn flush_logged(&self) -> Result<usize, StoreError> {
        let _files = self.lock_files();
        let logged_ids: Vec<BlobId> = self
            .state()
            .small
            .iter()
            .filter(|(_, small)| small.logged.is_some())
            .map(|(id, _)| *id)
            .collect();
        let mut flushed = Vec::with_capacity(logged_ids.len());
        for id in logged_ids {
            let small = self
                .state()
                .small
                .get(&id)
                .and_then(|small| Some((small.bytes.clone(), small.logged?)));
            let Some((bytes, at_rest)) = small else { continue };
            self.write_file(&id, &bytes, at_rest)?;
            flushed.push((id, at_rest));
        }
        if flushed.is_empty() {
            return Ok(0);
        }
        self.0.volume.sync().map_err(|e| map_error(&e))?;
        let mut state = self.state();
        for (id, at_rest) in &flushed {
            // A blob that was logged again in the other encoding waits for the next flush.
            let Some(small) =
                state.small.get_mut(id).filter(|small| small.logged == Some(*at_rest))
            else {
                continue;
            };
            small.logged = None;
            if small.unlogged.is_none() {
                state.small.remove(id);
            }
        }
        Ok(flushed.len())
    }

    /// Writes the file of a small blob; [`Volume::sync`](crate::fs::Volume::sync) makes it durable.
    fn write_file(&self, id: &BlobId, bytes: &[u8], at_rest: AtRest) -> Result<(), StoreError> {
        let mut spill = SpillFile::new(self, at_rest)?;
        let mut chunks = bytes.chunks(CHUNK_LEN).peekable();
        if chunks.peek().is_none() {
            spill.append(&[], true)?;
        }
        while let Some(chunk) = chunks.next() {
            spill.append(chunk, chunks.peek().is_none())?;
        }
        spill.finish(id, at_rest, bytes.len() as u64, false)
    }

    /// True if the blob is in memory, in this encoding.
    pub(super) fn has_small(&self, id: &BlobId, at_rest: AtRest) -> bool {
        self.state()
            .small
            .get(id)
            .is_some_and(|small| [small.logged, small.unlogged].contains(&Some(at_rest)))
    }

    /// True if the blob waits for a flush and the last durable group with it has this encoding.
    pub(super) fn is_logged_as(&self, id: &BlobId, at_rest: AtRest) -> bool {
        self.state().small.get(id).is_some_and(|small| small.logged == Some(at_rest))
    }

    /// The next change that refers to the blob writes it to the log in this encoding, regardless of
    /// its encoding was before.
    pub(super) fn insert_unlogged(&self, id: BlobId, bytes: Arc<[u8]>, at_rest: AtRest) {
        let mut state = self.state();
        state.small.entry(id).or_insert(Small { bytes, logged: None, unlogged: None }).unlogged =
            Some(at_rest);
    }

    pub(super) fn insert_small(&self, id: BlobId, bytes: Arc<[u8]>, at_rest: AtRest) {
        let mut state = self.state();
        let small = state.small.entry(id).or_insert(Small { bytes, logged: None, unlogged: None });
        // A sealed blob that is put again as plain becomes plain. The opposite change is made by
        // `store_as` only.
        if small.at_rest() == AtRest::Sealed {
            small.unlogged = Some(at_rest);
        }
    }
}
