//! Small blobs on their way: in memory from `put` on, in the log with the first change that refers to them, in a file from the
//! next checkpoint on.

use std::sync::Arc;

use super::seal::CHUNK_LEN;
use super::write::Spill;
use super::{Blobs, Form, told};
use crate::store::{BlobId, Filing, Hold, SmallBlob, StoreError};

pub(super) struct Small {
    pub(super) bytes: Arc<[u8]>,
    /// The form in which a durable group carries it.
    carried: Option<Form>,
    /// The form in which it waits for a change to take it along; so it lives by its pins only.
    travelling: Option<Form>,
}

impl Small {
    /// What is public in either is public.
    pub(super) fn form(&self) -> Form {
        if [self.carried, self.travelling].contains(&Some(Form::Public)) { Form::Public } else { Form::Private }
    }

    /// Nobody holds it any more: only what a durable group carries stays.
    pub(super) fn let_go(&mut self) -> bool {
        self.travelling = None;
        self.carried.is_some()
    }
}

impl Filing for Blobs {
    fn hold(&self, id: &BlobId) -> Result<Hold, StoreError> {
        let pinned = self.pin_unseen(*id, 0);
        // Pinned first, looked for second: nothing can remove it in between. A damaged one counts: a row may go on referring
        // to it, to be moved, flagged and deleted.
        if self.contains(id)? { Ok(Box::new(pinned)) } else { Err(StoreError::NoBlob) }
    }

    fn travelling(&self, id: &BlobId) -> Option<SmallBlob> {
        let state = self.state();
        let small = state.small.get(id)?;
        Some(SmallBlob { id: *id, form: small.travelling?.number(), bytes: small.bytes.clone() })
    }

    fn carried(&self, blob: &SmallBlob) {
        // A form that is not known comes from a later version, and is kept as what shows least.
        let form = Form::from_number(blob.form).unwrap_or(Form::Private);
        let mut state = self.state();
        let small = state.small.entry(blob.id).or_insert(Small { bytes: blob.bytes.clone(), carried: None, travelling: None });
        small.travelling = small.travelling.filter(|travelling| *travelling != form);
        // What two groups carry, once private and once public, need only be found.
        small.carried = if small.carried == Some(Form::Public) { small.carried } else { Some(form) };
    }

    fn file(&self, blobs: &[SmallBlob]) -> Result<(), StoreError> {
        let _filing = self.filing();
        let mut filed = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let small = self.state().small.get(&blob.id).and_then(|small| Some((small.bytes.clone(), small.carried?)));
            let Some((bytes, form)) = small else { continue };
            self.file_one(&blob.id, &bytes, form)?;
            filed.push((blob.id, form));
        }
        if filed.is_empty() {
            return Ok(());
        }
        self.0.fs.sync_all(&self.0.folder).map_err(|e| told(&e))?;
        let mut state = self.state();
        for (id, form) in filed {
            // One that came again meanwhile in another form waits for the next time, or goes on travelling.
            let Some(small) = state.small.get_mut(&id).filter(|small| small.carried == Some(form)) else { continue };
            small.carried = None;
            if small.travelling.is_none() {
                state.small.remove(&id);
            }
        }
        Ok(())
    }
}

impl Blobs {
    /// Writes the file of a small blob, to be made durable by a sync of everything.
    fn file_one(&self, id: &BlobId, bytes: &[u8], form: Form) -> Result<(), StoreError> {
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
    pub(super) fn has_small(&self, id: &BlobId, form: Form) -> bool {
        self.state().small.get(id).is_some_and(|small| [small.carried, small.travelling].contains(&Some(form)))
    }

    pub(super) fn keep_small(&self, id: BlobId, bytes: Arc<[u8]>, form: Form) {
        let mut state = self.state();
        let small = state.small.entry(id).or_insert(Small { bytes, carried: None, travelling: None });
        // What was private and is now put as public travels once more, as public; the other way there is nothing to hide.
        if small.form() == Form::Private {
            small.travelling = Some(form);
        }
        if self.0.logless {
            small.carried = small.travelling.take().or(small.carried);
        }
    }
}
