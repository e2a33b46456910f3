//! The mailbox's index of some messages: printed envelopes and structures, header fields, search
//! texts, summaries, ids. A message whose details were too long to be kept, or were not read yet,
//! has none; then its bytes are read.

use std::sync::Arc;

use freehold_core::blobs::BlobReader;
use freehold_core::mailbox::{self, Column, Content, FolderId, Message, Values};
use freehold_core::node::Node;
use freehold_core::store::{BlobId, StoreError};

/// A message that is opened ahead has at most this length, in bytes.
const SHORT_LEN: u64 = 32 * 1024;
/// Messages that are opened ahead have together at most this length, in bytes.
const OPENED_LEN_MAX: u64 = 1024 * 1024;
/// Fewer messages are not worth a thread.
const AHEAD_MIN: usize = 8;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    header: Option<Values>,
    envelope: Option<Values>,
    structure: Option<Values>,
    search: Option<Values>,
    summary: Option<Values>,
    /// In the order of UIDs.
    contents: Vec<(u32, Content)>,
    /// Opened ahead, in the order of UIDs.
    opened: Vec<(u32, Arc<BlobReader>)>,
}

/// The data that is read of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) header: bool,
    pub(crate) envelope: bool,
    pub(crate) structure: bool,
    pub(crate) search: bool,
    pub(crate) summary: bool,
    /// Ids and dates in the rows of messages.
    pub(crate) content: bool,
    /// The bytes of the messages.
    pub(crate) blobs: bool,
}

impl Needs {
    /// The data that is needed here or there.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            header: self.header || other.header,
            envelope: self.envelope || other.envelope,
            structure: self.structure || other.structure,
            search: self.search || other.search,
            summary: self.summary || other.summary,
            content: self.content || other.content,
            blobs: self.blobs || other.blobs,
        }
    }
}

impl Listing {
    /// Reads what is needed of the messages with a UID from `first` to `last`.
    pub(crate) fn read(
        node: &Node,
        folder: FolderId,
        needs: Needs,
        first: u32,
        last: u32,
    ) -> Result<Self, StoreError> {
        let column = |is_needed: bool, column: Column| {
            is_needed.then(|| mailbox::values(node, folder, column, first, last)).transpose()
        };
        Ok(Self {
            header: column(needs.header, Column::Header)?,
            envelope: column(needs.envelope, Column::Envelope)?,
            structure: column(needs.structure, Column::Structure)?,
            search: column(needs.search, Column::Search)?,
            summary: column(needs.summary, Column::Summary)?,
            contents: match needs.content || needs.blobs {
                true => mailbox::contents(node, folder, first, last)?,
                false => Vec::new(),
            },
            opened: Vec::new(),
        })
    }

    /// Opens the blobs of short messages ahead, on two threads: a program that downloads a folder
    /// waits for little else.
    pub(crate) fn open_ahead(&mut self, node: &Node, messages: &[(u32, Message)]) {
        let mut left = OPENED_LEN_MAX;
        let mut wanted: Vec<(u32, BlobId)> = Vec::new();
        for (_, message) in messages.iter().filter(|(_, message)| message.size <= SHORT_LEN) {
            let Some(rest) = left.checked_sub(message.size) else { break };
            left = rest;
            wanted.extend(self.blob(message.uid).map(|blob| (message.uid, blob)));
        }
        let (first, second) = wanted.split_at_checked(wanted.len() / 2).unwrap_or((&wanted, &[]));
        self.opened = std::thread::scope(|scope| {
            let first = (first.len() >= AHEAD_MIN).then(|| scope.spawn(|| open(node, first)));
            let mut second = open(node, second);
            let mut opened = first.and_then(|first| first.join().ok()).unwrap_or_default();
            opened.append(&mut second);
            opened
        });
    }

    /// The header fields that are kept, as a header.
    pub(crate) fn header(&self, uid: u32) -> Option<&[u8]> {
        self.header.as_ref()?.get(uid)
    }

    /// The printed ENVELOPE.
    pub(crate) fn envelope(&self, uid: u32) -> Option<&[u8]> {
        self.envelope.as_ref()?.get(uid)
    }

    /// The printed BODY and BODYSTRUCTURE.
    pub(crate) fn structures(&self, uid: u32) -> Option<(&[u8], &[u8])> {
        mailbox::structures(self.structure.as_ref()?.get(uid)?)
    }

    /// The folded text of an address field or the subject, empty if the message has none.
    pub(crate) fn searched(&self, uid: u32, field: &str) -> Option<&str> {
        mailbox::searched(self.search.as_ref()?.get(uid)?, field)
    }

    /// The bytes of a message, if they were opened ahead.
    pub(crate) fn opened(&self, uid: u32) -> Option<Arc<BlobReader>> {
        let at = self.opened.binary_search_by_key(&uid, |(known, _)| *known).ok()?;
        self.opened.get(at).map(|(_, reader)| Arc::clone(reader))
    }

    /// The values of [`Column::Summary`].
    pub(crate) fn summaries(&self) -> Option<&Values> {
        self.summary.as_ref()
    }

    /// The ids and dates of a message that never change; `None` if it was expunged meanwhile.
    pub(crate) fn content(&self, uid: u32) -> Option<&Content> {
        let at = self.contents.binary_search_by_key(&uid, |(known, _)| *known).ok()?;
        self.contents.get(at).map(|(_, content)| content)
    }

    /// The blob of a message.
    pub(crate) fn blob(&self, uid: u32) -> Option<BlobId> {
        self.content(uid).map(|content| content.blob)
    }
}

/// Opens blobs; one that fails is opened again, and reported, when it is sent.
#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn open(node: &Node, blobs: &[(u32, BlobId)]) -> Vec<(u32, Arc<BlobReader>)> {
    let open = |(uid, blob): &(u32, BlobId)| {
        node.blobs.open(blob).ok().map(|reader| (*uid, Arc::new(reader)))
    };
    blobs.iter().filter_map(open).collect()
}
