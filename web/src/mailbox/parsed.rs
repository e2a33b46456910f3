//! Parsing a stored message, with bounded work.

use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::{self, Message};
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_mime::structure::HEADER_LEN_MAX;
use freehold_mime::{Structure, header_end};

use crate::problem::Problem;
use crate::site::Site;

/// A longer message is not parsed for a page, in bytes; a mail client can show it.
pub(super) const PARSED_LEN_MAX: usize = 32 * 1024 * 1024;

/// A whole message and its structure.
pub(super) struct ParsedMessage {
    pub(super) bytes: Vec<u8>,
    pub(super) structure: Structure,
}

impl ParsedMessage {
    /// Parses a message. Blocks for some milliseconds per MiB.
    #[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { structure: Structure::parse(&bytes), bytes }
    }

    /// The header of the message.
    pub(super) fn header(&self) -> &[u8] {
        self.structure.header(&self.bytes, Structure::ROOT)
    }
}

/// Reads and parses the whole message and runs `read` on it, on a thread that may block and one
/// message at a time: the sender decides how much work that is. `None` if the message is too long.
pub(super) async fn parsed<T: Send + 'static>(
    site: &Site,
    message: &Message,
    read: impl FnOnce(&ParsedMessage) -> T + Send + 'static,
) -> Result<Option<T>, Problem> {
    let permit = site
        .message_parsing
        .clone()
        .acquire_owned()
        .await
        .map_err(|error| Problem::Internal(error.to_string()))?;
    let (node, message) = (site.node.clone(), message.clone());
    let work = move || {
        // Held until the work is done, also if the client has disconnected.
        let _permit = permit;
        parse(&node, &message, read)
    };
    Ok(try_blocking(work).await?)
}

/// The header of a message of any length, at most 256 KiB of it.
pub(super) async fn header_of(site: &Site, message: &Message) -> Result<Vec<u8>, Problem> {
    let (node, message) = (site.node.clone(), message.clone());
    let read = move || header(&node, &message);
    Ok(try_blocking(read).await?)
}

#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn header(node: &Node, message: &Message) -> Result<Vec<u8>, StoreError> {
    let reader = mailbox::body(node, message)?;
    let (mut header, mut len) = (vec![0; HEADER_LEN_MAX], 0usize);
    while let Some(rest) = header.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match reader.read_at(len as u64, rest)? {
            0 => break,
            read => len = len.saturating_add(read),
        }
    }
    header.truncate(len);
    header.truncate(header_end::len(&header));
    Ok(header)
}

#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn parse<T>(
    node: &Node,
    message: &Message,
    read: impl FnOnce(&ParsedMessage) -> T,
) -> Result<Option<T>, StoreError> {
    match mailbox::body(node, message)?.read_all(PARSED_LEN_MAX) {
        Ok(bytes) => Ok(Some(read(&ParsedMessage::of(bytes)))),
        Err(StoreError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
