//! The health of a running store, for monitors and for the owner.

use std::fmt;

/// The abilities of a store at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Rows are read and changes accepted.
    Sound,
    /// Free space is under the watermark: changes that need space are refused.
    Full,
    /// Rows are read and all changes refused, for this reason. The store tries again by itself.
    Stopped(String),
    /// Neither rows are read nor changes accepted, for this reason. The store tries again by
    /// itself.
    Unreadable(String),
}

impl Health {
    /// True if rows are read and changes accepted, within the free space.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Sound | Self::Full)
    }

    /// A name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Full => "full",
            Self::Stopped(_) => "stopped",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sound => f.write_str("sound"),
            Self::Full => f.write_str(
                "the disk is full: new mail, posts and photos are refused until space is free",
            ),
            Self::Stopped(reason) | Self::Unreadable(reason) => f.write_str(reason),
        }
    }
}
