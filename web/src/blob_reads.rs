//! Opens blobs off the async workers: opening reads and decrypts the first bytes.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_core::audience::Visitor;
use freehold_core::blobs::BlobReader;
use freehold_core::feed::EntryId;
use freehold_core::mailbox::{self, Message};
use freehold_core::photos::{self, PhotoId, Rendition, Size};
use freehold_core::timeline;

use crate::answer::Problem;
use crate::aside::aside;
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
    aside(move || photos::image_bytes(&node, &visitor, id, size)?.ok_or(Problem::NotFound)).await
}

/// The original of a photo, for the owner.
///
/// # Errors
/// As [`rendition`].
pub(crate) async fn original(site: &Site, id: PhotoId) -> Result<BlobReader, Problem> {
    let node = site.node.clone();
    aside(move || photos::original_bytes(&node, &Visitor::Owner, id)?.ok_or(Problem::NotFound))
        .await
}

/// An original that can't be shown, for the owner.
///
/// # Errors
/// As [`rendition`].
pub(crate) async fn unsupported(site: &Site, id: PhotoId) -> Result<BlobReader, Problem> {
    let node = site.node.clone();
    aside(move || photos::kept_bytes(&node, id)?.ok_or(Problem::NotFound)).await
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
    aside(move || timeline::image_bytes(&node, &entry, number, size)?.ok_or(Problem::NotFound))
        .await
}

/// The text of a message.
///
/// # Errors
/// The store's.
pub(crate) async fn message(site: &Site, message: Message) -> Result<BlobReader, Problem> {
    let node = site.node.clone();
    aside(move || Ok(mailbox::body(&node, &message)?)).await
}
