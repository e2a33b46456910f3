//! References from posts to photos, so that no photo is deleted while a post shows it.

use minicbor::{Decode, Encode};

use super::PhotoId;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Under `photo ‖ post`.
#[derive(Encode, Decode)]
#[cbor(map)]
struct ReferenceRow {
    /// Whether the post is published: then everybody who sees the post sees the photo.
    #[n(0)]
    is_published: bool,
}

impl Record for ReferenceRow {
    const TABLE: Table = Table::new("photos_uses");
    const VERSION: u8 = 1;
}

/// The most references of one photo that are read.
const READ_MAX: usize = 1000;

/// Records that the post with this id shows these photos.
pub(crate) fn add_references(
    tx: &mut Tx<'_>,
    post: &[u8; 16],
    photos: &[PhotoId],
    is_published: bool,
) -> Result<(), StoreError> {
    for photo in photos {
        row::put(tx, &row::key(&[&photo.0, post]), &ReferenceRow { is_published })?;
    }
    Ok(())
}

/// Records that the post no longer shows these photos.
pub(crate) fn remove_references(tx: &mut Tx<'_>, post: &[u8; 16], photos: &[PhotoId]) {
    for photo in photos {
        row::delete::<ReferenceRow>(tx, &row::key(&[&photo.0, post]));
    }
}

/// Whether a post or draft shows the photo.
pub(super) fn is_referenced(tx: &Tx<'_>, photo: PhotoId) -> Result<bool, StoreError> {
    Ok(!tx.scan(ReferenceRow::TABLE, &Scan::prefix(&photo.0, 1))?.is_empty())
}

/// The ids of the posts and drafts that show the photo.
///
/// # Errors
/// When the store is unavailable.
pub(crate) fn referring(rows: &impl Rows, photo: PhotoId) -> Result<Vec<[u8; 16]>, StoreError> {
    let references = row::scan::<ReferenceRow>(rows, &Scan::prefix(&photo.0, READ_MAX))?;
    Ok(references.iter().map(|(key, _)| row::key_part(key, 16)).collect())
}

/// Whether a published post shows the photo.
pub(super) fn is_published(rows: &impl Rows, photo: PhotoId) -> Result<bool, StoreError> {
    let references = row::scan::<ReferenceRow>(rows, &Scan::prefix(&photo.0, READ_MAX))?;
    Ok(references.iter().any(|(_, reference)| reference.is_published))
}
