//! How a command ends: the tagged line (RFC 3501 7.1), with the response codes of RFC 5530.

use std::borrow::Cow;

use freehold_core::mailbox::{DeliverError, FlagError, FolderError, TransferError};
use freehold_core::store::StoreError;

use super::cursor::Bad;

/// Whether it went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    No,
    Bad,
}

/// A tagged answer without its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    status: Status,
    code: Option<String>,
    text: Cow<'static, str>,
}

impl Done {
    /// It went well.
    pub(crate) fn ok(text: &'static str) -> Self {
        Self { status: Status::Ok, code: None, text: text.into() }
    }

    /// It did not.
    pub(crate) fn no(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::No, code: None, text: text.into() }
    }

    /// It made no sense, here or at all.
    pub(crate) fn bad(text: &'static str) -> Self {
        Self { status: Status::Bad, code: None, text: text.into() }
    }

    /// The same with a response code.
    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// There is no such folder.
    pub(crate) fn no_folder() -> Self {
        Self::no("there is no such folder").code("NONEXISTENT")
    }

    /// There is no such folder, and the client may make it and try again (RFC 3501 6.3.11).
    pub(crate) fn try_create() -> Self {
        Self::no("there is no such folder").code("TRYCREATE")
    }

    /// The folder was opened with EXAMINE.
    pub(crate) fn read_only() -> Self {
        Self::no("the folder is open for reading only").code("READ-ONLY")
    }

    /// Whether it went well.
    pub(crate) fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// Whether it made no sense.
    pub(crate) fn is_bad(&self) -> bool {
        self.status == Status::Bad
    }

    /// The line, without its end.
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

impl From<Bad> for Done {
    fn from(bad: Bad) -> Self {
        Self::bad(bad.0)
    }
}

impl From<StoreError> for Done {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::no("the disk is full").code("OVERQUOTA"),
            StoreError::TooLarge { .. } => Self::no("that is too large").code("LIMIT"),
            error => {
                tracing::error!(%error, "imap: the store failed");
                Self::no("the store failed; try again later").code("SERVERBUG")
            }
        }
    }
}

impl From<FolderError> for Done {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::NoSuchFolder => Self::no_folder(),
            FolderError::Exists => Self::no("there is a folder of that name").code("ALREADYEXISTS"),
            FolderError::BadName => Self::no("a folder can't be called that").code("CANNOT"),
            FolderError::Special => Self::no("this folder always exists").code("CANNOT"),
            FolderError::TooMany => Self::no("there are too many folders").code("LIMIT"),
            FolderError::Store(error) => error.into(),
        }
    }
}

impl From<FlagError> for Done {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::NoSuchFolder => Self::no_folder(),
            FlagError::BadKeyword => Self::no("a keyword can't be like that").code("CANNOT"),
            FlagError::TooManyKeywords => Self::no("too many different keywords").code("LIMIT"),
            FlagError::Store(error) => error.into(),
        }
    }
}

impl From<DeliverError> for Done {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::NoSuchFolder => Self::try_create(),
            DeliverError::Flags(error) => error.into(),
            DeliverError::FolderFull => Self::no("the folder is full").code("LIMIT"),
            DeliverError::Store(error) => error.into(),
        }
    }
}

impl From<TransferError> for Done {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::NoTarget => Self::try_create(),
            TransferError::Store(error) => error.into(),
            error => Self::no(error.to_string()),
        }
    }
}
