//! The questions that only the node can answer, and the answers.

use freehold_core::mailbox::FolderId;

use crate::imap::command::Tagged;
use crate::imap::command::append::{Head, MessageHead};
use crate::imap::command::login::Login;
use crate::imap::completion::Completion;
use crate::imap::framer::Literal;
use crate::imap::selected::Numbers;
use crate::sasl::{ScramResponse, ScramStart};

/// A question of the session to the node.
#[derive(Debug)]
pub(crate) enum Question {
    /// Check a user name and an app password.
    Login(Login),
    /// Answer the first message of a SCRAM login.
    Scram(Box<ScramStart>),
    /// Answer a later message of a SCRAM login.
    ScramResponse(ScramResponse),
    /// Run a command on the mailbox.
    Run(Tagged),
    /// Go on with the command that answered [`Answer::More`].
    Continue,
    /// Begin an APPEND, whose message follows in pieces.
    Append {
        /// The command in front of the message.
        head: Head,
        /// The message's length.
        literal: Literal,
    },
    /// Go on with the APPEND's next message (RFC 3502).
    AppendNext {
        /// The arguments in front of it.
        head: MessageHead,
        /// Its length.
        literal: Literal,
    },
    /// The next piece of the message.
    AppendPiece(Vec<u8>),
    /// All messages are complete.
    AppendEnd {
        /// False when the command is malformed and the messages are dropped.
        keep: bool,
    },
    /// Drop the messages received so far.
    AppendAbandon,
    /// May the connection be compressed?
    Compress,
    /// Report the changes in the selected folder.
    Report(Numbers),
    /// Report what NOTIFY asked for, as far as it changed.
    Notify {
        /// True in IDLE.
        is_idle: bool,
    },
}

/// The node's answer. Untagged responses are handed over beside it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The password is right.
    LoggedIn,
    /// A SCRAM login goes on with this challenge, in base64.
    Challenge(String),
    /// The command ended.
    Completed {
        /// The tagged response.
        completion: Completion,
        /// The folder that is selected now.
        selected: Option<FolderId>,
    },
    /// The question is answered and its command goes on.
    More,
    /// A SEARCH, SORT or THREAD goes on. It has printed nothing yet.
    Searching,
    /// The owner has ended the session.
    Ended,
    /// A message body broke off in the middle of a literal, or the mailbox is unusable: nothing
    /// that the client could parse can follow.
    Broken,
}
