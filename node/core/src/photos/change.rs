//! Changing a photo's texts and audience, and deleting it.

use super::rows::{AddedRow, BlobRow, SlugRow, added_key, slug_key};
use super::{ALT_LEN_MAX, Photo, PhotoId, references, too_long};
use crate::audience::Audience;
use crate::erasure;
use crate::events::Event;
use crate::node::Node;
use crate::row;
use crate::store::StoreError;
use crate::text::permitted;

/// Why a photo was not changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such photo.
    #[error("there is no such photo")]
    NoSuchPhoto,
    /// A post shows it; take it out of the post first.
    #[error("a post shows this photo")]
    InUse,
    /// The alternative text or the caption is too long.
    #[error("the {what} is {len} bytes, the limit is {len_max}")]
    TooLong {
        /// Which of them.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        len_max: usize,
    },
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Changes a photo's texts and audience.
///
/// # Errors
/// When there is no such photo or a text is too long.
pub async fn change(
    node: &Node,
    id: PhotoId,
    alt: String,
    caption: String,
    audience: Audience,
) -> Result<Photo, ChangeError> {
    let (alt, caption) = (permitted(&alt).into_owned(), permitted(&caption).into_owned());
    if let Some((what, len)) = too_long(&alt, &caption) {
        return Err(ChangeError::TooLong { what, len, len_max: ALT_LEN_MAX });
    }
    node.store
        .commit(move |tx| {
            let before = row::get::<Photo>(tx, &id.0)?.ok_or(ChangeError::NoSuchPhoto)?;
            let photo = Photo { alt, caption, audience, ..before };
            row::put_referring(tx, &id.0, &photo, &photo.blobs())?;
            tx.after(Event::Public);
            Ok(photo)
        })
        .await
}

/// Deletes a photo with its original; both are erased from log and snapshots ([`erasure`]).
///
/// # Errors
/// When there is no such photo, or a post shows it.
pub async fn delete(node: &Node, id: PhotoId) -> Result<(), ChangeError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            tx.mark_essential();
            let photo = row::get::<Photo>(tx, &id.0)?.ok_or(ChangeError::NoSuchPhoto)?;
            if references::is_referenced(tx, id)? {
                return Err(ChangeError::InUse);
            }
            row::delete::<Photo>(tx, &id.0);
            let key = slug_key(tx, &photo.slug)?;
            row::delete::<SlugRow>(tx, &key);
            row::delete::<AddedRow>(tx, &added_key(photo.added, id));
            for rendition in photo.renditions() {
                row::delete::<BlobRow>(tx, &row::key(&[&rendition.blob.0, &id.0]));
            }
            erasure::erase(tx, now, &photo.blobs())?;
            tx.after(Event::Public);
            Ok(())
        })
        .await
}
