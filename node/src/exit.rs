//! Exit codes, after sysexits(3), so that a script can tell a wrong word from a full disk.

use std::process::ExitCode;

use freehold_core::store::StoreError;

use crate::say;

/// An error that knows its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Exit {
    /// The one clear sentence.
    message: String,
    /// What the process ends with.
    code: u8,
}

/// The words of the command were wrong.
pub(crate) const USAGE: u8 = 64;
/// A file that was handed in does not say what it should.
pub(crate) const DATA: u8 = 65;
/// A file or folder that was named is not there.
pub(crate) const NO_INPUT: u8 = 66;
/// Something the command needs is not to be had: a port is taken, a folder in use.
pub(crate) const UNAVAILABLE: u8 = 69;
/// A folder or file can't be written.
pub(crate) const CANT_CREATE: u8 = 73;
/// The configuration is wrong.
pub(crate) const CONFIG: u8 = 78;

/// An error with its exit code.
pub(crate) fn with(code: u8, message: impl Into<String>) -> anyhow::Error {
    Exit { message: message.into(), code }.into()
}

/// The error in one sentence, causes included.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        // A library often repeats its cause in its own words; once is enough.
        if !causes.last().is_some_and(|last: &String| last.contains(&cause)) {
            causes.push(cause);
        }
    }
    causes.join(": ")
}

/// The exit code an error asks for; 1 if it does not say.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    let of_exit =
        error.chain().find_map(|cause| cause.downcast_ref::<Exit>()).map(|exit| exit.code);
    of_exit.or_else(|| of_store(error)).unwrap_or(1)
}

/// The code of a store that could not keep what it was given, whatever that was.
pub(crate) fn of_store(error: &anyhow::Error) -> Option<u8> {
    error.chain().find_map(|cause| match cause.downcast_ref::<StoreError>()? {
        StoreError::Full => Some(CANT_CREATE),
        StoreError::Unavailable(_) => Some(UNAVAILABLE),
        StoreError::Corrupt { .. } | StoreError::TooLarge { .. } | StoreError::NoBlob => None,
    })
}

/// Prints the error and gives the code to end with.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    say::aside(format!("freehold: {}", sentence(error)));
    ExitCode::from(code(error))
}
