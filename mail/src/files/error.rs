//! Why an export or an import ended early.

use std::path::Path;

use freehold_core::mailbox::{DeliverError, FolderError};
use freehold_core::store::StoreError;

/// Why an export or an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// It was stopped, or another export to the same folder runs.
    #[error("{0}")]
    Unavailable(String),
    /// The target of an export can't be written, or is not empty.
    #[error("{0}")]
    Target(String),
    /// The source of an import can't be read.
    #[error("{0}")]
    Source(String),
    /// The source of an import holds no mail.
    #[error("{0}")]
    NoMail(String),
    /// The server of an import can't be reached, or does not do its part.
    #[error("{0}")]
    Server(String),
    /// The server of an import refuses the login.
    #[error("{0}")]
    Login(String),
    /// A folder of the node could not be created.
    #[error("{0}")]
    Folder(#[from] FolderError),
    /// The messages could not be stored.
    #[error("{0}")]
    Deliver(#[from] DeliverError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The cause, after some messages were imported.
    #[error("{cause}; {imported} messages were imported until then{}", cause.next())]
    Partly {
        /// The error that ended the import.
        cause: Box<FilesError>,
        /// The messages imported before it.
        imported: u64,
    },
}

impl FilesError {
    /// A source that can't be read at all.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::Source(format!("can't read {}: {error}", path.display()))
    }

    /// The same error of an import that has stored `imported` messages.
    pub fn after(self, imported: u64) -> Self {
        match self {
            Self::Source(_) | Self::NoMail(_) | Self::Server(_) | Self::Login(_)
                if imported == 0 =>
            {
                self
            }
            cause => Self::Partly { cause: Box::new(cause), imported },
        }
    }

    /// The step that continues the import.
    fn next(&self) -> &'static str {
        match self {
            Self::Source(_) | Self::NoMail(_) | Self::Login(_) => "",
            Self::Store(StoreError::Full)
            | Self::Deliver(DeliverError::Store(StoreError::Full))
            | Self::Folder(FolderError::Store(StoreError::Full)) => {
                "; free some space and run the command again"
            }
            _ => "; run the command again",
        }
    }
}
