//! The blocking half of a local delivery.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_core::blobs::{Blobs, Pinned};
use freehold_core::store::{BlobId, StoreError};

/// The size of one read, in bytes.
const PIECE_LEN: usize = 64 * 1024;

/// Stores a copy of `text` with `header` in front of it.
pub(super) fn with_header(
    blobs: &Blobs,
    text: &BlobId,
    header: &str,
) -> Result<Pinned, StoreError> {
    let reader = blobs.open(text)?;
    let len = reader.len().saturating_add(header.len() as u64);
    let mut writer = blobs.writer(len)?;
    writer.write(header.as_bytes())?;
    let mut piece = vec![0; PIECE_LEN];
    let mut at = 0;
    loop {
        let len = reader.read_at(at, &mut piece)?;
        if len == 0 {
            return writer.finish();
        }
        writer.write(piece.get(..len).unwrap_or_default())?;
        at += len as u64;
    }
}
