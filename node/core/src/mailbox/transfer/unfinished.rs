//! COPYs that take several commits: a commit has at most 1,000 rows. A COPY that fails, even by a
//! power cut, leaves no copies (RFC 3501 6.4.7).
//!
//! On disk each commit but the last adds the UIDs of its copies to a row under `id of the COPY ‖
//! number of the row`. The last commit succeeds only if these rows list all commits before it, and
//! deletes them. A row that no running COPY owns is of a failed one, whose copies are expunged.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::mailbox::folders::{Folder, FolderId};
use crate::mailbox::{FlagError, delete_for_good};
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// How many commits one row lists: at 11 bytes each it is shorter than 4 KiB, and the last commit
/// of a COPY deletes few rows.
const COMMITS_PER_ROW: u32 = 256;
/// A COPY that has committed nothing for this time has failed, in milliseconds. If it was only
/// slow, its last commit fails.
const FAILED_AFTER: u64 = 10 * 60 * 1000;

/// The id of a COPY; random.
pub(super) type CopyId = [u8; 16];

/// The copies that some commits of a COPY have made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct CopiesRow {
    /// The target folder.
    #[n(0)]
    folder: FolderId,
    /// When the last of these commits was made.
    #[n(1)]
    changed: Timestamp,
    /// The number of commits.
    #[n(2)]
    commits: u32,
    /// The UIDs of the copies: the first and the last of each range.
    #[n(3)]
    uids: Vec<(u32, u32)>,
    /// Whether the copies are being expunged, so that the COPY can't succeed any more.
    #[n(4)]
    has_failed: bool,
}

impl Record for CopiesRow {
    const TABLE: Table = Table::new("mailbox_copies");
    const VERSION: u8 = 1;
}

/// One commit of a COPY.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    copy: CopyId,
    number: u32,
    /// How many commits the COPY takes.
    of: u32,
}

impl Part {
    /// The parts of a COPY of `count` commits, in order.
    pub(super) fn all(copy: CopyId, count: usize) -> impl Iterator<Item = Self> {
        let of = u32::try_from(count).unwrap_or(u32::MAX);
        (0..of).map(move |number| Self { copy, number, of })
    }

    fn is_last(&self) -> bool {
        self.number.saturating_add(1) >= self.of
    }
}

fn row_key(copy: CopyId, number: u32) -> Vec<u8> {
    row::key(&[&copy, &number.to_be_bytes()])
}

/// Every row, or those of one COPY.
fn rows_of(rows: &impl Rows, prefix: &[u8]) -> Result<Vec<(Vec<u8>, CopiesRow)>, StoreError> {
    row::scan(rows, &Scan::prefix(prefix, usize::MAX >> 1))
}

/// Records the copies of one commit within it: (old UID, new UID) in order. In the last commit of a
/// COPY deletes the records of all.
///
/// # Errors
/// When an earlier commit of the COPY failed.
pub(super) fn record(
    tx: &mut Tx<'_>,
    part: Part,
    now: Timestamp,
    to: FolderId,
    copied: &[(u32, u32)],
) -> Result<(), StoreError> {
    if part.is_last() {
        return finish(tx, part);
    }
    let key = row_key(part.copy, part.number / COMMITS_PER_ROW);
    let new =
        CopiesRow { folder: to, changed: now, commits: 0, uids: Vec::new(), has_failed: false };
    let mut row = row::get::<CopiesRow>(tx, &key)?.unwrap_or(new);
    row.changed = now;
    row.commits = row.commits.saturating_add(1);
    // The copies of one commit have successive UIDs.
    if let (Some((_, first)), Some((_, last))) = (copied.first(), copied.last()) {
        match row.uids.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(*first) => *end = *last,
            _ => row.uids.push((*first, *last)),
        }
    }
    row::put(tx, &key, &row)
}

