//! Writing a blob that a friend's node sends, part by part: a photo or a message. All of it blocks.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_core::blobs::{BlobWriter, Blobs, Pinned};
use freehold_core::store::StoreError;

/// A writer for a blob of `len` bytes, if the disk has space for all of them and the owner's
/// margin. Boxed: its hasher
/// has 2 KiB, which each future that moves it would have several times.
pub(crate) fn begin(blobs: &Blobs, len: u64) -> Result<Box<BlobWriter>, StoreError> {
    blobs.check_space_for_strangers(len)?;
    Ok(Box::new(blobs.writer(len)?))
}

/// Writes the next bytes of a blob.
pub(crate) fn append(
    mut writer: Box<BlobWriter>,
    bytes: &[u8],
) -> Result<Box<BlobWriter>, StoreError> {
    writer.write(bytes)?;
    Ok(writer)
}

/// Makes a whole blob durable.
pub(crate) fn finish(writer: Box<BlobWriter>) -> Result<Pinned, StoreError> {
    writer.finish()
}
