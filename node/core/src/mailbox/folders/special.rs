//! The six special folders, which always exist.

use minicbor::{Decode, Encode};

/// The special use of a folder (RFC 6154), with INBOX; each has exactly one folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SpecialUse {
    /// INBOX: incoming mail. Its title is "Inbox".
    #[n(0)]
    Inbox,
    /// Unfinished messages.
    #[n(1)]
    Drafts,
    /// Sent messages.
    #[n(2)]
    Sent,
    /// Archived messages. Its title is "Kept".
    #[n(3)]
    Archive,
    /// Messages classified as junk.
    #[n(4)]
    Junk,
    /// Discarded messages. Its title is "Bin".
    #[n(5)]
    Trash,
}

impl SpecialUse {
    /// All of them, in the order of the folder list.
    pub const ALL: [Self; 6] =
        [Self::Inbox, Self::Drafts, Self::Sent, Self::Archive, Self::Junk, Self::Trash];

    /// The name in IMAP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbox => "INBOX",
            Self::Drafts => "Drafts",
            Self::Sent => "Sent",
            Self::Archive => "Archive",
            Self::Junk => "Junk",
            Self::Trash => "Trash",
        }
    }

    /// The name on pages.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Inbox => "Inbox",
            Self::Drafts => "Drafts",
            Self::Sent => "Sent",
            Self::Archive => "Kept",
            Self::Junk => "Junk",
            Self::Trash => "Bin",
        }
    }
}
