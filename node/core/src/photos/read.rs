//! Reading photos, by whoever may.

use super::add::{place_key, slug_key};
use super::forms::SHARING_MAX;
use super::{BlobRow, Photo, PhotoId, PlaceRow, Rendition, Size, SlugRow, uses};
use crate::audience::{Visitor, may_see};
use crate::blobs::BlobReader;
use crate::feed;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError};

/// One photo, if `visitor` may see it: by its own audience, or because a published post shows it.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn by_id(node: &Node, visitor: &Visitor, id: PhotoId) -> Result<Option<Photo>, StoreError> {
    seen(&node.store, visitor, id)
}

pub(super) fn seen(
    rows: &impl Rows,
    visitor: &Visitor,
    id: PhotoId,
) -> Result<Option<Photo>, StoreError> {
    match row::get::<Photo>(rows, &id.0)? {
        Some(photo) if may_see(&photo.audience, visitor) || uses::is_published(rows, id)? => {
            Ok(Some(photo))
        }
        _ => Ok(None),
    }
}

/// The photo whose page has that address, if `visitor` may see it.
///
/// # Errors
/// As [`by_id`].
pub fn by_slug(node: &Node, visitor: &Visitor, slug: &str) -> Result<Option<Photo>, StoreError> {
    match row::get::<SlugRow>(&node.store, &slug_key(&node.store, slug)?)? {
        Some(found) => by_id(node, visitor, found.photo),
        None => Ok(None),
    }
}

/// The photos of the wall that `visitor` may see, the newest first: those added before `before`
/// (all for `None`), at most `limit`. What only posts show does not hang there.
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
        scan = scan.after(&place_key(photo.added, photo.id));
    }
    while found.len() < limit {
        let page = node.store.scan(PlaceRow::TABLE, &scan)?;
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

/// The JPEG of one size and what it is, if `visitor` may see the photo.
///
/// # Errors
/// When it is damaged or the store is unavailable.
pub fn image_bytes(
    node: &Node,
    visitor: &Visitor,
    id: PhotoId,
    size: Size,
) -> Result<Option<(Rendition, BlobReader)>, StoreError> {
    let Some(photo) = by_id(node, visitor, id)? else { return Ok(None) };
    let print = photo.rendition(size);
    Ok(Some((print, node.blobs.open(&print.blob)?)))
}

/// The file as it came, location and all: for the owner alone.
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

/// A blob that a photo shows, by its id, if `visitor` may see any such photo; nothing else can be
/// had this way.
///
/// # Errors
/// As [`image_bytes`].
pub fn shared_blob(
    node: &Node,
    visitor: &Visitor,
    blob: &BlobId,
) -> Result<Option<BlobReader>, StoreError> {
    for (key, _) in node.store.scan(BlobRow::TABLE, &Scan::prefix(&blob.0, SHARING_MAX))? {
        let photo = PhotoId(row::key_part(&key, blob.0.len()));
        if by_id(node, visitor, photo)?.is_some() {
            return node.blobs.open(blob).map(Some);
        }
    }
    Ok(None)
}

/// A photo that has this blob as one of its sizes.
pub(crate) fn with_blob(rows: &impl Rows, blob: &BlobId) -> Result<Option<PhotoId>, StoreError> {
    let found = row::scan::<BlobRow>(rows, &Scan::prefix(&blob.0, 1))?;
    Ok(found.first().map(|(key, _)| PhotoId(row::key_part(key, blob.0.len()))))
}

/// The photo as a feed entry tells of it.
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
