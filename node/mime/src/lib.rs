//! The one reader of mail messages. It takes bytes that a stranger wrote and gives the structure
//! of the message, its header fields, addresses, dates and decoded text.
//!
//! The reader does no IO and never fails: every sequence of bytes is a message. The work is linear
//! in the length of the message. No structure is recursive, so neither reading nor dropping can
//! exhaust the stack. Delivery, IMAP and web all use this crate, so they can't disagree about what
//! a message contains.

pub mod address;
pub mod ascii_header;
pub mod casemap;
pub mod charset;
pub mod content;
#[cfg(test)]
mod damaged;
pub mod date;
pub mod encoding;
mod enriched;
pub mod flowed;
pub mod header;
pub mod header_end;
pub mod html;
pub mod imap;
pub mod line_ends;
pub mod media;
#[cfg(test)]
mod oracle;
pub mod people;
pub mod search;
pub mod structure;
pub mod subject;
pub mod text;
mod uuencoded;
pub mod word;

pub use content::{Content, Shown};
pub use structure::{Kind, Part, PartId, Structure};