fn finish(tx: &mut Tx<'_>, part: Part) -> Result<(), StoreError> {
    if part.of <= 1 {
        return Ok(());
    }
    let rows = rows_of(tx, &part.copy)?;
    let commits: u32 = rows.iter().map(|(_, row)| row.commits).sum();
    if commits != part.number || rows.iter().any(|(_, row)| row.has_failed) {
        return Err(StoreError::Unavailable("an earlier commit of the COPY failed".to_owned()));
    }
    rows.iter().for_each(|(key, _)| row::delete::<CopiesRow>(tx, key));
    Ok(())
}

/// Expunges the copies of a failed COPY.
///
/// # Errors
/// When the store refuses; the next call continues.
pub(super) async fn undo(node: &Node, copy: CopyId) -> Result<(), StoreError> {
    node.store.commit(move |tx| mark_failed(tx, copy)).await?;
    loop {
        let Some((key, row)) =
            row::scan::<CopiesRow>(&node.store, &Scan::prefix(&copy, 1))?.into_iter().next()
        else {
            return Ok(());
        };
        let uids: Vec<u32> = row.uids.iter().flat_map(|(first, last)| *first..=*last).collect();
        // Any other error means that there is no such folder, so there are no copies.
        if let Err(FlagError::Store(error)) = delete_for_good(node, row.folder, &uids).await {
            return Err(error);
        }
        node.store.commit(move |tx| delete_unchanged(tx, &key, &row)).await?;
    }
}

/// From this commit on the last commit of the COPY fails: first because of the mark, later because
/// a row is missing.
fn mark_failed(tx: &mut Tx<'_>, copy: CopyId) -> Result<(), StoreError> {
    tx.mark_essential();
    let first = row_key(copy, 0);
    match row::get::<CopiesRow>(tx, &first)? {
        Some(row) => row::put(tx, &first, &CopiesRow { has_failed: true, ..row }),
        None => Ok(()),
    }
}

/// Deletes a row unless another commit of the COPY was added to it.
fn delete_unchanged(tx: &mut Tx<'_>, key: &[u8], read: &CopiesRow) -> Result<(), StoreError> {
    tx.mark_essential();
    if row::get::<CopiesRow>(tx, key)?.as_ref() == Some(read) {
        row::delete::<CopiesRow>(tx, key);
    }
    Ok(())
}

/// Expunges the copies of the COPYs that a stop interrupted. Called at the start, before any COPY
/// runs.
///
/// # Errors
/// As [`undo`].
pub(in crate::mailbox) async fn undo_interrupted(node: &Node) -> Result<(), StoreError> {
    undo_older_than(node, None).await
}

/// Expunges the copies of COPYs that failed while the store refused to expunge them.
///
/// # Errors
/// When the store refuses; the next call continues.
pub async fn undo_failed_copies(node: &Node) -> Result<(), StoreError> {
    undo_older_than(node, Some(FAILED_AFTER)).await
}

async fn undo_older_than(node: &Node, age: Option<u64>) -> Result<(), StoreError> {
    let mut changed: BTreeMap<CopyId, Timestamp> = BTreeMap::new();
    for (key, row) in rows_of(&node.store, &[])? {
        let last = changed.entry(row::key_part(&key, 0)).or_insert(row.changed);
        *last = row.changed.max(*last);
    }
    for (copy, last) in changed {
        if age.is_none_or(|age| node.clock.now().millis_since(last) >= age) {
            undo(node, copy).await?;
            tracing::info!("the copies of an unfinished COPY were expunged");
        }
    }
    Ok(())
}

/// The rows list UIDs that their folder has assigned.
pub(in crate::mailbox) fn check(
    node: &Node,
    folders: &[Folder],
    wrong: &mut Vec<String>,
) -> Result<(), StoreError> {
    for (_, row) in rows_of(&node.store, &[])? {
        let Some(folder) = folders.iter().find(|folder| folder.id == row.folder) else { continue };
        let is_assigned =
            |(first, last): &(u32, u32)| (1..=*last).contains(first) && *last < folder.uid_next;
        if row.commits == 0 || !row.uids.iter().all(is_assigned) {
            wrong.push(format!(
                "folder {}: an unfinished COPY lists UIDs that were not assigned",
                folder.id.0
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
