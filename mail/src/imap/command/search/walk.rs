//! The walk of a SEARCH, SORT or THREAD over a folder, in slices: some messages at a time.

use std::sync::Arc;

use freehold_core::mailbox;
use freehold_core::store::StoreError;

use super::key::{Cost, Key};
use super::matching::{Candidate, Terms};
use super::query::Query;
use crate::imap::command::sort::known_keys::KnownKeys;
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::listing::{Listing, Needs};
use crate::imap::selected::{MessageRef, Selected};

/// Messages examined in one slice when only flags, sizes and dates are read.
const STATES_PER_SLICE: usize = 5_000;
/// Messages examined in one slice when texts of the index are read.
const INDEXED_PER_SLICE: usize = 2_000;
/// Messages whose blobs are read in one slice.
const BLOBS_PER_SLICE: usize = 20;
/// Bytes of whole messages after which a slice ends: between slices the session sees whether the
/// client has left. One message may be longer.
const BYTES_PER_SLICE: u64 = 4 * 1024 * 1024;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Walk {
    terms: Terms,
    /// The data that the keys and the caller need of each message.
    needs: Needs,
    /// Keys of messages of which the caller reads no more than these; none if it reads all.
    known: Vec<Arc<KnownKeys>>,
    todo: std::vec::IntoIter<MessageRef>,
    /// The messages of the next slice, if blobs may be read: the more of them the index excludes,
    /// the more.
    len: usize,
}

impl Walk {
    /// Begins a walk whose caller reads `needs` of the messages that are found.
    ///
    /// # Errors
    /// As [`Query::key`], and when the store is unavailable.
    pub(crate) fn start(
        cx: &Context,
        selected: &Selected,
        query: Query,
        needs: Needs,
    ) -> Result<Self, Completion> {
        let key: Key = query.key()?;
        let terms = Terms::new(cx, key, selected, cx.node.clock.now())?;
        let needs = terms.needs().with(needs);
        let mut todo = selected.all();
        todo.retain(|named| !terms.excludes(named.uid));
        let (todo, known) = (todo.into_iter(), Vec::new());
        Ok(Self { terms, needs, known, todo, len: BLOBS_PER_SLICE })
    }

    /// The same walk, whose caller reads nothing of the messages that are in all of `known`.
    pub(crate) fn knowing(self, known: Vec<Arc<KnownKeys>>) -> Self {
        Self { known, ..self }
    }

    /// The next messages, at most `count`.
    fn next(&self, count: usize) -> (Vec<MessageRef>, Vec<u32>) {
        let refs: Vec<MessageRef> = self.todo.as_slice().iter().take(count).copied().collect();
        let uids = refs.iter().map(|named| named.uid).collect();
        (refs, uids)
    }

    /// The data that is read of some messages.
    fn needs_of(&self, uids: &[u32]) -> Needs {
        let is_known = !self.known.is_empty() && self.known.iter().all(|keys| keys.covers(uids));
        if is_known { self.terms.needs() } else { self.needs }
    }

    /// Examines the next slice and calls `found` with each message that matches, in the order of
    /// the folder. False once all messages were examined.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(crate) fn slice(
        &mut self,
        cx: &Context,
        selected: &Selected,
        mut found: impl FnMut(&mut Candidate<'_>) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        let mut len = match self.terms.cost() {
            Cost::State => STATES_PER_SLICE,
            Cost::Index => INDEXED_PER_SLICE,
            Cost::Header | Cost::Message => self.len,
        };
        let (mut refs, mut uids) = self.next(len);
        let mut needs = self.needs_of(&uids);
        if needs != Needs::default() && len > INDEXED_PER_SLICE {
            len = INDEXED_PER_SLICE;
            (refs, uids) = self.next(len);
            needs = self.needs_of(&uids);
        }
        let (Some(first), Some(last)) = (refs.first(), refs.last()) else { return Ok(false) };
        let (first, last) = (first.uid, last.uid);
        let messages = mailbox::messages_named(&cx.node, selected.folder, &uids)?;
        let listing = Listing::read(&cx.node, selected.folder, needs, first, last)?;
        let mut rest = refs.iter().peekable();
        let (mut bytes, mut blobs) = (0u64, 0usize);
        let is_full =
            |bytes: u64, blobs: usize| bytes >= BYTES_PER_SLICE || blobs >= BLOBS_PER_SLICE;
        for message in &messages {
            // A message that arrived meanwhile has no sequence number, one expunged has no row.
            while rest.next_if(|named| named.uid < message.uid).is_some() {}
            if is_full(bytes, blobs) {
                break;
            }
            let Some(&MessageRef { number, uid }) = rest.next_if(|named| named.uid == message.uid)
            else {
                continue;
            };
            let mut candidate =
                Candidate::new(cx, &listing, message, number, selected.is_recent(uid));
            if self.terms.match_message(&mut candidate)? {
                found(&mut candidate)?;
            }
            if candidate.was_read() {
                blobs += 1;
                bytes = bytes.saturating_add(message.size);
            }
        }
        let unexamined = if is_full(bytes, blobs) { rest.len() } else { 0 };
        let examined = refs.len().saturating_sub(unexamined);
        self.len = match unexamined {
            0 => len.saturating_mul(4).min(INDEXED_PER_SLICE),
            _ => examined.max(BLOBS_PER_SLICE),
        };
        self.todo.by_ref().take(examined).for_each(drop);
        Ok(true)
    }
}
