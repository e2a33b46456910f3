//! Checks the mailbox's invariants, for `freehold check` and for every test node when it is
//! dropped.

use std::collections::BTreeSet;

use super::change::{ChangeRow, EXPUNGES_REMEMBERED};
use super::folders::{Folder, folders};
use super::read::{MessageRow, body, from_uid, key, messages};
use super::summary::Summary;
use super::{Flags, Message, flags};
use crate::node::Node;
use crate::row;
use crate::store::{Scan, StoreError};

const PAGE: usize = 1000;

/// Broken invariants of the mailbox, a sentence each: wrong counts, UIDs or modseqs that were not
/// assigned, missing summaries or message bytes.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn check(node: &Node) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    for folder in folders(node)? {
        let all = every_message(node, &folder)?;
        check_counts(&folder, &all, &mut wrong);
        check_changes(node, &folder, &all, &mut wrong)?;
        for message in &all {
            if row::get::<Summary>(&node.store, &key(folder.id, message.uid))?.is_none() {
                wrong.push(format!("folder {}: UID {} has no summary", folder.id.0, message.uid));
            }
            match body(node, message) {
                Ok(text) if text.len() == message.size => {}
                _ => wrong.push(format!(
                    "folder {}: the bytes of UID {} are missing or damaged",
                    folder.id.0, message.uid
                )),
            }
        }
    }
    Ok(wrong)
}

fn every_message(node: &Node, folder: &Folder) -> Result<Vec<Message>, StoreError> {
    let mut all: Vec<Message> = Vec::new();
    loop {
        let first = all.last().map_or(0, |m| m.uid.saturating_add(1));
        let page = messages(node, folder.id, first, u32::MAX, PAGE)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
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

/// Every message has exactly one change row, at its modseq, and expunged messages have no row.
fn check_changes(
    node: &Node,
    folder: &Folder,
    all: &[Message],
    wrong: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut live = BTreeSet::new();
    let mut scan = Scan::prefix(&folder.id.key(), PAGE);
    loop {
        let page = row::scan::<ChangeRow>(&node.store, &scan)?;
        for (found, change) in &page {
            let modseq = u64::from_be_bytes(row::key_part(found, 4));
            if !change.is_expunged {
                live.insert((change.uid, modseq));
            } else if modseq.saturating_add(EXPUNGES_REMEMBERED) <= folder.highest_modseq {
                wrong.push(format!(
                    "folder {}: the expunge of UID {} is too old to be remembered",
                    folder.id.0, change.uid
                ));
            } else if row::get::<MessageRow>(&node.store, &key(folder.id, change.uid))?.is_some() {
                wrong.push(format!(
                    "folder {}: UID {} is expunged and still has a row",
                    folder.id.0, change.uid
                ));
            }
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => {
                scan = Scan::prefix(&folder.id.key(), PAGE).after(last)
            }
            _ => break,
        }
    }
    if live != all.iter().map(|m| (m.uid, m.modseq)).collect() {
        wrong.push(format!("folder {}: the change rows do not match its messages", folder.id.0));
    }
    let orphans = row::scan::<MessageRow>(&node.store, &from_uid(folder.id, folder.uid_next, 1))?;
    if !orphans.is_empty() {
        wrong.push(format!("folder {}: there are messages at or above UIDNEXT", folder.id.0));
    }
    Ok(())
}
