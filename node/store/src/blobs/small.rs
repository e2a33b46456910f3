//! Small blobs: in memory after `put`, in the log with the first change that refers to them, in a
//! pack after the next checkpoint.

use std::sync::Arc;

use super::seal::CHUNK_LEN;
use super::write::SpillFile;
use super::{Blobs, map_error};
use crate::types::{BlobId, StoreError};

/// A blob that is written to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SmallBlob {
    /// Its content address.
    pub(crate) id: BlobId,
    /// Its content.
    pub(crate) bytes: Arc<[u8]>,
}

pub(super) struct Small {
    pub(super) bytes: Arc<[u8]>,
    /// A durable group holds it, and no row its place: its number among such blobs.
    logged: Option<u64>,
    /// The next change that refers to it writes it to the log. Until then it is kept by its pins
    /// only.
    unlogged: bool,
}

impl Small {
    /// Called when the last pin is dropped; false if no durable group holds the blob.
    pub(super) fn unpin(&mut self) -> bool {
        self.unlogged = false;
        self.logged.is_some()
    }
}

impl Blobs {
    /// The small blob if no durable group holds it yet: then the change that refers to it must
    /// write it to the log.
    pub(crate) fn unlogged(&self, id: &BlobId) -> Option<SmallBlob> {
        let state = self.state();
        let small = state.small.get(id).filter(|small| small.unlogged)?;
        Some(SmallBlob { id: *id, bytes: small.bytes.clone() })
    }

    /// Records that a durable group holds `blob`, after an append or during a replay: the blob is
    /// readable from now on, before a pack holds it.
    pub(crate) fn logged(&self, blob: SmallBlob) {
        let mut state = self.state();
        let state = &mut *state;
        let new = Small { bytes: blob.bytes, logged: None, unlogged: false };
        let small = state.small.entry(blob.id).or_insert(new);
        small.unlogged = false;
        if small.logged.is_none() {
            state.logged_count += 1;
            small.logged = Some(state.logged_count);
        }
    }

    /// Records that a durable row holds the place of the blob: it leaves memory.
    pub(crate) fn placed(&self, id: &BlobId) {
        let mut state = self.state();
        if let Some(small) = state.small.get_mut(id) {
            small.logged = None;
            if !small.unlogged {
                state.small.remove(id);
            }
        }
    }

    /// True if a durable group holds the blob and its place is to be written to a row.
    pub(crate) fn awaits_place(&self, id: &BlobId) -> bool {
        let state = self.state();
        !state.doomed.contains(id)
            && state.small.get(id).is_some_and(|small| small.logged.is_some())
    }

    /// The small blobs that wait for the next checkpoint, in the order in which they were logged.
    pub(crate) fn awaiting_place(&self) -> Vec<(BlobId, Arc<[u8]>)> {
        let state = self.state();
        let logged = state.small.iter().filter_map(|(id, small)| Some((small.logged?, id, small)));
        let mut logged: Vec<_> =
            logged.map(|(number, id, small)| (number, *id, small.bytes.clone())).collect();
        drop(state);
        logged.sort_unstable_by_key(|(number, ..)| *number);
        logged.into_iter().map(|(_, id, bytes)| (id, bytes)).collect()
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
    ///
    /// # Errors
    /// Those of `keep`.
    pub(crate) fn retain_unflushed(
        &self,
        mut keep: impl FnMut(&BlobId) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let logged: Vec<BlobId> = self.awaiting_place().into_iter().map(|(id, _)| id).collect();
        for id in logged {
            if keep(&id)? {
                continue;
            }
            let mut state = self.state();
            if !state.pins.contains_key(&id) {
                state.small.remove(&id);
            }
        }
        Ok(())
    }

    /// Writes a file for every small blob that a durable group holds, and makes all of them durable
    /// by one sync of the file system: for a replay, which can write no places. The blobs leave
    /// memory. Returns their ids.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the disk's; all blobs stay in memory.
    pub(crate) fn spill_logged(&self) -> Result<Vec<BlobId>, StoreError> {
        let _files = self.lock_files();
        let logged = self.awaiting_place();
        for (id, bytes) in &logged {
            self.write_file(id, bytes)?;
        }
        if !logged.is_empty() {
            self.0.volume.sync().map_err(|e| map_error(&e))?;
        }
        let ids: Vec<BlobId> = logged.into_iter().map(|(id, _)| id).collect();
        ids.iter().for_each(|id| self.placed(id));
        self.state().spilled |= !ids.is_empty();
        Ok(ids)
    }

    /// Writes the file of a small blob; [`Volume::sync`](crate::fs::Volume::sync) makes it durable.
    pub(super) fn write_file(&self, id: &BlobId, bytes: &[u8]) -> Result<(), StoreError> {
        let mut spill = SpillFile::new(self)?;
        let mut chunks = bytes.chunks(CHUNK_LEN).peekable();
        if chunks.peek().is_none() {
            spill.append(&[], true)?;
        }
        while let Some(chunk) = chunks.next() {
            spill.append(chunk, chunks.peek().is_none())?;
        }
        spill.finish(id, bytes.len() as u64, false)
    }

    /// True if the blob is in memory.
    pub(crate) fn is_in_memory(&self, id: &BlobId) -> bool {
        self.state().small.contains_key(id)
    }

    /// True if the blob is in memory and is not being removed.
    pub(super) fn has_small(&self, id: &BlobId) -> bool {
        let state = self.state();
        state.small.contains_key(id) && !state.doomed.contains(id)
    }

    /// The next change that refers to the blob writes it to the log.
    pub(super) fn insert_small(&self, id: BlobId, bytes: Arc<[u8]>) {
        let mut state = self.state();
        let small = Small { bytes, logged: None, unlogged: false };
        state.small.entry(id).or_insert(small).unlogged = true;
    }

    /// Enters a blob that a change in preparation removes, so that no later pin finds it; false if
    /// it is pinned.
    pub(crate) fn doom(&self, id: &BlobId) -> bool {
        let mut state = self.state();
        let is_free = !state.pins.contains_key(id);
        if is_free {
            state.doomed.insert(*id);
        }
        is_free
    }

    /// Ends the removal of blobs. Those in `removed` leave memory.
    pub(crate) fn undoom(&self, doomed: &[BlobId], removed: &[BlobId]) -> u64 {
        let mut state = self.state();
        let state = &mut *state;
        let before = state.small.len();
        for id in removed {
            // A content that was put again meanwhile is written to the log again.
            if let Some(small) = state.small.get_mut(id) {
                small.logged = None;
                if !small.unlogged {
                    state.small.remove(id);
                }
            }
        }
        for id in doomed {
            state.doomed.remove(id);
        }
        (before - state.small.len()) as u64
    }
}
