//! Which posts show which photos, so that none is deleted from under a post.

use minicbor::{Decode, Encode};

use super::{PhotoId, forms};
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Under `photo ‖ post`.
#[derive(Encode, Decode)]
#[cbor(map)]
struct UseRow {
    /// Whether the post is out: then the photo has left with it.
    #[n(0)]
    is_published: bool,
}

impl Record for UseRow {
    const TABLE: Table = Table::new("photos_uses");
    const VERSION: u8 = 1;
}

const USES_MAX: usize = 1000;

/// Notes that a post (by its id's bytes) shows these photos.
pub(crate) fn add_references(
    tx: &mut Tx<'_>,
    post: &[u8; 16],
    photos: &[PhotoId],
    is_published: bool,
) -> Result<(), StoreError> {
    for photo in photos {
        row::put(tx, &row::key(&[&photo.0, post]), &UseRow { is_published })?;
        if is_published {
            forms::note(tx, *photo)?;
        }
    }
    Ok(())
}

/// Notes that a post does not show these photos any more.
pub(crate) fn remove_references(
    tx: &mut Tx<'_>,
    post: &[u8; 16],
    photos: &[PhotoId],
) -> Result<(), StoreError> {
    for photo in photos {
        let key = row::key(&[&photo.0, post]);
        if row::get::<UseRow>(tx, &key)?.is_some_and(|used| used.is_published) {
            forms::note(tx, *photo)?;
        }
        row::delete::<UseRow>(tx, &key);
    }
    Ok(())
}

pub(super) fn is_used(tx: &Tx<'_>, photo: PhotoId) -> Result<bool, StoreError> {
    Ok(!tx.scan(UseRow::TABLE, &Scan::prefix(&photo.0, 1))?.is_empty())
}

pub(super) fn is_published(rows: &impl Rows, photo: PhotoId) -> Result<bool, StoreError> {
    let uses = row::scan::<UseRow>(rows, &Scan::prefix(&photo.0, USES_MAX))?;
    Ok(uses.iter().any(|(_, used)| used.is_published))
}
