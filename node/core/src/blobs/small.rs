//! Small blobs on their way: in memory from `put` on, in the log with the first change that refers to them, in a file from the
//! next checkpoint on.

use std::sync::Arc;

use super::seal::CHUNK_LEN;
use super::write::Spill;
use super::{Blobs, Form, told};
use crate::store::{BlobId, StoreError};

/// A blob that travels in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallBlob {
    /// Its content address.
    pub id: BlobId,
    /// How it is to be kept.
    pub form: Form,
    /// Its content.
    pub bytes: Arc<[u8]>,
}

pub(super) struct Small {
    pub(super) blob: SmallBlob,
    /// Whether a durable group holds it; until then it lives by its pins only.
    pub(super) logged: bool,
}

impl Blobs {
    /// The small blob if no durable group holds it yet: the group that first refers to it must carry it along.
    pub fn unlogged(&self, id: &BlobId) -> Option<SmallBlob> {
        self.state().small.get(id).filter(|small| !small.logged).map(|small| small.blob.clone())
    }

    /// A durable group holds `blob` now (just appended, or met again when the log is replayed): it is readable from memory
    /// until the next checkpoint files it.
    pub fn logged(&self, blob: SmallBlob) {
        self.state().small.insert(blob.id, Small { blob, logged: true });
    }

    /// How many bytes of small blobs await the next checkpoint.
    pub fn unfiled_len(&self) -> u64 {
        self.state().small.values().filter(|small| small.logged).map(|small| small.blob.bytes.len() as u64).sum()
    }

    /// Of the small blobs that await filing, forgets those that `keep` does not want: after a replay, what no row refers to.
    pub fn retain_unfiled(&self, mut keep: impl FnMut(&BlobId) -> bool) {
        let mut state = self.state();
        let state = &mut *state;
        state.small.retain(|id, small| !small.logged || state.pins.contains_key(id) || keep(id));
    }

    /// Files every small blob that a durable group held when this began, all made durable by one sync of the file system: then
    /// the log before that moment is not needed for blobs. Whatever stood under their names is written over, since it may be
    /// what an interrupted filing left. Returns how many.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the disk's; all are still in memory then, and filed anew the next time.
    pub fn file_logged(&self) -> Result<usize, StoreError> {
        let _filing = self.filing();
        let waiting: Vec<SmallBlob> = self.state().small.values().filter(|small| small.logged).map(|small| small.blob.clone()).collect();
        if waiting.is_empty() {
            return Ok(0);
        }
        for blob in &waiting {
            let mut spill = Spill::new(self, blob.form)?;
            let mut chunks = blob.bytes.chunks(CHUNK_LEN).peekable();
            if chunks.peek().is_none() {
                spill.append(&[], true)?;
            }
            while let Some(chunk) = chunks.next() {
                spill.append(chunk, chunks.peek().is_none())?;
            }
            spill.finish(&blob.id, blob.form, blob.bytes.len() as u64, false)?;
        }
        self.0.fs.sync_all(&self.0.folder).map_err(|e| told(&e))?;
        let mut state = self.state();
        for blob in &waiting {
            state.small.remove(&blob.id);
        }
        Ok(waiting.len())
    }

    /// Whether the blob is in memory, in this form.
    pub(super) fn has_small(&self, id: &BlobId, form: Form) -> bool {
        self.state().small.get(id).is_some_and(|small| small.blob.form == form)
    }

    pub(super) fn keep_small(&self, blob: SmallBlob) {
        let mut state = self.state();
        let known = state.small.get(&blob.id).map(|small| small.blob.form);
        // What was private and is now put as public travels once more, as public; the other way there is nothing to hide.
        if known.is_none() || blob.form == Form::Public {
            state.small.insert(blob.id, Small { blob, logged: self.0.logless });
        }
    }
}
