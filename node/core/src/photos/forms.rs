//! How the sizes of a photo lie on the disk: sealed while its owner alone sees it, as the bytes
//! themselves while anyone may. They begin sealed.
//!
//! Their names are the same in both forms, so neither rows nor signed entries change with it, and
//! who may see a photo is asked anew with each reading. A change after which another form may be
//! due notes so in its own commit ([`note`]); soon after, each size is stored in the form that is
//! due, and what lies in the other is removed ([`apply_at_rest`]).

use minicbor::{Decode, Encode};

use super::{BlobRow, Photo, PhotoId, read};
use crate::audience::Visitor;
use crate::blobs::{AtRest, Pinned};
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{BlobId, Scan, StoreError, Table, Tx};

/// How many photos may share one file before the rest is not looked at.
pub(super) const SHARING_MAX: usize = 100;
/// So many notes are looked at in one go.
const PAGE: usize = 200;

/// Under a blob: another form may be due for it.
#[derive(Encode, Decode)]
#[cbor(map)]
struct NoteRow {}

impl Record for NoteRow {
    const TABLE: Table = Table::new("photos_forms");
    const VERSION: u8 = 1;
}

/// Notes in a change's commit that the sizes of a photo, if there is such a one, may be seen by
/// others than before it.
pub(super) fn note(tx: &mut Tx<'_>, photo: PhotoId) -> Result<(), StoreError> {
    for print in
        row::get::<Photo>(tx, &photo.0)?.iter().flat_map(|photo| [photo.large, photo.small])
    {
        row::put(tx, &print.blob.0, &NoteRow {})?;
    }
    Ok(())
}

/// The form that is due for a size of a photo, all photos that share it considered; `None` if there
/// is no such photo.
fn due(rows: &impl Rows, blob: &BlobId) -> Result<Option<AtRest>, StoreError> {
    let sharing = rows.rows(BlobRow::TABLE, &Scan::prefix(&blob.0, SHARING_MAX))?;
    for (key, _) in &sharing {
        let photo = PhotoId(row::key_part(key, blob.0.len()));
        if read::seen(rows, &Visitor::Stranger, photo)?.is_some() {
            return Ok(Some(AtRest::Plain));
        }
    }
    Ok(sharing.first().map(|_| AtRest::Sealed))
}

/// Stores every size that was noted in the form that is due, and in that alone. How many notes
/// stay, because the blob was in use or another form became due meanwhile. Blocks.
///
/// # Errors
/// The first that was met; the others are gone on with, and what failed stays noted.
pub fn apply_at_rest(node: &Node) -> Result<usize, StoreError> {
    let (mut left, mut failed, mut after) = (0, None, None::<BlobId>);
    loop {
        let scan = Scan::prefix(&[], PAGE);
        let noted = node
            .store
            .scan(NoteRow::TABLE, &after.map_or(scan.clone(), |blob| scan.after(&blob.0)))?;
        let blobs: Vec<BlobId> =
            noted.iter().map(|(key, _)| BlobId(row::key_part(key, 0))).collect();
        let Some(last) = blobs.last().copied() else { break };
        after = Some(last);
        let mut done = Vec::new();
        for blob in blobs {
            match settle_one(node, blob) {
                Ok(Some(form)) => done.push((blob, form)),
                Ok(None) => left += 1,
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        node.store.commit_blocking(move |tx| {
            for (blob, form) in &done {
                if due(tx, blob)? == *form {
                    row::delete::<NoteRow>(tx, &blob.0);
                }
            }
            Ok::<_, StoreError>(())
        })?;
    }
    failed.map_or(Ok(left), Err)
}

/// The form in which the blob lies now and in no other, where `None` stands for a blob of no photo;
/// nothing if that is not so yet.
fn settle_one(node: &Node, blob: BlobId) -> Result<Option<Option<AtRest>>, StoreError> {
    let Some(form) = due(&node.store, &blob)? else { return Ok(Some(None)) };
    if !node.blobs.at_rest(&blob, form.other())? {
        return Ok(Some(Some(form)));
    }
    let stored = node.blobs.store_as(&blob, form)?;
    if !take_along(node, stored, form)? {
        return Ok(None);
    }
    // Begun before looking again: who makes another form due from here on has it pinned or finds it
    // gone.
    let collection = node.blobs.collection();
    let is_due = due(&node.store, &blob)? == Some(form);
    Ok(if is_due && collection.keep_only(&blob, form)? { Some(Some(form)) } else { None })
}

/// Has a change take along what was stored in this form, if that is still due: what was deleted
/// meanwhile must not come into the log behind its deletion, nor what was sealed meanwhile lie open
/// there last.
fn take_along(node: &Node, stored: Pinned, form: AtRest) -> Result<bool, StoreError> {
    node.store.commit_blocking(move |tx| {
        let is_due = due(tx, &stored.id)? == Some(form);
        if is_due {
            tx.attach(&stored);
            row::put(tx, &stored.id.0, &NoteRow {})?;
        }
        Ok(is_due)
    })
}

/// What is wrong: sizes of photos that only their owner sees and that lie there for anyone with the
/// disk to look at.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn check(node: &Node) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    each_open(node, |photo, _| {
        wrong.push(format!("the photo {photo} is its owner's alone and does not lie sealed"));
        Ok(())
    })?;
    Ok(wrong)
}

/// Notes what [`check`] would find, so that it is sealed by the next [`apply_at_rest`]: no change of the
/// photo may come that would. Blocks.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn mark_unsealed(node: &Node) -> Result<(), StoreError> {
    each_open(node, |_, blob| {
        node.store.commit_blocking(move |tx| row::put(tx, &blob.0, &NoteRow {}))
    })
}

/// Each size that lies open and should not, nor is noted.
fn each_open(
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
            for print in [photo.large, photo.small] {
                let is_noted = row::get::<NoteRow>(&node.store, &print.blob.0)?.is_some();
                let is_private =
                    !is_noted && due(&node.store, &print.blob)? == Some(AtRest::Sealed);
                if is_private && node.blobs.at_rest(&print.blob, AtRest::Plain)? {
                    each(photo.id, print.blob)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
