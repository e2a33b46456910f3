//! Reading a message that is sent. All of it blocks.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use std::sync::Arc;

use freehold_core::blobs::{BlobReader, Blobs};
use freehold_core::store::{BlobId, StoreError};

use crate::limits::MAIL_PIECE_LEN;

/// A reader of a message's text.
pub(super) fn open(blobs: &Blobs, id: &BlobId) -> Result<Arc<BlobReader>, StoreError> {
    Ok(Arc::new(blobs.open(id)?))
}

/// The piece at `offset`; shorter at the end alone.
pub(super) fn piece(reader: &BlobReader, offset: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; MAIL_PIECE_LEN];
    let mut len = 0usize;
    while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match reader.read_at(offset.saturating_add(len as u64), rest)? {
            0 => break,
            read => len = len.saturating_add(read),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}
