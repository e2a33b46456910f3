//! What changed in a folder, in the order of its modseqs (RFC 7162), what is gone included.

use minicbor::{Decode, Encode};

use super::folders::FolderId;
use super::read::{self, Message};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

const PAGE: usize = 1000;

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

/// Notes that `uid` changed at `modseq` and, if it had one, no longer at `before`.
pub(super) fn note(tx: &mut Tx<'_>, folder: FolderId, uid: u32, before: Option<u64>, modseq: u64, is_gone: bool) -> Result<(), StoreError> {
    if let Some(before) = before {
        row::delete::<ChangeRow>(tx, &key(folder, before));
    }
    row::put(tx, &key(folder, modseq), &ChangeRow { uid, is_gone })
}

/// What happened in a folder since a modseq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Messages that are new or whose flags changed, by modseq.
    pub changed: Vec<Message>,
    /// UIDs that are gone, by the modseq of their going.
    pub vanished: Vec<u32>,
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
                // A message that changes again while this reads is met under its newer number, or is gone.
                changes.changed.extend(read::message(node, folder, change.uid)?);
            }
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => scan = Scan::prefix(&folder.key(), PAGE).after(last),
            _ => return Ok(changes),
        }
    }
}
