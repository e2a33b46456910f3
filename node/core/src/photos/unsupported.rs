//! Photos in an unsupported format: stored as they came, for the owner only.

use minicbor::{Decode, Encode};

use super::PhotoId;
use super::renditions::MediaType;
use crate::blobs::{BlobReader, Pinned};
use crate::clock::Timestamp;
use crate::erasure;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{BlobId, Scan, StoreError, Table};

const LISTED_MAX: usize = 10_000;

/// A stored file in an unsupported format.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Unsupported {
    /// Its id: the beginning of its hash.
    #[n(0)]
    pub id: PhotoId,
    /// Its name.
    #[n(1)]
    pub file_name: String,
    /// Its media type (RFC 2046). Earlier versions wrote "HEIC", also for AVIF.
    #[n(2)]
    pub media_type: String,
    /// When it was added.
    #[n(3)]
    pub added: Timestamp,
    /// Its bytes.
    #[n(4)]
    pub blob: BlobId,
    /// Its length in bytes.
    #[n(5)]
    pub len: u64,
}

impl Unsupported {
    /// Its format.
    pub fn media_type(&self) -> MediaType {
        [MediaType::Avif, MediaType::Jpeg]
            .into_iter()
            .find(|media_type| media_type.as_str() == self.media_type)
            .unwrap_or(MediaType::Heic)
    }
}

impl Record for Unsupported {
    const TABLE: Table = Table::referring("photos_kept");
    const VERSION: u8 = 1;
}

/// Stores a file. The same content again replaces the first.
pub(super) async fn store(
    node: &Node,
    file: Pinned,
    file_name: String,
    media_type: &str,
) -> Result<(), StoreError> {
    let media_type = media_type.to_owned();
    let id = PhotoId(row::key_part(&file.id.0, 0));
    let unsupported = Unsupported {
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
            row::put_referring(tx, &unsupported.id.0, &unsupported, &[unsupported.blob])
        })
        .await
}

/// The files in unsupported formats, the newest first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn list_unsupported(node: &Node) -> Result<Vec<Unsupported>, StoreError> {
    let rows = row::scan::<Unsupported>(&node.store, &Scan::prefix(&[], LISTED_MAX))?;
    let mut all: Vec<Unsupported> = rows.into_iter().map(|(_, file)| file).collect();
    all.sort_by_key(|file| std::cmp::Reverse(file.added));
    Ok(all)
}

/// The bytes of such a file.
///
/// # Errors
/// When they are damaged or the store is unavailable.
pub fn unsupported_bytes(node: &Node, id: PhotoId) -> Result<Option<BlobReader>, StoreError> {
    row::get::<Unsupported>(&node.store, &id.0)?.map(|file| node.blobs.open(&file.blob)).transpose()
}

/// Deletes such a file and erases it from log and snapshots ([`erasure`]); a missing one is no
/// error.
///
/// # Errors
/// When the store refuses.
pub async fn delete_unsupported(node: &Node, id: PhotoId) -> Result<(), StoreError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            let Some(file) = row::get::<Unsupported>(tx, &id.0)? else { return Ok(()) };
            row::delete::<Unsupported>(tx, &id.0);
            erasure::erase(tx, now, &[file.blob])
        })
        .await
}
