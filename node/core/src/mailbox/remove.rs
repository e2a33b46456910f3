//! Removing messages from a folder: pages, details, threads, counts.

use super::columns;
use super::details::Details;
use super::folders::{Folder, FolderId};
use super::page::{self, Entry, Page};
use super::read::{MessageRow, key};
use super::summary::OldSummaryRow;
use super::{Flags, change, flags, recent, thread};
use crate::node::Node;
use crate::row::{self, Rows};
use crate::store::{StoreError, Tx};

/// A message with everything that is stored of it.
pub(super) struct Stored {
    pub(super) entry: Entry,
    pub(super) flags: Flags,
    pub(super) row: MessageRow,
    pub(super) details: Details,
}

/// The UIDs among `uids`, which are in order, that are in the folder: page by page, so that a
/// commit for each rewrites one page.
pub(super) fn by_page(
    node: &Node,
    folder: FolderId,
    uids: &[u32],
) -> Result<Vec<Vec<u32>>, StoreError> {
    let mut batches = Vec::new();
    let Some(first) = uids.first() else { return Ok(batches) };
    page::walk(&node.store, folder, *first, |page| {
        let is_wanted = |uid: &u32| uids.binary_search(uid).is_ok();
        let found: Vec<u32> =
            page.entries.iter().map(|entry| entry.uid).filter(is_wanted).collect();
        if !found.is_empty() {
            batches.push(found);
        }
        uids.last().is_some_and(|last| page.first <= *last)
    })?;
    Ok(batches)
}

/// How much of a message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Without its details.
    State,
    /// Everything.
    Whole,
}

/// Messages with what is stored of them; UIDs that don't exist are skipped.
pub(super) fn stored(
    rows: &impl Rows,
    folder: &Folder,
    uids: &[u32],
    extent: Extent,
) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::new();
    let mut open: Option<(Page, Vec<(u32, Details)>)> = None;
    for uid in uids {
        if open.as_ref().is_none_or(|(page, _)| page.entry(*uid).is_none()) {
            open = match page::holding(rows, folder.id, *uid)? {
                Some(page) => {
                    let details = match extent {
                        Extent::State => Vec::new(),
                        Extent::Whole => columns::all_of(rows, &page)?,
                    };
                    Some((page, details))
                }
                None => None,
            };
        }
        let Some((page, details)) = &mut open else { continue };
        let Some(entry) = page.entry(*uid).cloned() else { continue };
        let Some(row) = row::get::<MessageRow>(rows, &key(folder.id, *uid))? else { continue };
        let details = details
            .iter_mut()
            .find(|(known, _)| known == uid)
            .map(|(_, details)| std::mem::take(details))
            .unwrap_or_default();
        let flags = entry.message(folder.id, &folder.keywords).flags;
        found.push(Stored { entry, flags, row, details });
    }
    Ok(found)
}

/// Removes messages from `folder`, which the caller saves, and records the expunge under the
/// folder's next modseq.
pub(super) fn remove(
    tx: &mut Tx<'_>,
    folder: &mut Folder,
    messages: &[Stored],
) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    folder.highest_modseq = folder.highest_modseq.saturating_add(1);
    let modseq = folder.highest_modseq;
    let mut rest = messages;
    while let Some(next) = rest.first() {
        let Some(mut page) = page::holding(tx, folder.id, next.entry.uid)? else { break };
        let of_page = rest.iter().take_while(|message| page.entry(message.entry.uid).is_some());
        let uids: Vec<u32> = of_page.map(|message| message.entry.uid).collect();
        rest = rest.get(uids.len().max(1)..).unwrap_or_default();
        columns::take(tx, &page, &uids)?;
        page.entries.retain(|entry| !uids.contains(&entry.uid));
        let before = page.changed;
        if page.entries.is_empty() {
            page.delete(tx, before);
        } else {
            page.changed = modseq;
            page.save(tx, Some(before))?;
        }
    }
    for message in messages {
        let uid = message.entry.uid;
        row::delete::<MessageRow>(tx, &key(folder.id, uid));
        row::delete::<OldSummaryRow>(tx, &key(folder.id, uid));
        thread::leave(tx, &message.row.thread_keys)?;
        recent::subtract(folder, uid);
        flags::subtract(folder, &message.flags);
        folder.total = folder.total.saturating_sub(1);
        folder.size = folder.size.saturating_sub(message.entry.size);
    }
    let uids: Vec<u32> = messages.iter().map(|message| message.entry.uid).collect();
    change::record_expunge(tx, folder, &uids)
}
