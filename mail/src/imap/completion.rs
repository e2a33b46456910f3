//! The tagged response that ends a command (RFC 3501 7.1), with the response codes of RFC 5530.

use std::borrow::Cow;

use freehold_core::mailbox::{DeliverError, FlagError, FolderError, TransferError};
use freehold_core::store::StoreError;

use super::cursor::SyntaxError;

/// RFC 3501 7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    No,
    Bad,
}

/// A tagged response without its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    status: Status,
    code: Option<String>,
    text: Cow<'static, str>,
}

impl Completion {
    /// OK: the command succeeded.
    pub(crate) fn ok(text: &'static str) -> Self {
        Self { status: Status::Ok, code: None, text: text.into() }
    }

    /// NO: the command failed.
    pub(crate) fn no(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::No, code: None, text: text.into() }
    }

    /// BAD: the command is unknown, malformed, or not allowed in this state.
    pub(crate) fn bad(text: &'static str) -> Self {
        Self { status: Status::Bad, code: None, text: text.into() }
    }

    /// Adds a response code.
    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The folder does not exist.
    pub(crate) fn no_folder() -> Self {
        Self::no("no such folder").code("NONEXISTENT")
    }

    /// A folder can't have this name.
    pub(crate) fn bad_name() -> Self {
        Self::no("not a valid folder name").code("CANNOT")
    }

    /// The folder does not exist; the client may create it and try again (RFC 3501 6.3.11).
    pub(crate) fn try_create() -> Self {
        Self::no("no such folder").code("TRYCREATE")
    }

    /// Another session expunged messages that the client named (RFC 5530 3).
    pub(crate) fn expunged() -> Self {
        Self::no("some of the messages do not exist any more").code("EXPUNGEISSUED")
    }

    /// The folder was opened with EXAMINE.
    pub(crate) fn read_only() -> Self {
        Self::no("the folder is open read-only").code("READ-ONLY")
    }

    /// The command is valid only in the selected state (RFC 3501 6.4).
    pub(crate) fn not_selected() -> Self {
        Self::bad("select a folder first")
    }

    /// True for OK.
    pub(crate) fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// True for BAD.
    pub(crate) fn is_bad(&self) -> bool {
        self.status == Status::Bad
    }

    /// The response line, without its CR LF.
    pub(crate) fn line(&self, tag: &str) -> String {
        let status = match self.status {
            Status::Ok => "OK",
            Status::No => "NO",
            Status::Bad => "BAD",
        };
        match &self.code {
            Some(code) => format!("{tag} {status} [{code}] {}", self.text),
            None => format!("{tag} {status} {}", self.text),
        }
    }
}

impl From<SyntaxError> for Completion {
    fn from(error: SyntaxError) -> Self {
        Self::bad(error.0)
    }
}

impl From<StoreError> for Completion {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::no("the disk is full").code("OVERQUOTA"),
            StoreError::TooLarge { .. } => Self::no("too large").code("LIMIT"),
            StoreError::ReadOnly(_) | StoreError::Unavailable(_) => {
                tracing::warn!(%error, "imap: the store is not available");
                Self::no("the store is not available; try again later").code("UNAVAILABLE")
            }
            error => {
                tracing::error!(%error, "imap: the store failed");
                Self::no("internal error; try again later").code("SERVERBUG")
            }
        }
    }
}

impl From<FolderError> for Completion {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::NoSuchFolder => Self::no_folder(),
            FolderError::Exists => Self::no("the folder exists already").code("ALREADYEXISTS"),
            FolderError::BadName => Self::bad_name(),
            FolderError::Special => {
                Self::no("a special-use folder can't be changed").code("CANNOT")
            }
            FolderError::TooMany => Self::no("too many folders").code("LIMIT"),
            FolderError::TooManySubscriptions => Self::no("too many subscriptions").code("LIMIT"),
            FolderError::Store(error) => error.into(),
        }
    }
}

impl From<FlagError> for Completion {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::NoSuchFolder => Self::no_folder(),
            FlagError::BadKeyword => Self::no("not a valid keyword").code("CANNOT"),
            FlagError::TooManyKeywords => Self::no("too many different keywords").code("LIMIT"),
            FlagError::Store(error) => error.into(),
        }
    }
}

impl From<DeliverError> for Completion {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::NoSuchFolder => Self::try_create(),
            DeliverError::Flags(error) => error.into(),
            DeliverError::FolderFull => Self::no("the folder is full").code("LIMIT"),
            // Only mail from other servers is charged to a share.
            // Only mail from other servers is held to rules.
            DeliverError::RefusedByRule => Self::no("a rule refuses the message"),
            DeliverError::ShareUsedUp(_) => Self::no("no space is left today").code("OVERQUOTA"),
            DeliverError::Store(error) => error.into(),
        }
    }
}

impl From<TransferError> for Completion {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::NoTarget => Self::try_create(),
            TransferError::Store(error) => error.into(),
            TransferError::Expunged => Self::expunged(),
            error => Self::no(error.to_string()),
        }
    }
}
