//! Photos in a format that can't be shown here: kept as they came until they can, for the owner
//! alone.

use minicbor::{Decode, Encode};

use super::PhotoId;
use crate::blobs::{BlobReader, Pinned};
use crate::clock::Timestamp;
use crate::erasure;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{BlobId, Scan, StoreError, Table};

const LISTED_MAX: usize = 10_000;

/// A file that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Unsupported {
    /// Which one.
    #[n(0)]
    pub id: PhotoId,
    /// What it is called.
    #[n(1)]
    pub file_name: String,
    /// What it is.
    #[n(2)]
    pub media_type: String,
    /// When it was added.
    #[n(3)]
    pub added: Timestamp,
    /// The file.
    #[n(4)]
    pub blob: BlobId,
    /// Its length in bytes.
    #[n(5)]
    pub len: u64,
}

impl Record for Unsupported {
    const TABLE: Table = Table::new("photos_kept");
    const VERSION: u8 = 1;
}

/// Keeps a file; the same one again is kept once.
pub(super) async fn keep(
    node: &Node,
    file: Pinned,
    file_name: String,
    media_type: &str,
) -> Result<(), StoreError> {
    let media_type = media_type.to_owned();
    let id = PhotoId(row::key_part(&file.id.0, 0));
    let kept = Unsupported {
        id,
        file_name,
        media_type,
        added: node.clock.now(),
        blob: file.id,
        len: file.len,
    };
    node.store
        .commit(move |tx| {
            tx.attach(&file);
            row::put_referring(tx, &kept.id.0, &kept, &[kept.blob])
        })
        .await
}

/// Every kept file, the newest first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn list_unsupported(node: &Node) -> Result<Vec<Unsupported>, StoreError> {
    let rows = row::scan::<Unsupported>(&node.store, &Scan::prefix(&[], LISTED_MAX))?;
    let mut all: Vec<Unsupported> = rows.into_iter().map(|(_, kept)| kept).collect();
    all.sort_by_key(|kept| std::cmp::Reverse(kept.added));
    Ok(all)
}

/// A kept file's content.
///
/// # Errors
/// When it is damaged or the store is unavailable.
pub fn unsupported_bytes(node: &Node, id: PhotoId) -> Result<Option<BlobReader>, StoreError> {
    row::get::<Unsupported>(&node.store, &id.0)?.map(|kept| node.blobs.open(&kept.blob)).transpose()
}

/// Deletes a kept file for good ([`history`]); one that is not there is no error.
///
/// # Errors
/// When the store refuses.
pub async fn delete_unsupported(node: &Node, id: PhotoId) -> Result<(), StoreError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            let Some(kept) = row::get::<Unsupported>(tx, &id.0)? else { return Ok(()) };
            row::delete::<Unsupported>(tx, &id.0);
            erasure::erase(tx, now, &[kept.blob])
        })
        .await
}
