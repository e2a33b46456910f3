//! REPLACE and UID REPLACE (RFC 8508): an APPEND of one message that expunges another one in the
//! same commit.

use freehold_core::mailbox::{FolderId, ReplaceError};

use crate::imap::completion::Completion;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::selected::{Access, Selected};
use crate::imap::sequence::{Numbering, Set};

/// The message to be replaced, as the client named it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) by: Numbering,
    pub(crate) set: Set,
}

/// The message to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) folder: FolderId,
    pub(crate) uid: u32,
}

impl Named {
    /// The number and the space behind it.
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: Numbering) -> Result<Self, SyntaxError> {
        let set = cursor.number_in_use()?;
        cursor.space()?;
        Ok(Self { by, set })
    }

    /// Finds the message in the selected folder.
    pub(crate) fn find(&self, selected: Option<&Selected>) -> Result<Replaced, Completion> {
        let selected = selected.ok_or_else(Completion::not_selected)?;
        if selected.access == Access::Read {
            return Err(Completion::read_only());
        }
        let uids = selected.uids(&self.set, self.by)?;
        let uid = uids.first().copied().ok_or_else(Completion::expunged)?;
        Ok(Replaced { folder: selected.folder, uid })
    }
}

impl From<ReplaceError> for Completion {
    fn from(error: ReplaceError) -> Self {
        match error {
            ReplaceError::Expunged => Self::expunged(),
            ReplaceError::Deliver(error) => error.into(),
        }
    }
}
