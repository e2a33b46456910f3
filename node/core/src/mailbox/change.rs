//! Changes of a folder in the order of modseqs (RFC 7162), expunges included.
//!
//! A message has one row here, however often it changes; an expunged one would have a row for ever.
//! So old expunges are forgotten, as RFC 7162 3.2.5.1 allows, and the folder remembers the modseq up
//! to which they are.

use minicbor::{Decode, Encode};

use super::folders::{Folder, FolderId, load};
use super::read::{self, Message};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

const PAGE: usize = 1000;
/// An expunge is remembered for this many further changes of its folder: the most rows that expunged
/// messages of one folder have here.
pub const EXPUNGES_REMEMBERED: u64 = 100_000;

/// Under `folder ‖ modseq`: the message whose latest change has that modseq.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct ChangeRow {
    #[n(0)]
    pub(super) uid: u32,
    #[n(1)]
    pub(super) is_expunged: bool,
}

impl Record for ChangeRow {
    const TABLE: Table = Table::new("mailbox_changes");
    const VERSION: u8 = 1;
}

fn key(folder: FolderId, modseq: u64) -> Vec<u8> {
    row::key(&[&folder.key(), &modseq.to_be_bytes()])
}

/// Gives `folder`, which the caller saves, its next modseq and records the change of `uid` under it;
/// the record of the message's previous change at `before` is removed. Returns the modseq.
pub(super) fn record_change(
    tx: &mut Tx<'_>,
    folder: &mut Folder,
    uid: u32,
    before: Option<u64>,
    is_expunged: bool,
) -> Result<u64, StoreError> {
    folder.highest_modseq += 1;
    let modseq = folder.highest_modseq;
    if let Some(before) = before {
        row::delete::<ChangeRow>(tx, &key(folder.id, before));
    }
    row::put(tx, &key(folder.id, modseq), &ChangeRow { uid, is_expunged })?;
    forget_expunge(tx, folder)?;
    Ok(modseq)
}

/// Forgets the expunge that is now [`EXPUNGES_REMEMBERED`] changes old, if that change was one. Each
/// change looks at one modseq, so none is skipped.
fn forget_expunge(tx: &mut Tx<'_>, folder: &mut Folder) -> Result<(), StoreError> {
    let Some(old) = folder.highest_modseq.checked_sub(EXPUNGES_REMEMBERED) else { return Ok(()) };
    let old_key = key(folder.id, old);
    if row::get::<ChangeRow>(tx, &old_key)?.is_some_and(|change| change.is_expunged) {
        row::delete::<ChangeRow>(tx, &old_key);
        folder.forgotten_modseq = old;
    }
    Ok(())
}

/// The changes of a folder since a modseq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Messages that are new or whose flags changed, by modseq.
    pub changed: Vec<Message>,
    /// UIDs of expunged messages, by the modseq of their expunge.
    pub vanished: Vec<u32>,
    /// Whether earlier expunges were forgotten: then every UID that is not in the folder may have
    /// vanished.
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
            if change.is_expunged {
                changes.vanished.push(change.uid);
            } else {
                // A message that changes again during this scan is found under its newer modseq,
                // or was expunged.
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
    // Read last: an expunge may have been forgotten during the scan.
    changes.is_incomplete =
        load(&node.store, folder)?.is_some_and(|folder| modseq < folder.forgotten_modseq);
    Ok(changes)
}

#[cfg(test)]
mod tests;
