//! Reading a message that is sent. All of it blocks.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use std::sync::Arc;

use freehold_core::blobs::{BlobReader, Blobs};
use freehold_core::store::{BlobId, StoreError};

use crate::limits::MAIL_PIECE_LEN;

/// A message's text, behind header fields.
pub(super) struct Text {
    prefix: String,
    reader: BlobReader,
}

/// Opens a message's text, behind `prefix`.
pub(super) fn open(blobs: &Blobs, id: &BlobId, prefix: String) -> Result<Arc<Text>, StoreError> {
    Ok(Arc::new(Text { prefix, reader: blobs.open(id)? }))
}

/// The piece at `offset`; shorter at the end alone.
pub(super) fn piece(text: &Text, offset: u64) -> Result<Vec<u8>, StoreError> {
    let Text { prefix, reader } = text;
    let at = usize::try_from(offset).unwrap_or(usize::MAX);
    let first = prefix.as_bytes().get(at..).unwrap_or_default();
    let first = first.get(..MAIL_PIECE_LEN).unwrap_or(first);
    let mut bytes = first.to_vec();
    let mut len = bytes.len();
    bytes.resize(MAIL_PIECE_LEN, 0);
    let offset = offset.saturating_sub(prefix.len() as u64);
    let start = len;
    while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match reader.read_at(offset.saturating_add((len - start) as u64), rest)? {
            0 => break,
            read => len = len.saturating_add(read),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}
