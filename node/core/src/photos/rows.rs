//! Rows of photos besides [`Photo`](super::Photo), and their keys.

use minicbor::{Decode, Encode};

use super::{Photo, PhotoId};
use crate::clock::Timestamp;
use crate::node::keyed;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, StoreError, Table, Tx};

/// The most photos that may share one blob; a scan of `BlobRow` reads no more.
pub(super) const SHARED_MAX: usize = 100;

/// Under the slug's keyed hash: the photo.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct SlugRow {
    #[n(0)]
    pub(super) photo: PhotoId,
}

impl Record for SlugRow {
    const TABLE: Table = Table::new("photos_slugs");
    const VERSION: u8 = 1;
}

/// The key of a [`SlugRow`].
pub(super) fn slug_key(rows: &impl Rows, slug: &str) -> Result<[u8; 16], StoreError> {
    keyed(rows, "photo slug", slug.as_bytes())
}

/// Under `time added ‖ photo`: the order of the list.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct AddedRow {}

impl Record for AddedRow {
    const TABLE: Table = Table::new("photos_places");
    const VERSION: u8 = 1;
}

/// The key of an [`AddedRow`].
pub(super) fn added_key(added: Timestamp, id: PhotoId) -> Vec<u8> {
    row::key(&[&added.0.to_be_bytes(), &id.0])
}

/// Under `blob ‖ photo`: the blob is a rendition of the photo.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct BlobRow {}

impl Record for BlobRow {
    const TABLE: Table = Table::new("photos_blobs");
    const VERSION: u8 = 1;
}

/// Under a blob: its form at rest may have to change ([`super::apply_at_rest`]).
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct PendingRow {}

impl Record for PendingRow {
    const TABLE: Table = Table::new("photos_forms");
    const VERSION: u8 = 1;
}

/// Records, in the commit of a change after which others may see a photo than before, that the form
/// at rest of its renditions may have to change. A photo that does not exist is ignored.
pub(super) fn mark_pending(tx: &mut Tx<'_>, photo: PhotoId) -> Result<(), StoreError> {
    if let Some(photo) = row::get::<Photo>(tx, &photo.0)? {
        for rendition in [photo.large, photo.small] {
            mark_blob_pending(tx, &rendition.blob)?;
        }
    }
    Ok(())
}

/// [`mark_pending`] for one blob.
pub(super) fn mark_blob_pending(tx: &mut Tx<'_>, blob: &BlobId) -> Result<(), StoreError> {
    row::put(tx, &blob.0, &PendingRow {})
}
