//! Photos of earlier versions have no medium size. It is made from the large one while the node
//! runs, one photo at a time.

use super::add::{DECODING, store_rendition};
use super::rows::{AddedRow, BlobRow};
use super::{FILE_LEN_MAX, Photo, PhotoId, renditions};
use crate::blocking::try_blocking;
use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError};

/// How many rows are read at once.
const PAGE_ROWS: usize = 100;

/// Adds the medium size to the photos that lack it, and returns to how many. A photo whose large
/// size can't be read is left as it is.
///
/// # Errors
/// When the store is unavailable.
pub async fn add_medium_sizes(node: &Node) -> Result<u64, StoreError> {
    let mut added = 0;
    let mut scan = Scan::prefix(&[], PAGE_ROWS);
    loop {
        let page = node.store.scan(AddedRow::TABLE, &scan)?;
        let Some((last, _)) = page.last() else { return Ok(added) };
        scan = Scan::prefix(&[], PAGE_ROWS).after(last);
        for (key, _) in &page {
            let id = PhotoId(row::key_part::<16>(key, 8));
            if let Some(photo) = row::get::<Photo>(&node.store, &id.0)?.filter(lacks_medium) {
                added += u64::from(add_medium(node, photo).await?);
            }
        }
    }
}

fn lacks_medium(photo: &Photo) -> bool {
    photo.medium.is_none() && photo.large.width.max(photo.large.height) > renditions::MEDIUM_EDGE
}

/// Adds the medium size to one photo; false if it could not be made, or the photo is gone.
async fn add_medium(node: &Node, photo: Photo) -> Result<bool, StoreError> {
    let unavailable = |error: tokio::sync::AcquireError| StoreError::Unavailable(error.to_string());
    let permit = DECODING.acquire().await.map_err(unavailable)?;
    let (blobs, large) = (node.blobs.clone(), photo.large.blob);
    let made = try_blocking(move || {
        let len_max = usize::try_from(FILE_LEN_MAX).unwrap_or(usize::MAX);
        let Ok(bytes) = blobs.open(&large).and_then(|reader| reader.read_all(len_max)) else {
            return Ok(None);
        };
        let made = renditions::medium_of(&bytes).ok();
        made.map(|made| store_rendition(&blobs, &made)).transpose()
    })
    .await?;
    drop(permit);
    let Some((medium, pinned)) = made else {
        tracing::warn!(photo = %photo.id, "no medium size could be made of a photo");
        return Ok(false);
    };
    node.store
        .commit(move |tx| {
            let Some(photo) = row::get::<Photo>(tx, &photo.id.0)?.filter(lacks_medium) else {
                return Ok(false);
            };
            tx.attach(&pinned);
            let photo = Photo { medium: Some(medium), ..photo };
            row::put(tx, &row::key(&[&medium.blob.0, &photo.id.0]), &BlobRow {})?;
            row::put_referring(tx, &photo.id.0, &photo, &photo.blobs())?;
            tx.after(Event::Public);
            Ok(true)
        })
        .await
}
