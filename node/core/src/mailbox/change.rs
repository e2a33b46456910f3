//! What changed in a folder, in the order of its modseqs (RFC 7162), what is gone included.
//!
//! A message that is there has one row however often it changes; one that is gone would have one
//! for ever. So what went long ago is forgotten, as RFC 7162 3.2.5.1 allows, and the folder
//! remembers up to where.

use minicbor::{Decode, Encode};

use super::folders::{Folder, FolderId, load};
use super::read::{self, Message};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

const PAGE: usize = 1000;
/// What is gone is remembered for so many changes of its folder: the most rows that the gone can
/// have.
pub const EXPUNGES_REMEMBERED: u64 = 100_000;

/// Under `folder ‖ modseq`: the message whose latest change had that number.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct ChangeRow {
    #[n(0)]
    pub(super) uid: u32,
    #[n(1)]
    pub(super) is_gone: bool,
}

impl Record for ChangeRow {
    const TABLE: Table = Table::new("mailbox_changes");
    const VERSION: u8 = 1;
}

fn key(folder: FolderId, modseq: u64) -> Vec<u8> {
    row::key(&[&folder.key(), &modseq.to_be_bytes()])
}

/// Gives `folder` (which the caller saves) its next modseq and notes that `uid` changed at that
/// and, if it had one, no longer at
/// `before`.
pub(super) fn note(
    tx: &mut Tx<'_>,
    folder: &mut Folder,
    uid: u32,
    before: Option<u64>,
    is_gone: bool,
) -> Result<u64, StoreError> {
    folder.highest_modseq += 1;
    let modseq = folder.highest_modseq;
    if let Some(before) = before {
        row::delete::<ChangeRow>(tx, &key(folder.id, before));
    }
    row::put(tx, &key(folder.id, modseq), &ChangeRow { uid, is_gone })?;
    forget(tx, folder)?;
    Ok(modseq)
}

/// Forgets the one that has been gone for long enough now, if there is one. Each change looks at
/// one number, so none is passed over.
fn forget(tx: &mut Tx<'_>, folder: &mut Folder) -> Result<(), StoreError> {
    let Some(old) = folder.highest_modseq.checked_sub(EXPUNGES_REMEMBERED) else { return Ok(()) };
    let old_key = key(folder.id, old);
    if row::get::<ChangeRow>(tx, &old_key)?.is_some_and(|change| change.is_gone) {
        row::delete::<ChangeRow>(tx, &old_key);
        folder.forgotten = old;
    }
    Ok(())
}

/// What happened in a folder since a modseq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Messages that are new or whose flags changed, by modseq.
    pub changed: Vec<Message>,
    /// UIDs that are gone, by the modseq of their going.
    pub vanished: Vec<u32>,
    /// Whether others are gone too, of which nobody remembers when they went: all that are not
    /// there.
    pub is_incomplete: bool,
}

/// Everything that changed in a folder after `modseq`.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn changes_since(node: &Node, folder: FolderId, modseq: u64) -> Result<Changes, StoreError> {
    let mut changes = Changes::default();
    let mut scan = Scan::prefix(&folder.key(), PAGE).after(&key(folder, modseq));
    loop {
        let page = row::scan::<ChangeRow>(&node.store, &scan)?;
        for (_, change) in &page {
            if change.is_gone {
                changes.vanished.push(change.uid);
            } else {
                // A message that changes again while this reads is met under its newer number, or
                // is gone.
                changes.changed.extend(read::message(node, folder, change.uid)?);
            }
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => {
                scan = Scan::prefix(&folder.key(), PAGE).after(last)
            }
            _ => break,
        }
    }
    // Looked up last: something may have been forgotten while this read.
    changes.is_incomplete =
        load(&node.store, folder)?.is_some_and(|folder| modseq < folder.forgotten);
    Ok(changes)
}

#[cfg(test)]
mod tests;
