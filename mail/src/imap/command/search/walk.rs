//! The walk of a SEARCH, SORT or THREAD over a folder, in slices: some messages at a time.

use freehold_core::mailbox;
use freehold_core::store::StoreError;

use super::key::{Cost, Key};
use super::matching::{Candidate, Terms};
use super::query::Query;
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
        Ok(Self { terms, needs, todo: todo.into_iter(), len: BLOBS_PER_SLICE })
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
        let len = match self.terms.cost() {
            Cost::State if self.needs == Needs::default() => STATES_PER_SLICE,
            Cost::State | Cost::Index => INDEXED_PER_SLICE,
            Cost::Header | Cost::Message => self.len,
        };
        let refs: Vec<MessageRef> = self.todo.as_slice().iter().take(len).copied().collect();
        let (Some(first), Some(last)) = (refs.first(), refs.last()) else { return Ok(false) };
        let (first, last) = (first.uid, last.uid);
        let uids: Vec<u32> = refs.iter().map(|named| named.uid).collect();
        let messages = mailbox::messages_named(&cx.node, selected.folder, &uids)?;
        let listing = Listing::read(&cx.node, selected.folder, self.needs, first, last)?;
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
