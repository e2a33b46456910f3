//! The photos of friends' posts: what is still to be fetched, and what has come.

use super::{PhotoRow, WantedRow, photo_key};
use crate::blobs::{BlobReader, Pinned};
use crate::events::Event;
use crate::feed::EntryId;
use crate::identity::PersonId;
use crate::node::Node;
use crate::photos::Size;
use crate::row;
use crate::store::{BlobId, Scan, StoreError};

const PHOTOS_OF_ONE_BLOB_MAX: usize = 300;

/// A blob that a friend's post names and that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedBlob {
    /// Which blob.
    pub blob: BlobId,
    /// How long its author says it is, in bytes.
    pub len: u64,
    /// Who said so, and has it.
    pub author: PersonId,
}

/// Blobs still to be fetched, at most `limit`, each once per photo that shows it, past `after` in the order of ids.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn wanted_blobs(node: &Node, after: Option<BlobId>, limit: usize) -> Result<Vec<WantedBlob>, StoreError> {
    let scan = Scan::prefix(&[], limit);
    let scan = match after {
        // No key is longer than the blob, the entry and the number: this is behind all of that blob's.
        Some(blob) => scan.after(&row::key(&[&blob.0, &[0xff; 35]])),
        None => scan,
    };
    let rows = row::scan::<WantedRow>(&node.store, &scan)?;
    let mut wanted: Vec<WantedBlob> = Vec::new();
    for (key, row) in rows {
        wanted.push(WantedBlob { blob: BlobId(row::key_part(&key, 0)), len: row.len, author: PersonId(row.author) });
    }
    wanted.dedup();
    Ok(wanted)
}

/// Lets the photos that wait for a blob have it; whether any did.
///
/// # Errors
/// When the store refuses.
pub async fn blob_arrived(node: &Node, blob: Pinned) -> Result<bool, StoreError> {
    node.store
        .commit(move |tx| {
            let wanted = row::scan::<WantedRow>(tx, &Scan::prefix(&blob.id.0, PHOTOS_OF_ONE_BLOB_MAX))?;
            tx.attach(&blob);
            for (key, _) in &wanted {
                row::delete::<WantedRow>(tx, key);
                let photo_key = key.get(blob.id.0.len()..).unwrap_or_default();
                let Some(mut photo) = row::get::<PhotoRow>(tx, photo_key)? else { continue };
                photo.has_large |= photo.large == blob.id;
                photo.has_small |= photo.small == blob.id;
                row::put_referring(tx, photo_key, &photo, &photo.held())?;
            }
            if !wanted.is_empty() {
                tx.after(Event::Timeline);
            }
            Ok(!wanted.is_empty())
        })
        .await
}

/// One photo of an item; `None` when there is none or it has not arrived.
///
/// # Errors
/// When it is damaged or the store is unavailable.
pub fn image_bytes(node: &Node, entry: &EntryId, number: u16, size: Size) -> Result<Option<BlobReader>, StoreError> {
    let Some(photo) = row::get::<PhotoRow>(&node.store, &photo_key(entry, number))? else { return Ok(None) };
    let (has, blob) = match size {
        Size::Large => (photo.has_large, photo.large),
        Size::Small => (photo.has_small, photo.small),
    };
    if has { node.blobs.open(&blob).map(Some) } else { Ok(None) }
}
