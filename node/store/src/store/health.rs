//! The health of a running store, for monitors and for the owner.

use std::fmt;

/// The abilities of a store at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Rows are read and changes accepted.
    Sound,
    /// Free space is under the margin for other people's content, which is refused.
    Low,
    /// Free space is under the watermark: changes that need space are refused.
    Full,
    /// Rows are read and all changes refused, for this reason. The store tries again by itself.
    Stopped(String),
    /// Rows are read and all changes refused, for this reason: the store was opened on a disk that
    /// cannot be written.
    ReadOnly(String),
    /// Neither rows are read nor changes accepted, for this reason. The store tries again by
    /// itself.
    Unreadable(String),
}

impl Health {
    /// True if rows are read and changes accepted, within the free space.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Sound | Self::Low | Self::Full)
    }

    /// A name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Low => "low",
            Self::Full => "full",
            Self::Stopped(_) => "stopped",
            Self::ReadOnly(_) => "read-only",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sound => f.write_str("sound"),
            Self::Low => f.write_str(
                "the disk is nearly full: mail and friends' content are refused until space is \
                 free",
            ),
            Self::Full => f.write_str(
                "the disk is full: new mail, posts and photos are refused until space is free",
            ),
            Self::Stopped(reason) | Self::ReadOnly(reason) | Self::Unreadable(reason) => {
                f.write_str(reason)
            }
        }
    }
}
