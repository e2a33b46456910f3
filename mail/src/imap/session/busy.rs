//! The command that a session works on.

use crate::imap::completion::Completion;
use crate::imap::framer::Literal;

use crate::stream::ChannelBinding;

/// The response that AUTHENTICATE expects next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// PLAIN: the only response.
    Plain,
    /// SCRAM: the first message, for a mechanism with this channel binding.
    ScramFirst(Option<ChannelBinding>),
    /// SCRAM: a later message.
    Scram,
}

/// A command in progress.
#[derive(Debug)]
pub(super) enum Busy {
    Nothing,
    /// AUTHENTICATE waits for the client's response.
    Authenticating {
        tag: String,
        expected: Expected,
    },
    /// A message of an APPEND is being received.
    Appending(Appending),
    Idle {
        tag: String,
    },
    /// The rest of a command that was refused at a literal is read and dropped.
    Refusing {
        tag: String,
        completion: Completion,
    },
    /// A command has more slices.
    Running {
        tag: String,
        is_search: bool,
    },
    /// A question waits for its answer.
    Asked(Asked),
}

impl Busy {
    /// The tag of the command that takes the next line or literal.
    pub(super) fn tag(&self) -> Option<&str> {
        match self {
            Self::Authenticating { tag, .. }
            | Self::Appending(Appending { tag, .. })
            | Self::Idle { tag }
            | Self::Refusing { tag, .. } => Some(tag),
            Self::Nothing | Self::Running { .. } | Self::Asked(_) => None,
        }
    }
}

/// An APPEND in progress.
#[derive(Debug)]
pub(super) struct Appending {
    pub(super) tag: String,
    /// The length of the command's text up to the literal that is being received.
    pub(super) parsed: usize,
    /// True for a message in `UTF8 (…)`, which a parenthesis ends.
    pub(super) is_open: bool,
}

/// The purpose of the question in progress.
#[derive(Debug)]
pub(super) enum Asked {
    Login {
        tag: String,
    },
    Command {
        tag: String,
    },
    /// The decision about a literal of an APPEND.
    Append {
        appending: Appending,
        literal: Literal,
    },
    /// A piece of an APPEND's message.
    Piece(Appending),
    /// The permission to compress.
    Compress {
        tag: String,
    },
    /// Changes are reported before this completion.
    Report {
        tag: String,
        completion: Completion,
    },
    /// Changes are reported during IDLE.
    IdleReport {
        tag: String,
    },
    /// Changes are reported between commands (RFC 5465).
    Notify,
}
