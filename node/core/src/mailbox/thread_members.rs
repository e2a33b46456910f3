//! The messages of each thread, so that neither a list of threads nor the page of one thread reads
//! whole folders.
//!
//! On disk a row under `thread ‖ folder ‖ UID` for each message. It is written and deleted with
//! the message's row ([`MessageRow`]), so it outlives an expunge by a moment ([`removals`]).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};

use super::folders::{FolderId, NUMBERS, NumbersRow, load_all};
use super::read::{MessageRow, from_uid, key as message_key, uid_of};
use super::removals;
use super::thread::ThreadId;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The number of rows that one commit adds for messages of earlier versions.
const ROWS_PER_COMMIT: usize = 500;
/// The number of rows read at a time.
const ROWS_PER_READ: usize = 500;

#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct MemberRow {}

impl Record for MemberRow {
    const TABLE: Table = Table::new("mailbox_thread_members");
    const VERSION: u8 = 1;
}

fn key(thread: ThreadId, folder: FolderId, uid: u32) -> Vec<u8> {
    row::key(&[&thread.0, &folder.key(), &uid.to_be_bytes()])
}

fn place_of(key: &[u8]) -> (FolderId, u32) {
    let folder = FolderId(u32::from_be_bytes(row::key_part(key, 16)));
    (folder, u32::from_be_bytes(row::key_part(key, 20)))
}

/// Adds a message, whose row is stored in the same commit, to its thread.
pub(super) fn add(
    tx: &mut Tx<'_>,
    folder: FolderId,
    uid: u32,
    message: &MessageRow,
) -> Result<(), StoreError> {
    match message.thread {
        Some(thread) => row::put(tx, &key(thread, folder, uid), &MemberRow {}),
        None => Ok(()),
    }
}

/// Removes a message, whose row is deleted in the same commit, from its thread.
pub(super) fn remove(tx: &mut Tx<'_>, folder: FolderId, uid: u32, message: &MessageRow) {
    if let Some(thread) = message.thread {
        row::delete::<MemberRow>(tx, &key(thread, folder, uid));
    }
}

/// The UIDs of a thread's messages in one folder, the newest first, at most `limit`. Messages may
/// be among them that were just expunged.
pub(super) fn in_folder(
    rows: &impl Rows,
    thread: ThreadId,
    folder: FolderId,
    limit: usize,
) -> Result<Vec<u32>, StoreError> {
    let prefix = row::key(&[&thread.0, &folder.key()]);
    let found = row::scan::<MemberRow>(rows, &Scan::prefix(&prefix, limit).reversed())?;
    Ok(found.iter().map(|(key, _)| place_of(key).1).collect())
}

/// The messages of a thread in all folders, by folder and UID: at most `limit`.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn thread_messages(
    node: &Node,
    thread: ThreadId,
    limit: usize,
) -> Result<Vec<(FolderId, u32)>, StoreError> {
    let found = row::scan::<MemberRow>(&node.store, &Scan::prefix(&thread.0, limit))?;
    let mut expunged: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut places = Vec::with_capacity(found.len());
    for (folder, uid) in found.iter().map(|(key, _)| place_of(key)) {
        let gone = match expunged.entry(folder.0) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(removals::recorded(node, folder)?),
        };
        if !gone.contains(&uid) {
            places.push((folder, uid));
        }
    }
    Ok(places)
}

/// The UIDs of all messages in one folder that are in a thread with one of `uids`, and `uids`
/// themselves, in order.
///
/// # Errors
/// As [`thread_messages`].
pub fn with_threads(node: &Node, folder: FolderId, uids: &[u32]) -> Result<Vec<u32>, StoreError> {
    let mut all: BTreeSet<u32> = uids.iter().copied().collect();
    let mut threads = BTreeSet::new();
    for uid in uids {
        let message = row::get::<MessageRow>(&node.store, &message_key(folder, *uid))?;
        let Some(thread) = message.and_then(|message| message.thread) else { continue };
        if threads.insert(thread.0) {
            all.extend(in_folder(&node.store, thread, folder, usize::MAX >> 1)?);
        }
    }
    Ok(all.into_iter().collect())
}

/// Adds the messages of earlier versions to their threads. Returns at once if that was done.
///
/// # Errors
/// When the store refuses; the next call begins again, and changes nothing that is there.
pub(super) async fn add_older(node: &Node) -> Result<(), StoreError> {
    let numbers = row::get::<NumbersRow>(&node.store, NUMBERS)?;
    if numbers.is_none_or(|numbers| numbers.has_thread_members) {
        return Ok(());
    }
    for folder in load_all(&node.store)? {
        let mut next = Some(0);
        while let Some(from) = next {
            next = node.store.commit(move |tx| add_some(tx, folder.id, from)).await?;
        }
    }
    node.store
        .commit(|tx| {
            let Some(mut numbers) = row::get::<NumbersRow>(tx, NUMBERS)? else { return Ok(()) };
            numbers.has_thread_members = true;
            row::put(tx, NUMBERS, &numbers)
        })
        .await
}

/// Adds the messages from UID `from` on; returns the UID to go on with.
fn add_some(tx: &mut Tx<'_>, folder: FolderId, from: u32) -> Result<Option<u32>, StoreError> {
    let found = row::scan::<MessageRow>(tx, &from_uid(folder, from, ROWS_PER_COMMIT))?;
    for (key, message) in &found {
        add(tx, folder, uid_of(key), message)?;
    }
    let last = found.last().filter(|_| found.len() == ROWS_PER_COMMIT);
    Ok(last.and_then(|(key, _)| uid_of(key).checked_add(1)))
}

/// Every message with a thread is a member of it, and every member is such a message.
pub(super) fn check(node: &Node, wrong: &mut Vec<String>) -> Result<(), StoreError> {
    let numbers = row::get::<NumbersRow>(&node.store, NUMBERS)?;
    if numbers.is_none_or(|numbers| !numbers.has_thread_members) {
        return Ok(());
    }
    let mut members = 0usize;
    let mut last = Vec::new();
    loop {
        let scan = Scan::prefix(&[], ROWS_PER_READ).after(&last);
        let found = row::scan::<MemberRow>(&node.store, &scan)?;
        let Some((end, _)) = found.last() else { break };
        last.clone_from(end);
        members = members.saturating_add(found.len());
        for (key, _) in &found {
            let (folder, uid) = place_of(key);
            let message = row::get::<MessageRow>(&node.store, &message_key(folder, uid))?;
            let thread = message.and_then(|message| message.thread);
            if thread.is_none_or(|thread| !key.starts_with(&thread.0)) {
                wrong.push(format!(
                    "folder {}: UID {uid} is listed in a thread that it does not have",
                    folder.0
                ));
            }
        }
    }
    let mut messages = 0usize;
    for folder in load_all(&node.store)? {
        let contents = super::contents(node, folder.id, 0, u32::MAX)?;
        let in_threads = contents.iter().filter(|(_, content)| content.thread.is_some());
        messages = messages.saturating_add(in_threads.count());
    }
    if members != messages {
        wrong.push(format!("threads list {members} messages of {messages}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
