//! Searching the body of one message.

use freehold_mime::{Structure, search as text};

use super::Message;
use crate::mailbox::read;
use crate::node::Node;
use crate::store::StoreError;

/// The work that a search may still do on bodies.
pub(super) struct BodyBudget {
    /// Messages to be opened.
    pub(super) messages: usize,
    /// Bytes to be read.
    pub(super) bytes: u64,
    /// A longer message is searched by its header alone, in bytes.
    pub(super) message_len_max: u64,
}

/// Whether the texts of a message's body have all `words`, which are folded; `None` once the budget
/// is used up. Blocks: it reads and parses the message.
///
/// # Errors
/// When the store is unavailable.
#[allow(clippy::disallowed_methods, reason = "a search runs inside `blocking`")]
pub(super) fn message_has_words(
    node: &Node,
    message: &Message,
    words: &[&str],
    budget: &mut BodyBudget,
) -> Result<Option<bool>, StoreError> {
    if message.size > budget.message_len_max {
        return Ok(Some(false));
    }
    if budget.messages == 0 || budget.bytes == 0 {
        return Ok(None);
    }
    budget.messages -= 1;
    budget.bytes = budget.bytes.saturating_sub(message.size);
    let len_max = usize::try_from(budget.message_len_max).unwrap_or(usize::MAX);
    let bytes = match read::body(node, message).and_then(|body| body.read_all(len_max)) {
        Ok(bytes) => bytes,
        // Expunged meanwhile, or damaged, which `freehold check` reports: the others are found.
        Err(StoreError::NoBlob | StoreError::Corrupt { .. } | StoreError::TooLarge { .. }) => {
            return Ok(Some(false));
        }
        Err(error) => return Err(error),
    };
    let body = text::fold(&text::body(&bytes, &Structure::parse(&bytes)));
    Ok(Some(words.iter().all(|word| body.contains(word))))
}
