//! Blobs opened, read and written off the async workers.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_core::audience::Visitor;
use freehold_core::blobs::{BlobReader, BlobWriter, Pinned};
use freehold_core::blocking::try_blocking;
use freehold_core::feed::EntryId;
use freehold_core::mailbox::{self, Message};
use freehold_core::photos::{self, PhotoId, Rendition, Size};
use freehold_core::store::StoreError;
use freehold_core::timeline;

use crate::problem::Problem;
use crate::site::Site;

/// A size of a photo, if `visitor` may see it.
///
/// # Errors
/// [`Problem::NotFound`], or the store's.
pub(crate) async fn rendition(
    site: &Site,
    visitor: Visitor,
    id: PhotoId,
    size: Size,
) -> Result<(Rendition, BlobReader), Problem> {
    let node = site.node.clone();
    try_blocking(move || photos::image_bytes(&node, &visitor, id, size))
        .await?
        .ok_or(Problem::NotFound)
}

/// The original of a photo, for the owner.
///
/// # Errors
/// As [`rendition`].
pub(crate) async fn original(site: &Site, id: PhotoId) -> Result<BlobReader, Problem> {
    let node = site.node.clone();
    try_blocking(move || photos::original_bytes(&node, &Visitor::Owner, id))
        .await?
        .ok_or(Problem::NotFound)
}

/// A file of an unsupported format, for the owner.
///
/// # Errors
/// As [`rendition`].
pub(crate) async fn unsupported(site: &Site, id: PhotoId) -> Result<BlobReader, Problem> {
    let node = site.node.clone();
    try_blocking(move || photos::unsupported_bytes(&node, id)).await?.ok_or(Problem::NotFound)
}

/// A friend's photo in the timeline.
///
/// # Errors
/// As [`rendition`].
pub(crate) async fn timeline_photo(
    site: &Site,
    entry: EntryId,
    number: u16,
    size: Size,
) -> Result<BlobReader, Problem> {
    let node = site.node.clone();
    try_blocking(move || timeline::image_bytes(&node, &entry, number, size))
        .await?
        .ok_or(Problem::NotFound)
}

/// The source of a message.
///
/// # Errors
/// The store's.
pub(crate) async fn message(site: &Site, message: Message) -> Result<BlobReader, StoreError> {
    let node = site.node.clone();
    try_blocking(move || mailbox::body(&node, &message)).await
}

/// At most `len` bytes from `offset`, and the reader for the bytes after them.
///
/// # Errors
/// The store's.
pub(crate) async fn read_at(
    reader: BlobReader,
    offset: u64,
    len: usize,
) -> Result<(Vec<u8>, BlobReader), StoreError> {
    try_blocking(move || {
        let mut bytes = vec![0; len];
        let read = reader.read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok((bytes, reader))
    })
    .await
}

/// Stores `bytes` as a sealed blob.
///
/// # Errors
/// [`StoreError::Full`], or the disk's.
pub(crate) async fn put(site: &Site, bytes: Vec<u8>) -> Result<Pinned, StoreError> {
    let blobs = site.node.blobs.clone();
    try_blocking(move || blobs.put(&bytes)).await
}

/// A writer for the file of a photo.
///
/// # Errors
/// [`StoreError::Full`].
pub(crate) async fn upload_writer(site: &Site) -> Result<BlobWriter, StoreError> {
    let node = site.node.clone();
    try_blocking(move || photos::upload_writer(&node)).await
}

/// A writer for a blob whose length its writer bounds.
///
/// # Errors
/// [`StoreError::Full`].
pub(crate) async fn writer(site: &Site) -> Result<BlobWriter, StoreError> {
    let blobs = site.node.blobs.clone();
    try_blocking(move || blobs.writer(u64::MAX)).await
}

/// Writes the next bytes of a blob.
///
/// # Errors
/// [`StoreError::TooLarge`], or the disk's.
pub(crate) async fn append(
    mut writer: BlobWriter,
    bytes: Vec<u8>,
) -> Result<BlobWriter, StoreError> {
    try_blocking(move || writer.write(&bytes).map(|()| writer)).await
}

/// Makes a whole blob durable.
///
/// # Errors
/// The disk's.
pub(crate) async fn finish(writer: BlobWriter) -> Result<Pinned, StoreError> {
    try_blocking(move || writer.finish()).await
}
