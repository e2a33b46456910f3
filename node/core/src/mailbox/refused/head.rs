//! The author and the subject of a refused message, read when the list is shown.

use freehold_mime::text::one_line;
use freehold_mime::{Structure, content, header, people, word};

use super::{FIELD_LEN_MAX, RefusalId, RefusedRow};
use crate::mailbox::Correspondent;
use crate::node::Node;
use crate::row;
use crate::store::StoreError;

/// How much of a message is read, in bytes.
const READ_LEN: usize = 64 * 1024;

/// The fields by which its owner recognises a refused message. A stranger wrote them, and any may
/// be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedHead {
    /// The authors (RFC 5322 3.6.2).
    pub from: Vec<Correspondent>,
    /// The subject, on one line.
    pub subject: String,
}

/// The head of a refused message; `None` if its text was not stored, or can't be read. Blocks.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
#[allow(clippy::disallowed_methods, reason = "the caller runs it in `blocking`")]
pub fn refused_head(node: &Node, id: RefusalId) -> Result<Option<RefusedHead>, StoreError> {
    let row = row::get::<RefusedRow>(&node.store, &id.0)?;
    let Some(text) = row.and_then(|row| row.text) else { return Ok(None) };
    let mut bytes = vec![0; READ_LEN];
    let read = node.blobs.open(&text).and_then(|text| text.read_at(0, &mut bytes));
    match read {
        Ok(len) => bytes.truncate(len),
        // `freehold check` reports the damage; the refusal is listed without its head.
        Err(StoreError::NoBlob | StoreError::Corrupt { .. }) => return Ok(None),
        Err(error) => return Err(error),
    }
    let structure = Structure::parse(&bytes);
    let fields = structure.header(&bytes, Structure::ROOT);
    let charset = content::main_charset(&structure);
    let charset = charset.as_deref();
    let from = people::first(fields, "from", charset).into_iter();
    let subject = header::first(fields, "subject").unwrap_or_default();
    Ok(Some(RefusedHead {
        from: from
            .map(|person| Correspondent { name: person.name, address: person.address })
            .collect(),
        subject: one_line(&word::decode(subject, charset), FIELD_LEN_MAX),
    }))
}
