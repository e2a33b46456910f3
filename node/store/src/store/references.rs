//! The reverse index: which rows refer to a blob, and where in the packs it is.
//!
//! - `blobs_refs`, under blob ‖ table ‖ 0 ‖ key: the row `key` of `table` refers to the blob. The
//!   first of these rows of a blob holds its place; the others are empty.
//! - `blobs_loose`, under blob: no row refers to the blob any more; holds its place.
//! - `blobs_packs`, under the number of a pack: its sums.
//!
//! A place is empty if the blob is in no pack: it is in memory, or in a file. [`update`] writes
//! these rows in the commit of each change whose rows refer to other blobs than before. So it takes
//! one look-up to find out whether a blob is needed, and one to find it.

use std::collections::BTreeSet;

use super::tx::Tx;
use super::{BlobId, Row, Scan, StoreError, Table};
use crate::blobs::{PackRow, Place};
use crate::hints::Hint;

pub(super) mod build;
pub(super) mod verify;

/// Under blob ‖ table ‖ 0 ‖ key.
pub(super) const REFERENCES: Table = Table::new("blobs_refs");
/// Under a blob.
pub(super) const LOOSE: Table = Table::new("blobs_loose");
/// Under the number of a pack.
pub(super) const PACKS: Table = Table::new("blobs_packs");

const ID_LEN: usize = 32;

/// True for a table of this module: its rows refer to no blob.
pub(super) fn is_index(table: &str) -> bool {
    [REFERENCES, LOOSE, PACKS].iter().any(|index| index.name() == table)
}

/// The key of a reference.
pub(super) fn reference_key(id: &BlobId, table: &str, key: &[u8]) -> Vec<u8> {
    [&id.0[..], table.as_bytes(), &[0], key].concat()
}

/// The blob of a reference, or of a loose blob.
pub(super) fn blob_of(key: &[u8]) -> Option<BlobId> {
    key.first_chunk::<ID_LEN>().map(|id| BlobId(*id))
}

/// The table and the key of the row that refers to a blob.
pub(super) fn referring_row(key: &[u8]) -> Option<(&str, &[u8])> {
    let row = key.get(ID_LEN..)?;
    let zero = row.iter().position(|byte| *byte == 0)?;
    let (table, key) = row.split_at_checked(zero)?;
    Some((std::str::from_utf8(table).ok()?, key.get(1..)?))
}

/// The scan for the first `limit` references to a blob.
pub(super) fn first_references(id: &BlobId, limit: usize) -> Scan {
    Scan::prefix(&id.0, limit)
}

/// The place of a blob, from its first reference, or else from its loose row.
pub(super) fn place_in(
    first_reference: Option<&Row>,
    loose: impl FnOnce() -> Result<Option<Row>, StoreError>,
) -> Result<Option<Place>, StoreError> {
    Ok(match first_reference {
        Some(row) => Place::decode(&row.value),
        None => loose()?.and_then(|row| Place::decode(&row.value)),
    })
}

/// Writes the references of a finished change.
pub(super) fn update(tx: &mut Tx<'_, impl Hint>) -> Result<(), StoreError> {
    for id in tx.logged_blobs() {
        // It is stored again because its copy in a pack is damaged.
        if let Some(place) = place(tx, &id)? {
            set_place(tx, &id, None)?;
            change_live(tx, place, false)?;
        }
    }
    let changes = tx.changed_references()?;
    for change in &changes {
        for id in change.after.difference(&change.before) {
            add(tx, id, reference_key(id, change.table.name(), &change.key))?;
        }
    }
    for change in &changes {
        for id in change.before.difference(&change.after) {
            remove(tx, id, &reference_key(id, change.table.name(), &change.key))?;
        }
    }
    Ok(())
}

/// The blobs that a row refers to, before and after a change.
pub(super) struct ChangedReferences {
    pub(super) table: Table,
    pub(super) key: Vec<u8>,
    pub(super) before: BTreeSet<BlobId>,
    pub(super) after: BTreeSet<BlobId>,
}

fn add(tx: &mut Tx<'_, impl Hint>, id: &BlobId, key: Vec<u8>) -> Result<(), StoreError> {
    let first = tx.scan(REFERENCES, &first_references(id, 1))?.pop();
    let value = match first {
        Some((first, _)) if first == key => return Ok(()),
        // The place moves to the first reference.
        Some((first, row)) if first > key => {
            if !row.value.is_empty() {
                tx.put_index(REFERENCES, first, Vec::new());
            }
            row.value
        }
        Some(_) => Vec::new(),
        None => match tx.get(LOOSE, &id.0)? {
            Some(loose) => {
                tx.delete_index(LOOSE, id.0.to_vec());
                loose.value
            }
            None => Vec::new(),
        },
    };
    tx.put_index(REFERENCES, key, value);
    Ok(())
}

