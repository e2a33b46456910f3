//! Bringing the messages of earlier versions into the index.
//!
//! 1. At the start, before anything is served, the rows of messages are read into pages
//!    ([`convert`]): about a second for 100,000 messages. On a disk that can't be written they are
//!    read as they are ([`each_entry`]).
//! 2. While the node runs, the details of those messages are read from their bytes, page by page
//!    ([`index_older_messages`]). Until then a list that needs them reads the bytes.
//!
//! Both go on where a stop interrupted them.

use std::collections::HashMap;

use minicbor::{Decode, Encode};

use super::change::{self, ChangeRow};
use super::columns;
use super::deliver;
use super::details::{Column, Details, Reading};
use super::flags::{self, Flags};
use super::folders::{Folder, FolderId, NUMBERS, NumbersRow, load, load_all, save};
use super::page::{self, Entry, PAGE_LEN, Page, State};
use super::read::{MessageRow, from_uid, key, uid_of};
use super::summary::{OldSummaryRow, Summary};
use super::thread::{self, ThreadId};
use super::thread_members;
use crate::clock::Timestamp;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The number of pages that one commit makes.
const PAGES_PER_COMMIT: usize = 8;
/// The number of rows read at a time.
const ROWS_PER_READ: usize = 500;
/// The number of rows that one commit deletes.
const ROWS_PER_COMMIT: usize = 500;

/// A message's row of an earlier version, with the fields that are in its page now.
#[derive(Encode, Decode)]
#[cbor(map)]
struct OldMessageRow {
    #[n(0)]
    modseq: u64,
    #[n(1)]
    flags: Flags,
    #[n(2)]
    internal_date: Timestamp,
    #[n(4)]
    size: u64,
}

impl Record for OldMessageRow {
    const TABLE: Table = MessageRow::TABLE;
    const VERSION: u8 = MessageRow::VERSION;
}

/// Reads the messages of folders of earlier versions into pages.
pub(super) async fn convert(node: &Node) -> Result<(), StoreError> {
    for folder in load_all(&node.store)?.into_iter().filter(|folder| !folder.is_paged) {
        while node.store.commit(move |tx| convert_some(tx, folder.id)).await? {}
    }
    Ok(())
}

/// Makes the next pages of a folder; false when it is complete.
fn convert_some(tx: &mut Tx<'_>, id: FolderId) -> Result<bool, StoreError> {
    // A node must start on a full disk as well.
    tx.mark_essential();
    let Some(mut folder) = load(tx, id)?.filter(|folder| !folder.is_paged) else {
        return Ok(false);
    };
    let last = page::last(tx, id)?.and_then(|page| page.entries.last().map(|entry| entry.uid));
    let next = last.unwrap_or(0).saturating_add(1);
    let limit = PAGES_PER_COMMIT.saturating_mul(PAGE_LEN);
    let rows = row::scan::<OldMessageRow>(tx, &from_uid(id, next, limit))?;
    if rows.is_empty() {
        count_keywords(tx, &mut folder)?;
        folder.is_paged = true;
        save(tx, &folder)?;
        return Ok(false);
    }
    for of_page in rows.chunks(PAGE_LEN) {
        let entries: Vec<Entry> =
            of_page.iter().map(|(key, row)| row.entry(uid_of(key), &folder)).collect();
        let Some(first) = entries.first().map(|entry| entry.uid) else { continue };
        let changed = entries.iter().map(|entry| entry.modseq).max().unwrap_or(0);
        Page { folder: id, first, changed, state: State::Unread, entries }.save(tx, None)?;
    }
    Ok(true)
}

impl OldMessageRow {
    fn entry(&self, uid: u32, folder: &Folder) -> Entry {
        Entry {
            uid,
            modseq: self.modseq,
            bits: self.flags.bits,
            keywords: flags::keyword_bits(folder, &self.flags),
            size: self.size,
            internal_date: self.internal_date,
            sent_day: None,
        }
    }
}

