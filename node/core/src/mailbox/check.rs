//! Checks the mailbox's invariants, for `freehold check` and for every test node when it is
//! dropped.

use std::collections::BTreeSet;

use super::change::{self, EXPUNGES_REMEMBERED};
use super::folders::{Folder, folders};
use super::page::{self, State};
use super::read::{body, contents, message_in};
use super::{
    Flags, Message, columns, flags, relay, removals, text_index, thread_members, transfer,
};
use crate::node::Node;
use crate::store::StoreError;

const PAGE: usize = 1000;

/// Broken invariants of the mailbox, a sentence each: those of [`check_rows`] and [`check_bodies`].
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn check(node: &Node) -> Result<Vec<String>, StoreError> {
    let mut wrong = check_rows(node)?;
    wrong.extend(check_bodies(node)?);
    Ok(wrong)
}

/// Messages whose bytes are missing or damaged, a sentence each. Messages may be expunged
/// meanwhile.
///
/// # Errors
/// As [`check`].
pub fn check_bodies(node: &Node) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    for folder in folders(node)?.into_iter().filter(|folder| folder.is_paged) {
        let mut all = Vec::new();
        page::walk(&node.store, folder.id, 0, |page| {
            all.extend(page.entries.iter().map(|e| e.message(folder.id, &folder.keywords)));
            true
        })?;
        for message in &all {
            let is_whole = body(node, message).is_ok_and(|text| text.len() == message.size);
            if !is_whole && message_in(&node.store, folder.id, message.uid)?.is_some() {
                wrong.push(format!(
                    "folder {}: the bytes of UID {} are missing or damaged",
                    folder.id.0, message.uid
                ));
            }
        }
    }
    Ok(wrong)
}

/// Broken invariants of the rows, a sentence each: wrong counts, UIDs or modseqs that were not
/// assigned, missing rows or summaries. Reads no message, and is right only if nothing is
/// committed meanwhile.
///
/// # Errors
/// As [`check`].
pub fn check_rows(node: &Node) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let folders = folders(node)?;
    for folder in folders.iter().filter(|folder| folder.is_paged) {
        let all = check_pages(node, folder, &mut wrong)?;
        check_counts(folder, &all, &mut wrong);
        check_expunges(node, folder, &all, &mut wrong)?;
        check_message_rows(node, folder, &all, &mut wrong)?;
        text_index::check(node, folder, &all, &mut wrong)?;
    }
    transfer::check(node, &folders, &mut wrong)?;
    thread_members::check(node, &mut wrong)?;
    relay::check(node, &mut wrong)?;
    Ok(wrong)
}

/// Every message of a folder. Pages are in order, each has one change row, and each message has a
/// summary.
fn check_pages(
    node: &Node,
    folder: &Folder,
    wrong: &mut Vec<String>,
) -> Result<Vec<Message>, StoreError> {
    let (mut all, mut pages, mut changes) = (Vec::<Message>::new(), Vec::new(), BTreeSet::new());
    page::walk(&node.store, folder.id, 0, |page| {
        pages.push(page);
        true
    })?;
    for page in &pages {
        changes.insert((page.changed, page.first));
        let messages = page.entries.iter().map(|e| e.message(folder.id, &folder.keywords));
        let before = all.last().map_or(0, |message| message.uid);
        all.extend(messages);
        let uids: Vec<u32> = page.entries.iter().map(|entry| entry.uid).collect();
        if !uids.is_sorted() || uids.first().is_none_or(|uid| *uid < page.first || *uid <= before) {
            wrong.push(format!("folder {}: page {} is out of order", folder.id.0, page.first));
        }
        if page.entries.iter().any(|entry| entry.modseq > page.changed) {
            wrong.push(format!(
                "folder {}: page {} has a message that changed after it",
                folder.id.0, page.first
            ));
        }
        let details = columns::all_of(&node.store, page)?;
        let has_summary = |uid: &u32| {
            details.iter().any(|(known, details)| known == uid && details.summary().is_some())
        };
        if page.state != State::Unread && !uids.iter().all(has_summary) {
            wrong.push(format!(
                "folder {}: a message of page {} has no summary",
                folder.id.0, page.first
            ));
        }
    }
    let listed = page::changed_after(&node.store, folder.id, (0, 0), usize::MAX >> 1)?;
    if !listed.into_iter().eq(changes) {
        wrong.push(format!("folder {}: the changes of its pages do not match them", folder.id.0));
    }
    Ok(all)
}

