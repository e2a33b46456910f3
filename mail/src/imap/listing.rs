//! The mailbox's index of some messages: printed envelopes and structures, header fields, search
//! texts. A message whose details were too long to be kept, or were not read yet, has none;
//! then its bytes are read.

use freehold_core::mailbox::{self, Column, FolderId, Values};
use freehold_core::node::Node;
use freehold_core::store::{BlobId, StoreError};

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    header: Option<Values>,
    envelope: Option<Values>,
    structure: Option<Values>,
    search: Option<Values>,
    /// In the order of UIDs.
    blobs: Vec<(u32, BlobId)>,
}

/// The data that is read of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) header: bool,
    pub(crate) envelope: bool,
    pub(crate) structure: bool,
    pub(crate) search: bool,
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
            blobs: match needs.blobs {
                true => mailbox::blobs(node, folder, first, last)?,
                false => Vec::new(),
            },
        })
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

    /// The blob of a message.
    pub(crate) fn blob(&self, uid: u32) -> Option<BlobId> {
        let at = self.blobs.binary_search_by_key(&uid, |(known, _)| *known).ok()?;
        self.blobs.get(at).map(|(_, blob)| *blob)
    }
}
