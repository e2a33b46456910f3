//! Reading photos, as far as the visitor may see them.

use super::rows::{AddedRow, BlobRow, SHARED_MAX, SlugRow, added_key, slug_key};
use super::{Photo, PhotoId, Rendition, Size, references};
use crate::audience::{Visitor, may_see};
use crate::blobs::BlobReader;
use crate::feed;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError};

/// How many rows [`newer`] reads at once.
const NEWER_ROWS: usize = 8;

/// A photo, if `visitor` may see it: by its audience, or because a published post shows it.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn by_id(node: &Node, visitor: &Visitor, id: PhotoId) -> Result<Option<Photo>, StoreError> {
    visible(&node.store, visitor, id)
}

/// [`by_id`] as seen by `rows`.
pub(super) fn visible(
    rows: &impl Rows,
    visitor: &Visitor,
    id: PhotoId,
) -> Result<Option<Photo>, StoreError> {
    match row::get::<Photo>(rows, &id.0)? {
        Some(photo) if may_see(&photo.audience, visitor) || references::is_published(rows, id)? => {
            Ok(Some(photo))
        }
        _ => Ok(None),
    }
}

/// The photo with that slug, if `visitor` may see it.
///
/// # Errors
/// As [`by_id`].
pub fn by_slug(node: &Node, visitor: &Visitor, slug: &str) -> Result<Option<Photo>, StoreError> {
    match row::get::<SlugRow>(&node.store, &slug_key(&node.store, slug)?)? {
        Some(found) => by_id(node, visitor, found.photo),
        None => Ok(None),
    }
}

/// The photos that `visitor` may see by their audience, the newest first: those added before
/// `before` (all for `None`), at most `limit`. A photo that is visible only through a post is not
/// listed.
///
/// # Errors
/// As [`by_id`].
pub fn list(
    node: &Node,
    visitor: &Visitor,
    before: Option<&Photo>,
    limit: usize,
) -> Result<Vec<Photo>, StoreError> {
    let mut found = Vec::new();
    let mut scan = Scan::prefix(&[], limit.max(1)).reversed();
    if let Some(photo) = before {
        scan = scan.after(&added_key(photo.added, photo.id));
    }
    while found.len() < limit {
        let page = node.store.scan(AddedRow::TABLE, &scan)?;
        for (key, _) in &page {
            let photo = row::get::<Photo>(&node.store, &row::key_part::<16>(key, 8))?;
            found.extend(photo.filter(|photo| may_see(&photo.audience, visitor)));
        }
        match page.last() {
            Some((last, _)) => scan = Scan::prefix(&[], limit).reversed().after(last),
            None => break,
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// The photo after `photo` in time that `visitor` may see by its audience.
///
/// # Errors
/// As [`by_id`].
pub fn newer(node: &Node, visitor: &Visitor, photo: &Photo) -> Result<Option<Photo>, StoreError> {
    let mut scan = Scan::prefix(&[], NEWER_ROWS).after(&added_key(photo.added, photo.id));
    loop {
        let page = node.store.scan(AddedRow::TABLE, &scan)?;
        for (key, _) in &page {
            let found = row::get::<Photo>(&node.store, &row::key_part::<16>(key, 8))?;
            if let Some(found) = found.filter(|found| may_see(&found.audience, visitor)) {
                return Ok(Some(found));
            }
        }
        match page.last() {
            Some((last, _)) => scan = Scan::prefix(&[], NEWER_ROWS).after(last),
            None => return Ok(None),
        }
    }
}

/// A rendition and its bytes, if `visitor` may see the photo.
///
/// # Errors
/// When the blob is damaged or the store is unavailable.
pub fn image_bytes(
    node: &Node,
    visitor: &Visitor,
    id: PhotoId,
    size: Size,
) -> Result<Option<(Rendition, BlobReader)>, StoreError> {
    let Some(photo) = by_id(node, visitor, id)? else { return Ok(None) };
    let rendition = photo.rendition(size);
    Ok(Some((rendition, node.blobs.open(&rendition.blob)?)))
}

/// The original file with all its metadata, location included: for the owner only.
///
/// # Errors
/// As [`image_bytes`].
pub fn original_bytes(
    node: &Node,
    visitor: &Visitor,
    id: PhotoId,
) -> Result<Option<BlobReader>, StoreError> {
    match by_id(node, visitor, id)? {
        Some(photo) if *visitor == Visitor::Owner => node.blobs.open(&photo.original).map(Some),
        _ => Ok(None),
    }
}

/// The rendition with that blob id, if `visitor` may see a photo that has it. No other blob is
/// returned.
///
/// # Errors
/// As [`image_bytes`].
pub fn shared_blob(
    node: &Node,
    visitor: &Visitor,
    blob: &BlobId,
) -> Result<Option<BlobReader>, StoreError> {
    for (key, _) in node.store.scan(BlobRow::TABLE, &Scan::prefix(&blob.0, SHARED_MAX))? {
        let photo = PhotoId(row::key_part(&key, blob.0.len()));
        if by_id(node, visitor, photo)?.is_some() {
            return node.blobs.open(blob).map(Some);
        }
    }
    Ok(None)
}

/// A photo that has this blob as a rendition.
pub(crate) fn with_blob(rows: &impl Rows, blob: &BlobId) -> Result<Option<PhotoId>, StoreError> {
    let found = row::scan::<BlobRow>(rows, &Scan::prefix(&blob.0, 1))?;
    Ok(found.first().map(|(key, _)| PhotoId(row::key_part(key, blob.0.len()))))
}

/// The photo as a feed entry describes it.
pub fn entry_photo(photo: &Photo) -> feed::PhotoRef {
    feed::PhotoRef {
        blob: photo.large.blob,
        len: photo.large.len,
        small: photo.small.blob,
        small_len: photo.small.len,
        alt: photo.alt.clone(),
        caption: photo.caption.clone(),
        width: photo.large.width,
        height: photo.large.height,
        thumbhash: photo.thumbhash.clone(),
    }
}
