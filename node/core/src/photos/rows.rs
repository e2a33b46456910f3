//! Rows of photos besides [`Photo`](super::Photo), and their keys.

use minicbor::{Decode, Encode};

use super::PhotoId;
use crate::clock::Timestamp;
use crate::node::{Node, keyed};
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table};

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

/// Under a blob: an earlier version, which stored a photo that anyone may see unsealed, had to
/// change the form of this blob.
const FORMS: Table = Table::new("photos_forms");

/// How many rows one change removes.
const FORMS_MAX: usize = 500;

/// Removes the rows of an earlier version about the form of photos at rest. Blocks.
///
/// # Errors
/// When the store is unavailable.
pub fn drop_forms(node: &Node) -> Result<(), StoreError> {
    while !node.store.keys(FORMS, &Scan::prefix(&[], 1))?.is_empty() {
        node.store.commit_blocking(|tx| {
            for (key, _) in tx.scan(FORMS, &Scan::prefix(&[], FORMS_MAX))? {
                tx.delete(FORMS, &key);
            }
            Ok::<_, StoreError>(())
        })?;
    }
    Ok(())
}
