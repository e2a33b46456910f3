//! Exit codes after sysexits(3): a script can tell wrong arguments from a full disk.

use std::process::ExitCode;

use freehold_core::store::StoreError;

use crate::console;

/// An error with its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Exit {
    /// One sentence: the cause, then what to do.
    message: String,
    /// The exit code of the process.
    code: u8,
}

/// The command's arguments are wrong (EX_USAGE).
pub(crate) const USAGE: u8 = 64;
/// A file or a value has wrong content (EX_DATAERR).
pub(crate) const DATA: u8 = 65;
/// A file or folder does not exist (EX_NOINPUT).
pub(crate) const NO_INPUT: u8 = 66;
/// A resource is not available: a port or the data folder is in use (EX_UNAVAILABLE).
pub(crate) const UNAVAILABLE: u8 = 69;
/// A folder or file can't be written (EX_CANTCREAT).
pub(crate) const CANT_CREATE: u8 = 73;
/// The configuration is wrong (EX_CONFIG).
pub(crate) const CONFIG: u8 = 78;

/// An error with its exit code.
pub(crate) fn with(code: u8, message: impl Into<String>) -> anyhow::Error {
    Exit { message: message.into(), code }.into()
}

/// The error and its causes in one sentence.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        // Many libraries repeat the cause in their own message.
        if !causes.last().is_some_and(|last: &String| last.contains(&cause)) {
            causes.push(cause);
        }
    }
    causes.join(": ")
}

/// The exit code of an error; 1 if it has none.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    let of_exit =
        error.chain().find_map(|cause| cause.downcast_ref::<Exit>()).map(|exit| exit.code);
    of_exit.or_else(|| store_code(error)).unwrap_or(1)
}

/// The exit code for a [`StoreError`] in the chain of causes: the store is full or not available.
pub(crate) fn store_code(error: &anyhow::Error) -> Option<u8> {
    error.chain().find_map(|cause| match cause.downcast_ref::<StoreError>()? {
        StoreError::Full | StoreError::ReadOnly(_) => Some(CANT_CREATE),
        StoreError::Unavailable(_) => Some(UNAVAILABLE),
        StoreError::Corrupt { .. } | StoreError::TooLarge { .. } | StoreError::NoBlob => None,
    })
}

/// Prints the error and returns its exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    console::eprint(format!("freehold: {}", message(error)));
    ExitCode::from(code(error))
}
