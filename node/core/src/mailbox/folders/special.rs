//! The six folders that always exist.

use minicbor::{Decode, Encode};

/// What a folder is for (RFC 6154); each at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SpecialUse {
    /// Where mail arrives. People read "Inbox".
    #[n(0)]
    Inbox,
    /// Unfinished messages.
    #[n(1)]
    Drafts,
    /// What was sent.
    #[n(2)]
    Sent,
    /// What is kept. People read "Kept".
    #[n(3)]
    Archive,
    /// What was judged junk.
    #[n(4)]
    Junk,
    /// What was thrown away. People read "Bin".
    #[n(5)]
    Trash,
}

impl SpecialUse {
    /// Every one, in the order people read them.
    pub const ALL: [Self; 6] =
        [Self::Inbox, Self::Drafts, Self::Sent, Self::Archive, Self::Junk, Self::Trash];

    /// The name over IMAP.
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

    /// The name people read.
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