/// Calls `visit` with each message of a folder that was not converted, from UID `from` on, until it
/// returns false.
pub(super) fn each_entry(
    rows: &impl Rows,
    folder: &Folder,
    from: u32,
    mut visit: impl FnMut(&Entry) -> bool,
) -> Result<(), StoreError> {
    let mut next = from;
    loop {
        let found = row::scan::<OldMessageRow>(rows, &from_uid(folder.id, next, ROWS_PER_READ))?;
        let is_last = found.len() < ROWS_PER_READ;
        for (key, row) in found {
            let uid = uid_of(&key);
            if !visit(&row.entry(uid, folder)) {
                return Ok(());
            }
            next = uid.saturating_add(1);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The last messages up to UID `last` of a folder that was not converted, at most `limit`, in the
/// order of UIDs; and the first UID among them, zero if there are none.
pub(super) fn entries_before(
    rows: &impl Rows,
    folder: &Folder,
    last: u32,
    limit: usize,
) -> Result<(Vec<Entry>, u32), StoreError> {
    let scan = Scan::prefix(&folder.id.key(), limit.min(ROWS_PER_READ)).reversed();
    let scan = match last.checked_add(1) {
        Some(after) => scan.after(&key(folder.id, after)),
        None => scan,
    };
    let found = row::scan::<OldMessageRow>(rows, &scan)?;
    let entries: Vec<Entry> =
        found.iter().rev().map(|(key, row)| row.entry(uid_of(key), folder)).collect();
    let first = entries.first().map_or(0, |entry| entry.uid);
    Ok((entries, first))
}

/// Counts the messages with each keyword: earlier versions did not always.
fn count_keywords(tx: &mut Tx<'_>, folder: &mut Folder) -> Result<(), StoreError> {
    let mut counts = vec![0u32; folder.keywords.len()];
    page::walk(tx, folder.id, 0, |page| {
        for entry in page.entries.iter().filter(|entry| entry.keywords != 0) {
            for (at, count) in (0u32..).zip(&mut counts) {
                let has = entry.keywords.checked_shr(at).unwrap_or(0) & 1;
                *count = count.saturating_add(u32::try_from(has).unwrap_or(0));
            }
        }
        true
    })?;
    folder.keyword_counts = counts;
    Ok(())
}

/// Reads the details of all messages of earlier versions, deletes the rows that pages replaced, and
/// lists the messages in their threads. Returns at once if that was done.
///
/// # Errors
/// When the store refuses; the next call goes on.
pub async fn index_older_messages(node: &Node) -> Result<(), StoreError> {
    read_all_details(node).await?;
    thread_members::add_older(node).await
}

async fn read_all_details(node: &Node) -> Result<(), StoreError> {
    let numbers = row::get::<NumbersRow>(&node.store, NUMBERS)?;
    if numbers.is_none_or(|numbers| numbers.is_indexed) {
        return Ok(());
    }
    for folder in load_all(&node.store)? {
        // The newest are listed first.
        for first in unread_pages(node, folder.id, 0, u32::MAX)?.into_iter().rev() {
            read_page(node, folder.id, first).await?;
        }
        let mut after = None;
        loop {
            let from = after;
            let last = node.store.commit(move |tx| delete_changes(tx, folder.id, from)).await?;
            if last.is_none() {
                break;
            }
            after = last;
        }
    }
    node.store
        .commit(|tx| {
            let Some(mut numbers) = row::get::<NumbersRow>(tx, NUMBERS)? else { return Ok(()) };
            numbers.is_indexed = true;
            row::put(tx, NUMBERS, &numbers)
        })
        .await
}

/// Deletes rows of changes that are no expunges; returns the last modseq that was looked at.
fn delete_changes(
    tx: &mut Tx<'_>,
    folder: FolderId,
    after: Option<u64>,
) -> Result<Option<u64>, StoreError> {
    let found = change::after(tx, folder, after.unwrap_or(0), ROWS_PER_COMMIT)?;
    for (modseq, _) in found.iter().filter(|(_, change)| !change.is_expunged) {
        row::delete::<ChangeRow>(tx, &change::key(folder, *modseq));
    }
    Ok(found.last().map(|(modseq, _)| *modseq))
}

/// The first UIDs of pages whose messages' details were never read, among the pages that may hold
/// UIDs from `from` to `to`.
fn unread_pages(node: &Node, folder: FolderId, from: u32, to: u32) -> Result<Vec<u32>, StoreError> {
    let mut unread = Vec::new();
    page::walk(&node.store, folder, from, |page| {
        if page.state == State::Unread && page.first <= to {
            unread.push(page.first);
        }
        page.first <= to
    })?;
    Ok(unread)
}

/// Reads the details of messages of earlier versions among `uids`, which are in order.
pub(super) async fn read_details_of(
    node: &Node,
    folder: FolderId,
    uids: &[u32],
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(()) };
    for page in unread_pages(node, folder, *first, *last)? {
        read_page(node, folder, page).await?;
    }
    Ok(())
}

/// Reads the details of the messages of a page and packs them.
async fn read_page(node: &Node, folder: FolderId, first: u32) -> Result<(), StoreError> {
    let Some(page) = page::load(&node.store, folder, first)? else { return Ok(()) };
    let mut readings = HashMap::new();
    for entry in &page.entries {
        if let Some(reading) = read_message(node, folder, entry).await? {
            readings.insert(entry.uid, reading);
        }
    }
    let commit = move |tx: &mut Tx<'_>| pack_page(tx, folder, first, readings);
    node.store.commit(commit).await
}

/// A message of an earlier version as it was read, and the id of its thread if it begins one.
struct OldMessage {
    reading: Reading,
    thread_keys: Vec<thread::ThreadKey>,
    new_thread: ThreadId,
}

/// Reads a message; one whose bytes are damaged keeps the summary that it had. `None` if it was
/// expunged meanwhile.
async fn read_message(
    node: &Node,
    folder: FolderId,
    entry: &Entry,
) -> Result<Option<OldMessage>, StoreError> {
    let key = key(folder, entry.uid);
    let row = match row::get::<MessageRow>(&node.store, &key) {
        Ok(Some(row)) => row,
        // A damaged row is reported by `freehold check`; the other messages are indexed.
        Ok(None) | Err(StoreError::Corrupt { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let reading = match deliver::read(node, row.blob, entry.size).await {
        Ok(reading) => reading,
        Err(StoreError::Corrupt { .. } | StoreError::NoBlob) => {
            let old = row::get::<OldSummaryRow>(&node.store, &key)?;
            let summary = old.map(|row| row.0).unwrap_or_default();
            let mut details = Details::default();
            details.set(Column::Summary, row::encode(Summary::VERSION, &summary));
            Reading { details, summary, sent_day: None }
        }
        Err(error) => return Err(error),
    };
    let thread_keys = thread::keys(node, &reading.summary)?;
    let new_thread = ThreadId(node.random.array());
    Ok(Some(OldMessage { reading, thread_keys, new_thread }))
}

fn pack_page(
    tx: &mut Tx<'_>,
    folder: FolderId,
    first: u32,
    mut readings: HashMap<u32, OldMessage>,
) -> Result<(), StoreError> {
    let Some(mut page) = page::load(tx, folder, first)?.filter(|p| p.state == State::Unread) else {
        return Ok(());
    };
    let mut known = Vec::new();
    for entry in &mut page.entries {
        let Some(message) = readings.remove(&entry.uid) else { continue };
        let key = key(folder, entry.uid);
        entry.sent_day = message.reading.sent_day;
        if let Some(mut row) = row::get::<MessageRow>(tx, &key)?
            && row.thread.is_none()
        {
            let arrived = entry.internal_date;
            row.thread = Some(thread::join(tx, &message.thread_keys, message.new_thread, arrived)?);
            row::put_referring(tx, &key, &row, &[row.blob])?;
            thread_members::add(tx, folder, entry.uid, &row)?;
        }
        row::delete::<OldSummaryRow>(tx, &key);
        known.push((entry.uid, message.reading.details));
    }
    columns::pack(tx, &mut page, known)?;
    let changed = page.changed;
    page.save(tx, Some(changed))
}

#[cfg(test)]
mod tests;
