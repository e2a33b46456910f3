//! Removing messages from a folder: pages, details, counts.

use std::collections::BTreeMap;

use super::columns;
use super::details::Details;
use super::folders::{Folder, FolderId};
use super::page::{self, Entry, Page, State};
use super::read::{MessageRow, from_uid, key, uid_of};
use super::summary::OldSummaryRow;
use super::{Flags, change, flags, recent, text_index};
use crate::clock::Timestamp;
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

/// The fate of the rows of removed messages that no list reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageRows {
    /// They are deleted.
    Delete,
    /// The caller has them deleted later ([`super::removals`]).
    Keep,
}

/// Messages with everything that is stored of them; UIDs that don't exist are skipped. `uids` are
/// in order.
pub(super) fn stored(
    rows: &impl Rows,
    folder: &Folder,
    uids: &[u32],
) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::new();
    each_page(rows, folder.id, uids, |page, of_page| {
        found.extend(stored_in(rows, folder, page, of_page)?);
        Ok(())
    })?;
    Ok(found)
}

/// The states of messages; UIDs that don't exist are skipped. `uids` are in order.
pub(super) fn states(
    rows: &impl Rows,
    folder: &Folder,
    uids: &[u32],
) -> Result<Vec<(Entry, Flags)>, StoreError> {
    let mut found = Vec::new();
    each_page(rows, folder.id, uids, |page, of_page| {
        let entries = of_page.iter().filter_map(|uid| page.entry(*uid));
        let flags = |entry: &Entry| entry.message(folder.id, &folder.keywords).flags;
        found.extend(entries.map(|entry| (entry.clone(), flags(entry))));
        Ok(())
    })?;
    Ok(found)
}

/// Calls `each` with every page that can hold some of `uids`, which are in order, and with those.
fn each_page(
    rows: &impl Rows,
    folder: FolderId,
    uids: &[u32],
    mut each: impl FnMut(&Page, &[u32]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut rest = uids;
    while let Some(uid) = rest.first() {
        let Some(page) = page::holding(rows, folder, *uid)? else {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        let last = page.entries.last().map_or(*uid, |entry| entry.uid.max(*uid));
        let (of_page, later) =
            rest.split_at_checked(rest.partition_point(|uid| *uid <= last)).unwrap_or_default();
        rest = later;
        each(&page, of_page)?;
    }
    Ok(())
}

/// The messages of one page.
fn stored_in(
    rows: &impl Rows,
    folder: &Folder,
    page: &Page,
    uids: &[u32],
) -> Result<Vec<Stored>, StoreError> {
    let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(Vec::new()) };
    // A page has few rows, so one scan is cheaper than a look-up for each message.
    let limit = page.entries.len();
    let scanned = row::scan::<MessageRow>(rows, &from_uid(folder.id, *first, limit))?;
    let mut message_rows: BTreeMap<u32, MessageRow> = scanned
        .into_iter()
        .map(|(key, row)| (uid_of(&key), row))
        .take_while(|(uid, _)| uid <= last)
        .collect();
    let mut details: BTreeMap<u32, Details> = columns::all_of(rows, page)?.into_iter().collect();
    let mut found = Vec::new();
    for uid in uids {
        let Some(entry) = page.entry(*uid).cloned() else { continue };
        let Some(row) = message_rows.remove(uid) else { continue };
        let flags = entry.message(folder.id, &folder.keywords).flags;
        let details = details.remove(uid).unwrap_or_default();
        found.push(Stored { entry, flags, row, details });
    }
    Ok(found)
}

/// Removes messages from `folder`, which the caller saves, and records the expunge under the
/// folder's next modseq.
pub(super) fn remove(
    tx: &mut Tx<'_>,
    now: Timestamp,
    folder: &mut Folder,
    messages: &[(&Entry, &Flags)],
    message_rows: MessageRows,
) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    folder.highest_modseq = folder.highest_modseq.saturating_add(1);
    let mut rest = messages;
    while let Some((next, _)) = rest.first() {
        let Some(page) = page::holding(tx, folder.id, next.uid)? else { break };
        let of_page = rest.iter().take_while(|(entry, _)| page.entry(entry.uid).is_some());
        let uids: Vec<u32> = of_page.map(|(entry, _)| entry.uid).collect();
        rest = rest.get(uids.len().max(1)..).unwrap_or_default();
        if message_rows == MessageRows::Delete {
            uids.iter().for_each(|uid| row::delete::<MessageRow>(tx, &key(folder.id, *uid)));
        }
        remove_from(tx, page, &uids, folder.highest_modseq)?;
    }
    for (entry, flags) in messages {
        recent::subtract(folder, entry.uid);
        flags::subtract(folder, flags);
        folder.total = folder.total.saturating_sub(1);
        folder.size = folder.size.saturating_sub(entry.size);
    }
    let uids: Vec<u32> = messages.iter().map(|(entry, _)| entry.uid).collect();
    text_index::record_removed(tx, now, folder.id, folder.highest_modseq, &uids)?;
    change::record_expunge(tx, folder, &uids)
}

/// Removes messages from their page, which is changed at `modseq` or deleted.
fn remove_from(
    tx: &mut Tx<'_>,
    mut page: Page,
    uids: &[u32],
    modseq: u64,
) -> Result<(), StoreError> {
    columns::remove(tx, &page, uids)?;
    if page.state == State::Unread {
        uids.iter().for_each(|uid| row::delete::<OldSummaryRow>(tx, &key(page.folder, *uid)));
    }
    page.entries.retain(|entry| uids.binary_search(&entry.uid).is_err());
    let before = page.changed;
    if page.entries.is_empty() {
        page.delete(tx, before);
        return Ok(());
    }
    page.changed = modseq;
    page.save(tx, Some(before))
}
