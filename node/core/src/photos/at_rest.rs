//! How the renditions of a photo are stored at rest: sealed while only its owner may see it, plain
//! while anyone may. A new rendition is stored sealed.
//!
//! A blob's id is the same in both forms, so a change of form changes neither rows nor signed
//! entries, and each read checks anew who may see the photo. A commit after which another form may
//! be required writes a pending row ([`mark_pending`](super::rows::mark_pending)). Soon after, each
//! pending rendition is stored in the required form, and its other form is removed
//! ([`apply_at_rest`]).

use super::rows::{BlobRow, PendingRow, SHARED_MAX, mark_blob_pending};
use super::{Photo, PhotoId, read};
use crate::audience::Visitor;
use crate::blobs::{AtRest, Pinned};
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError, Tx};

/// How many rows one scan reads.
const PAGE: usize = 200;

/// The form that is required for a rendition, all photos that share its blob considered; `None` if
/// no photo has it.
fn required(rows: &impl Rows, blob: &BlobId) -> Result<Option<AtRest>, StoreError> {
    let sharing = rows.rows(BlobRow::TABLE, &Scan::prefix(&blob.0, SHARED_MAX))?;
    for (key, _) in &sharing {
        let photo = PhotoId(row::key_part(key, blob.0.len()));
        if read::visible(rows, &Visitor::Stranger, photo)?.is_some() {
            return Ok(Some(AtRest::Plain));
        }
    }
    Ok(sharing.first().map(|_| AtRest::Sealed))
}

/// Stores every pending rendition in the required form, and in that form only. Returns how many
/// stay pending, because the blob was in use or another form became required meanwhile. Blocks.
///
/// # Errors
/// The first error; the other renditions are still processed, and those that failed stay pending.
pub fn apply_at_rest(node: &Node) -> Result<usize, StoreError> {
    let (mut left, mut failed, mut after) = (0, None, None::<BlobId>);
    loop {
        let scan = Scan::prefix(&[], PAGE);
        let pending = node
            .store
            .scan(PendingRow::TABLE, &after.map_or(scan.clone(), |blob| scan.after(&blob.0)))?;
        let blobs: Vec<BlobId> =
            pending.iter().map(|(key, _)| BlobId(row::key_part(key, 0))).collect();
        let Some(last) = blobs.last().copied() else { break };
        after = Some(last);
        let mut applied = Vec::new();
        for blob in blobs {
            match apply_one(node, blob) {
                Ok(Some(form)) => applied.push((blob, form)),
                Ok(None) => left += 1,
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        node.store.commit_blocking(move |tx| {
            for (blob, form) in &applied {
                if required(tx, blob)? == *form {
                    row::delete::<PendingRow>(tx, &blob.0);
                }
            }
            Ok::<_, StoreError>(())
        })?;
    }
    failed.map_or(Ok(left), Err)
}

/// Stores one rendition in the required form and removes the other. Returns the only form that it
/// has now, `Some(None)` for a blob of no photo, or `None` if it stays pending.
fn apply_one(node: &Node, blob: BlobId) -> Result<Option<Option<AtRest>>, StoreError> {
    let Some(form) = required(&node.store, &blob)? else { return Ok(Some(None)) };
    if !node.blobs.is_stored_as(&blob, form.other())? {
        return Ok(Some(Some(form)));
    }
    let stored = node.blobs.store_as(&blob, form)?;
    if !attach_if_required(node, stored, form)? {
        return Ok(None);
    }
    // The collection begins before the required form is read again. A change that requires another
    // form after this line either has the blob pinned or finds it removed.
    let collection = node.blobs.collection();
    let is_required = required(&node.store, &blob)? == Some(form);
    Ok(if is_required && collection.keep_only(&blob, form)? { Some(Some(form)) } else { None })
}

/// Attaches a stored form to a commit, if that commit still requires it. This prevents two
/// failures: a photo that was deleted meanwhile would enter the log after its deletion, and the
/// log's last record of a photo that was sealed meanwhile would contain the plain form.
fn attach_if_required(node: &Node, stored: Pinned, form: AtRest) -> Result<bool, StoreError> {
    node.store.commit_blocking(move |tx: &mut Tx<'_>| {
        let is_required = required(tx, &stored.id)? == Some(form);
        if is_required {
            tx.attach(&stored);
            mark_blob_pending(tx, &stored.id)?;
        }
        Ok(is_required)
    })
}

/// Broken invariants: renditions of photos that only the owner may see, stored in plain form and
/// not pending. A sentence each.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn check(node: &Node) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    each_unsealed(node, |photo, _| {
        wrong.push(format!("photo {photo}: only its owner may see it, but it is stored unsealed"));
        Ok(())
    })?;
    Ok(wrong)
}

/// Marks the renditions that [`check`] would report as pending, so that the next [`apply_at_rest`]
/// seals them even if no change of the photo ever does. Blocks.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn mark_unsealed(node: &Node) -> Result<(), StoreError> {
    each_unsealed(node, |_, blob| {
        node.store.commit_blocking(move |tx| mark_blob_pending(tx, &blob))
    })
}

/// Calls `each` for every rendition that is stored plain, should be sealed and is not pending.
fn each_unsealed(
    node: &Node,
    mut each: impl FnMut(PhotoId, BlobId) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after = None::<Vec<u8>>;
    loop {
        let scan = Scan::prefix(&[], PAGE);
        let page =
            row::scan::<Photo>(&node.store, &after.map_or(scan.clone(), |key| scan.after(&key)))?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (_, photo) in page {
            for rendition in [photo.large, photo.small] {
                let is_pending = row::get::<PendingRow>(&node.store, &rendition.blob.0)?.is_some();
                let is_private =
                    !is_pending && required(&node.store, &rendition.blob)? == Some(AtRest::Sealed);
                if is_private && node.blobs.is_stored_as(&rendition.blob, AtRest::Plain)? {
                    each(photo.id, rendition.blob)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
