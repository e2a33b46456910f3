//! Mail in files of other programs: Maildir and mbox, written by an export and read by an import.
//!
//! Both formats are written with LF line ends, as Dovecot, mutt and Python write them; the node's
//! messages have CRLF (RFC 5322 2.1). Everything here blocks, and is called inside `blocking`.

#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

mod date;
mod error;
mod export;
mod folder_name;
mod from_line;
pub(crate) mod gmail;
mod import;
mod line_ends;
mod maildir_name;
mod manifest;
mod mbox_reader;
mod open;
pub(crate) mod special;
mod state_fields;

use serde::{Deserialize, Serialize};

pub use error::FilesError;
pub use export::{ExportReport, export};
pub use import::{ImportOptions, ImportReport, OnProgress, import};
pub(crate) use import::{Message, Storage, too_long};

pub(crate) type Result<T> = std::result::Result<T, FilesError>;

/// A format of mail in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A folder per mailbox and a file per message (Maildir++).
    Maildir,
    /// A file per mailbox (RFC 4155), quoted as mboxrd.
    Mbox,
}

/// The sender in the From_ lines of an export. It says that the message is quoted as mboxrd.
const FROM_SENDER: &str = "mboxrd@freehold";

/// How many messages that were left out are named.
const NAMED_MAX: usize = 100;

/// Messages and files that were left out, with the reasons.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// The first of them.
    pub named: Vec<String>,
    /// All of them.
    pub count: u64,
}

impl LeftOut {
    /// Adds one: its place and the reason.
    pub(crate) fn add(&mut self, place: &str, reason: &str) {
        self.count += 1;
        if self.named.len() < NAMED_MAX {
            // A name may have characters that a terminal acts upon.
            let place: String =
                place.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            self.named.push(format!("{place}: {reason}"));
        }
    }

    /// A line for each that is named, and one for the others.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.named.iter().map(|line| format!("  {line}")).collect();
        let more = self.count.saturating_sub(self.named.len() as u64);
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
        lines
    }
}
