//! Changes of a folder in the order of modseqs (RFC 7162), expunges included.
//!
//! Changes of messages are found by their pages ([`super::page`]), expunges by rows here, which
//! would stay for ever. So old expunges are forgotten, as RFC 7162 3.2.5.1 allows, and the folder
//! remembers the modseq up to which they are.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use super::folders::{Folder, FolderId, load};
use super::page::{self, Entry};
use super::read::Message;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

const PAGE: usize = 1000;
/// An expunge is remembered for this many further changes of its folder: the most rows that
/// expunged messages of one folder have here.
pub const EXPUNGES_REMEMBERED: u64 = 100_000;

/// Under `folder ‖ modseq`: messages that were expunged. Earlier versions also had a row for each
/// message, under the modseq of its latest change; those are skipped.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct ChangeRow {
    #[n(0)]
    pub(super) uid: u32,
    #[n(1)]
    pub(super) is_expunged: bool,
    /// Further messages that were expunged in the same commit.
    #[n(2)]
    #[cbor(default)]
    pub(super) more: Vec<u32>,
}

impl Record for ChangeRow {
    const TABLE: Table = Table::new("mailbox_changes");
    const VERSION: u8 = 1;
}

pub(super) fn key(folder: FolderId, modseq: u64) -> Vec<u8> {
    row::key(&[&folder.key(), &modseq.to_be_bytes()])
}

/// Records that messages of `folder`, which the caller saves, were expunged under its latest
/// modseq.
pub(super) fn record_expunge(
    tx: &mut Tx<'_>,
    folder: &mut Folder,
    uids: &[u32],
) -> Result<(), StoreError> {
    if let Some((uid, more)) = uids.split_first() {
        let row = ChangeRow { uid: *uid, is_expunged: true, more: more.to_vec() };
        row::put(tx, &key(folder.id, folder.highest_modseq), &row)?;
    }
    forget_expunge(tx, folder)
}

/// Forgets the expunge that is now [`EXPUNGES_REMEMBERED`] changes old, if that change was one.
/// Each change looks at one modseq, so none is skipped.
pub(super) fn forget_expunge(tx: &mut Tx<'_>, folder: &mut Folder) -> Result<(), StoreError> {
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
    /// The modseq up to which these are all changes: those since it are found the next time.
    pub modseq: u64,
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
pub fn changes_since(node: &Node, id: FolderId, modseq: u64) -> Result<Changes, StoreError> {
    match load(&node.store, id)? {
        Some(folder) => changes_up_to(node, &folder, modseq),
        None => Ok(Changes { modseq, ..Changes::default() }),
    }
}

/// Everything that changed after `modseq` in a folder whose row was just read. A message that came
/// after that row is left for the next time: an earlier one may lie in a page that was read before
/// it came, and new messages are reported in the order of their UIDs.
fn changes_up_to(node: &Node, folder: &Folder, modseq: u64) -> Result<Changes, StoreError> {
    let (rows, id) = (&node.store, folder.id);
    let mut changes = Changes { modseq: folder.highest_modseq, ..Changes::default() };
    let mut firsts = BTreeSet::new();
    let mut last = (modseq, u32::MAX);
    loop {
        // A page that changes again during this scan is found under its newer modseq.
        let found = page::changed_after(rows, id, last, PAGE)?;
        firsts.extend(found.iter().map(|(_, first)| *first));
        last = found.last().copied().unwrap_or(last);
        if found.len() < PAGE {
            break;
        }
    }
    let mut known = folder.keywords.clone();
    for first in firsts {
        let Some(page) = page::load(rows, id, first)? else { continue };
        let is_changed = |entry: &&Entry| entry.modseq > modseq && entry.uid < folder.uid_next;
        let newest = page.entries.iter().filter(is_changed);
        if newest.clone().any(|entry| entry.keywords.checked_shr(count(&known)).unwrap_or(0) != 0) {
            known = load(rows, id)?.map_or(Vec::new(), |folder| folder.keywords);
        }
        changes.changed.extend(newest.map(|entry| entry.message(id, &known)));
    }
    changes.changed.sort_by_key(|message| (message.modseq, message.uid));
    // Read after the pages: every expunge before a change that was found is found too.
    let mut last = modseq;
    loop {
        let found = after(rows, id, last, PAGE)?;
        let is_last = found.len() < PAGE;
        for (modseq, change) in found {
            if change.is_expunged {
                changes.vanished.push(change.uid);
                changes.vanished.extend(change.more);
            }
            last = modseq;
        }
        if is_last {
            break;
        }
    }
    // A message that was expunged after its page was read did not change: it is gone.
    let vanished: BTreeSet<u32> = changes.vanished.iter().copied().collect();
    changes.changed.retain(|message| !vanished.contains(&message.uid));
    // Read last: an expunge may have been forgotten during the scan.
    changes.is_incomplete = load(rows, id)?.is_some_and(|folder| modseq < folder.forgotten_modseq);
    Ok(changes)
}

/// The rows after `modseq`, each with its modseq, at most `limit`.
pub(super) fn after(
    rows: &impl Rows,
    folder: FolderId,
    modseq: u64,
    limit: usize,
) -> Result<Vec<(u64, ChangeRow)>, StoreError> {
    let scan = Scan::prefix(&folder.key(), limit).after(&key(folder, modseq));
    let found = row::scan::<ChangeRow>(rows, &scan)?;
    let modseq_of = |key: &[u8]| u64::from_be_bytes(row::key_part(key, 4));
    Ok(found.into_iter().map(|(key, change)| (modseq_of(&key), change)).collect())
}

fn count(keywords: &[String]) -> u32 {
    u32::try_from(keywords.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
