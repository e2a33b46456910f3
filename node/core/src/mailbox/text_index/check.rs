//! Checks the index of texts against itself and the folder's pages.

use std::collections::BTreeSet;

use super::forget::RemovedRow;
use super::run::{self, DroppedRow};
use super::{PostingRow, indexed};
use crate::mailbox::folders::Folder;
use crate::mailbox::read::Message;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError};

/// Broken invariants of a folder's index: a message that is indexed twice, one that is not in the
/// folder and not recorded as removed, missing postings and ones of no run.
pub(in crate::mailbox) fn check(
    node: &Node,
    folder: &Folder,
    messages: &[Message],
    wrong: &mut Vec<String>,
) -> Result<(), StoreError> {
    let everything = || Scan::prefix(&folder.id.key(), usize::MAX >> 1);
    let mut uids: Vec<u32> = Vec::new();
    let mut known: BTreeSet<Vec<u8>> = BTreeSet::new();
    for run in run::all(&node.store, folder.id)? {
        uids.extend(&run.uids);
        let prefix = row::key(&[&folder.id.key(), &run.row.id]);
        let postings = node.store.keys(PostingRow::TABLE, &Scan::prefix(&prefix, 1000))?;
        if postings.len() != run.rows() {
            wrong.push(format!(
                "folder {}: a run of the text index has {} rows of postings, not {}",
                folder.id.0,
                postings.len(),
                run.rows()
            ));
        }
        known.insert(prefix);
    }
    known.extend(node.store.keys(DroppedRow::TABLE, &everything())?);
    let postings = node.store.keys(PostingRow::TABLE, &everything())?;
    if postings.iter().any(|key| !known.contains(key.get(..12).unwrap_or_default())) {
        wrong.push(format!("folder {}: the text index has postings of no run", folder.id.0));
    }
    uids.sort_unstable();
    if uids.windows(2).any(|pair| pair.first() == pair.last()) {
        wrong.push(format!("folder {}: a message is in the text index twice", folder.id.0));
    }
    let indexed = indexed(&node.store, folder.id)?;
    if !indexed.has_gaps && uids.last().is_some_and(|last| *last > indexed.last) {
        wrong.push(format!("folder {}: the text index is ahead of its state", folder.id.0));
    }
    let removed = row::scan::<RemovedRow>(&node.store, &everything())?;
    let removed: BTreeSet<u32> = removed.iter().flat_map(|(_, row)| row.uids()).copied().collect();
    let is_there = |uid: &u32| messages.binary_search_by_key(uid, |m| m.uid).is_ok();
    if uids.iter().any(|uid| !is_there(uid) && !removed.contains(uid)) {
        wrong.push(format!("folder {}: the text index has a message that is gone", folder.id.0));
    }
    Ok(())
}
