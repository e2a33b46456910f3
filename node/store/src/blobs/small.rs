//! Small blobs on their way: in memory from `put` on, in the log with the first change that refers
//! to them, in a file from the next checkpoint on.

use std::sync::Arc;

use super::seal::CHUNK_LEN;
use super::write::Spill;
use super::{AtRest, Blobs, told};
use crate::types::{BlobId, StoreError};

/// A blob that travels in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallBlob {
    /// Its content address.
    pub id: BlobId,
    /// How it is to be kept.
    pub form: AtRest,
    /// Its content.
    pub bytes: Arc<[u8]>,
}

pub(super) struct Small {
    pub(super) bytes: Arc<[u8]>,
    /// The form in which a durable group holds it.
    logged: Option<AtRest>,
    /// The form in which it waits for a change to take it along; so it lives by its pins only.
    travelling: Option<AtRest>,
}

impl Small {
    /// What is public in either is public.
    fn form(&self) -> AtRest {
        if [self.logged, self.travelling].contains(&Some(AtRest::Plain)) {
            AtRest::Plain
        } else {
            AtRest::Sealed
        }
    }

    /// Nobody holds it any more: only what a durable group holds stays.
    pub(super) fn let_go(&mut self) -> bool {
        self.travelling = None;
        self.logged.is_some()
    }
}

impl Blobs {
    /// The small blob if no durable group holds it yet: the change that refers to it must carry it
    /// into the log.
    pub fn unlogged(&self, id: &BlobId) -> Option<SmallBlob> {
        let state = self.state();
        let small = state.small.get(id)?;
        Some(SmallBlob { id: *id, form: small.travelling?, bytes: small.bytes.clone() })
    }

    /// A durable group holds `blob` now (just appended, or met again when the log is replayed): it
    /// is there from now on, however long its filing takes.
    pub fn logged(&self, blob: SmallBlob) {
        let mut state = self.state();
        let small = state.small.entry(blob.id).or_insert(Small {
            bytes: blob.bytes,
            logged: None,
            travelling: None,
        });
        small.travelling = small.travelling.filter(|travelling| *travelling != blob.form);
        // Of two groups that hold it, once private and once public, the later one knows who may see
        // it now.
        small.logged = Some(blob.form);
    }

    /// How many bytes of small blobs await the next checkpoint.
    pub fn unfiled_len(&self) -> usize {
        self.state()
            .small
            .values()
            .filter(|small| small.logged.is_some())
            .map(|small| small.bytes.len())
            .sum()
    }

    /// Of the small blobs that await filing, forgets those that `keep` does not want: after a
    /// replay, what no row refers to.
    pub fn retain_unfiled(&self, mut keep: impl FnMut(&BlobId) -> bool) {
        let mut state = self.state();
        let state = &mut *state;
        state
            .small
            .retain(|id, small| small.logged.is_none() || state.pins.contains_key(id) || keep(id));
    }

    /// Files every small blob that a durable group held when this began, all made durable by one
    /// sync of the file system: then the log before that moment is not needed for blobs. Whatever
    /// stood under their names is written over, since it may be what an interrupted filing left.
    /// Returns how many.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the disk's; all are still in memory then, and filed anew the next
    /// time.
    pub fn flush_logged(&self) -> Result<usize, StoreError> {
        let _filing = self.filing();
        let waiting: Vec<BlobId> = self
            .state()
            .small
            .iter()
            .filter(|(_, small)| small.logged.is_some())
            .map(|(id, _)| *id)
            .collect();
        let mut filed = Vec::with_capacity(waiting.len());
        for id in waiting {
            let small = self
                .state()
                .small
                .get(&id)
                .and_then(|small| Some((small.bytes.clone(), small.logged?)));
            let Some((bytes, form)) = small else { continue };
            self.file_one(&id, &bytes, form)?;
            filed.push((id, form));
        }
        if filed.is_empty() {
            return Ok(0);
        }
        self.0.volume.sync().map_err(|e| told(&e))?;
        let mut state = self.state();
        for (id, form) in &filed {
            // One that came again meanwhile in another form waits for the next time, or goes on
            // travelling.
            let Some(small) = state.small.get_mut(id).filter(|small| small.logged == Some(*form))
            else {
                continue;
            };
            small.logged = None;
            if small.travelling.is_none() {
                state.small.remove(id);
            }
        }
        Ok(filed.len())
    }

    /// Writes the file of a small blob, to be made durable by a sync of everything.
    fn file_one(&self, id: &BlobId, bytes: &[u8], form: AtRest) -> Result<(), StoreError> {
        let mut spill = Spill::new(self, form)?;
        let mut chunks = bytes.chunks(CHUNK_LEN).peekable();
        if chunks.peek().is_none() {
            spill.append(&[], true)?;
        }
        while let Some(chunk) = chunks.next() {
            spill.append(chunk, chunks.peek().is_none())?;
        }
        spill.finish(id, form, bytes.len() as u64, false)
    }

    /// Whether the blob is in memory, in this form.
    pub(super) fn has_small(&self, id: &BlobId, form: AtRest) -> bool {
        self.state()
            .small
            .get(id)
            .is_some_and(|small| [small.logged, small.travelling].contains(&Some(form)))
    }

    /// Whether a durable group holds the blob, in this form last, and it waits to be filed.
    pub(super) fn is_logged_as(&self, id: &BlobId, form: AtRest) -> bool {
        self.state().small.get(id).is_some_and(|small| small.logged == Some(form))
    }

    /// Lets the blob travel in this form, whatever it was before.
    pub(super) fn travel(&self, id: BlobId, bytes: Arc<[u8]>, form: AtRest) {
        let mut state = self.state();
        state
            .small
            .entry(id)
            .or_insert(Small { bytes, logged: None, travelling: None })
            .travelling = Some(form);
    }

    pub(super) fn keep_small(&self, id: BlobId, bytes: Arc<[u8]>, form: AtRest) {
        let mut state = self.state();
        let small =
            state.small.entry(id).or_insert(Small { bytes, logged: None, travelling: None });
        // What was private and is now put as public travels once more, as public; the way back is
        // asked for by `store_as`.
        if small.form() == AtRest::Sealed {
            small.travelling = Some(form);
        }
    }
}