fn remove(tx: &mut Tx<'_, impl Hint>, id: &BlobId, key: &[u8]) -> Result<(), StoreError> {
    let mut first = tx.scan(REFERENCES, &first_references(id, 2))?.into_iter();
    match (first.next(), first.next()) {
        (Some((first, row)), second) if first == key => match second {
            Some((second, _)) if !row.value.is_empty() => {
                tx.put_index(REFERENCES, second, row.value);
            }
            Some(_) => {}
            None => tx.put_index(LOOSE, id.0.to_vec(), row.value),
        },
        (Some(_), _) => {}
        // Rows written before the index was complete.
        (None, _) => {
            if tx.get(LOOSE, &id.0)?.is_none() {
                tx.put_index(LOOSE, id.0.to_vec(), Vec::new());
            }
            return Ok(());
        }
    }
    tx.delete_index(REFERENCES, key.to_vec());
    Ok(())
}

/// Adds the references of one row that was written before the index existed.
pub(super) fn add_row(
    tx: &mut Tx<'_, impl Hint>,
    table: &str,
    key: &[u8],
    row: &Row,
) -> Result<(), StoreError> {
    row.blobs.iter().try_for_each(|id| add(tx, id, reference_key(id, table, key)))
}

/// True if a row refers to the blob.
pub(super) fn is_needed(tx: &Tx<'_, impl Hint>, id: &BlobId) -> Result<bool, StoreError> {
    Ok(!tx.scan(REFERENCES, &first_references(id, 1))?.is_empty())
}

/// The place of a blob, with this change's own writes.
pub(super) fn place(tx: &Tx<'_, impl Hint>, id: &BlobId) -> Result<Option<Place>, StoreError> {
    let first = tx.scan(REFERENCES, &first_references(id, 1))?.pop();
    place_in(first.as_ref().map(|(_, row)| row), || tx.get(LOOSE, &id.0))
}

/// Sets the place of a blob.
pub(super) fn set_place(
    tx: &mut Tx<'_, impl Hint>,
    id: &BlobId,
    place: Option<Place>,
) -> Result<(), StoreError> {
    let value = place.map_or_else(Vec::new, |place| place.encode());
    match tx.scan(REFERENCES, &first_references(id, 1))?.pop() {
        Some((first, _)) => tx.put_index(REFERENCES, first, value),
        None => tx.put_index(LOOSE, id.0.to_vec(), value),
    }
    Ok(())
}

/// Removes the loose row of a blob that no row refers to. Returns its place.
pub(super) fn forget(tx: &mut Tx<'_, impl Hint>, id: &BlobId) -> Result<Option<Place>, StoreError> {
    let Some(loose) = tx.get(LOOSE, &id.0)? else { return Ok(None) };
    tx.delete_index(LOOSE, id.0.to_vec());
    let place = Place::decode(&loose.value);
    if let Some(place) = place {
        change_live(tx, place, false)?;
    }
    Ok(place)
}

/// Counts the entry at `place` as live or dead in the sums of its pack.
pub(super) fn change_live(
    tx: &mut Tx<'_, impl Hint>,
    place: Place,
    is_live: bool,
) -> Result<(), StoreError> {
    let mut row = pack(tx, place.pack)?.unwrap_or_default();
    row.end = row.end.max(place.end());
    row.live = if is_live {
        row.live.saturating_add(place.len)
    } else {
        row.live.saturating_sub(place.len)
    };
    set_pack(tx, place.pack, row);
    Ok(())
}

/// The sums of a pack.
pub(super) fn pack(tx: &Tx<'_, impl Hint>, number: u32) -> Result<Option<PackRow>, StoreError> {
    Ok(tx.get(PACKS, &number.to_be_bytes())?.and_then(|row| PackRow::decode(&row.value)))
}

/// Sets the sums of a pack.
pub(super) fn set_pack(tx: &mut Tx<'_, impl Hint>, number: u32, row: PackRow) {
    tx.put_index(PACKS, number.to_be_bytes().to_vec(), row.encode());
}

/// The number and the sums of a pack, from its row.
pub(super) fn pack_of(key: &[u8], row: &Row) -> Option<(u32, PackRow)> {
    Some((u32::from_be_bytes(key.try_into().ok()?), PackRow::decode(&row.value)?))
}