/// Every message has a row, and every row belongs to a message or to one that was just expunged.
fn check_message_rows(
    node: &Node,
    folder: &Folder,
    all: &[Message],
    wrong: &mut Vec<String>,
) -> Result<(), StoreError> {
    let expunged = removals::recorded(node, folder.id)?;
    let mut rows = contents(node, folder.id, 0, u32::MAX)?;
    rows.retain(|(uid, _)| !expunged.contains(uid));
    if !rows.iter().map(|(uid, _)| *uid).eq(all.iter().map(|message| message.uid)) {
        wrong.push(format!("folder {}: the rows of messages do not match its pages", folder.id.0));
    }
    Ok(())
}

fn check_counts(folder: &Folder, all: &[Message], wrong: &mut Vec<String>) {
    let unseen = all.iter().filter(|m| !m.flags.has(Flags::SEEN)).count();
    let deleted = all.iter().filter(|m| m.flags.has(Flags::DELETED)).count();
    let counted =
        (folder.total as usize, folder.unseen as usize, folder.deleted as usize, folder.size);
    let found = (all.len(), unseen, deleted, all.iter().map(|m| m.size).sum::<u64>());
    if counted != found {
        wrong.push(format!(
            "folder {}: its row counts (messages, unseen, deleted, bytes) {counted:?}, \
             found {found:?}",
            folder.id.0
        ));
    }
    let recent = all.iter().filter(|m| folder.recent_uids().contains(&m.uid)).count();
    if folder.recent as usize != recent {
        wrong.push(format!(
            "folder {}: its row counts {} recent messages, found {recent}",
            folder.id.0, folder.recent
        ));
    }
    let counts = folder.keywords.iter().zip(&folder.keyword_counts);
    for (keyword, count) in counts.filter(|(_, count)| **count != flags::NOT_COUNTED) {
        let found = all.iter().filter(|m| m.flags.has_keyword(keyword)).count();
        if found != *count as usize {
            wrong.push(format!(
                "folder {}: its row counts {count} messages with a keyword, found {found}",
                folder.id.0
            ));
        }
    }
    if all
        .iter()
        .any(|m| m.uid == 0 || m.uid >= folder.uid_next || m.modseq > folder.highest_modseq)
    {
        wrong.push(format!(
            "folder {}: a message has a UID or modseq that was not assigned",
            folder.id.0
        ));
    }
}

/// Expunged messages are in no page, and old expunges are forgotten.
fn check_expunges(
    node: &Node,
    folder: &Folder,
    all: &[Message],
    wrong: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut last = 0;
    loop {
        let found = change::after(&node.store, folder.id, last, PAGE)?;
        let is_last = found.len() < PAGE;
        for (modseq, change) in found {
            last = modseq;
            let is_there = |uid: &u32| all.binary_search_by_key(uid, |m| m.uid).is_ok();
            if !change.is_expunged {
                continue;
            } else if modseq.saturating_add(EXPUNGES_REMEMBERED) <= folder.highest_modseq {
                wrong.push(format!(
                    "folder {}: the expunge of UID {} is too old to be remembered",
                    folder.id.0, change.uid
                ));
            } else if is_there(&change.uid) || change.more.iter().any(is_there) {
                wrong.push(format!(
                    "folder {}: a message expunged at modseq {modseq} is still there",
                    folder.id.0
                ));
            }
        }
        if is_last {
            return Ok(());
        }
    }
}
