//! STORE: changing the flags of messages (RFC 9051 6.4.6, RFC 7162 3.1.3).

use super::folders::{Folder, FolderId, load, save};
use super::page::{self, Page};
use super::{FlagError, Flags, change, flags};
use crate::node::Node;
use crate::store::{StoreError, Tx};

/// The most pages that one commit changes: each writes three rows.
const PAGES_PER_COMMIT: usize = 250;

/// A change of flags (STORE, RFC 9051 6.4.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// Replace all flags by these.
    Set(Flags),
    /// Set these in addition.
    Add(Flags),
    /// Remove these.
    Remove(Flags),
}

impl FlagChange {
    fn flags(&self) -> &Flags {
        match self {
            Self::Set(flags) | Self::Add(flags) | Self::Remove(flags) => flags,
        }
    }

    fn apply(&self, before: &Flags) -> Flags {
        match self {
            Self::Set(flags) => Flags::default().with(flags),
            Self::Add(flags) => before.with(flags),
            Self::Remove(flags) => before.without(flags),
        }
    }
}

/// The result of STORE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreOutcome {
    /// UID, modseq and flags of each message that exists and passed UNCHANGEDSINCE. A message whose
    /// flags did not change keeps its modseq.
    pub changed: Vec<(u32, u64, Flags)>,
    /// UIDs of messages that had changed after `unchanged_since` and were not stored to (MODIFIED,
    /// RFC 7162 3.1.3).
    pub modified: Vec<u32>,
}

/// Changes the flags of messages; UIDs that don't exist are skipped. Very many messages take
/// several commits, each atomic. Messages of one commit share a modseq.
///
/// # Errors
/// When there is no such folder or a keyword is not allowed.
pub async fn store_flags(
    node: &Node,
    folder: FolderId,
    uids: &[u32],
    change: FlagChange,
    unchanged_since: Option<u64>,
) -> Result<StoreOutcome, FlagError> {
    flags::check_keywords(change.flags())?;
    let mut outcome = StoreOutcome::default();
    let mut rest = uids.to_vec();
    rest.sort_unstable();
    rest.dedup();
    loop {
        let (batch, change) = (rest, change.clone());
        let (part, left) = node
            .store
            .commit(move |tx| store_batch(tx, folder, batch, &change, unchanged_since))
            .await?;
        outcome.changed.extend(part.changed);
        outcome.modified.extend(part.modified);
        if left.is_empty() {
            return Ok(outcome);
        }
        rest = left;
    }
}

/// Adds flags to one message within a commit. Nothing happens if it is gone, or if the folder has
/// no room for another keyword.
pub(super) fn add_in(
    tx: &mut Tx<'_>,
    folder: FolderId,
    uid: u32,
    added: Flags,
) -> Result<(), StoreError> {
    match store_batch(tx, folder, vec![uid], &FlagChange::Add(added), None) {
        Err(FlagError::Store(error)) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Changes the flags of the first of `uids`, which are in order, and returns those that are left.
fn store_batch(
    tx: &mut Tx<'_>,
    id: FolderId,
    mut uids: Vec<u32>,
    change: &FlagChange,
    unchanged_since: Option<u64>,
) -> Result<(StoreOutcome, Vec<u32>), FlagError> {
    tx.mark_essential();
    let mut folder = load(tx, id)?.ok_or(FlagError::NoSuchFolder)?;
    let mut outcome = StoreOutcome::default();
    let before = folder.clone();
    let modseq = folder.highest_modseq.saturating_add(1);
    let store = PageStore { change, unchanged_since, modseq };
    let (mut next, mut pages) = (0usize, 0usize);
    while let Some(uid) = uids.get(next).copied()
        && pages < PAGES_PER_COMMIT
    {
        let Some(mut page) = page::holding(tx, id, uid)? else {
            next = next.saturating_add(1);
            continue;
        };
        let last = page.entries.last().map_or(uid, |entry| entry.uid.max(uid));
        let end = uids.partition_point(|uid| *uid <= last);
        let wanted = uids.get(next..end).unwrap_or_default();
        next = end;
        let changed = page.changed;
        let is_changed = store.page(&mut folder, &mut page, wanted, &mut outcome)?;
        if is_changed {
            folder.highest_modseq = modseq;
            page.changed = modseq;
            page.save(tx, Some(changed))?;
            pages = pages.saturating_add(1);
        }
    }
    if folder != before {
        change::forget_expunge(tx, &mut folder)?;
        save(tx, &folder)?;
    }
    uids.drain(..next);
    Ok((outcome, uids))
}

/// A change of flags that is made page by page.
struct PageStore<'a> {
    change: &'a FlagChange,
    unchanged_since: Option<u64>,
    /// The modseq of the messages that change.
    modseq: u64,
}

impl PageStore<'_> {
    /// Changes the flags of messages of one page; true if any has other flags then.
    fn page(
        &self,
        folder: &mut Folder,
        page: &mut Page,
        uids: &[u32],
        outcome: &mut StoreOutcome,
    ) -> Result<bool, FlagError> {
        let mut is_page_changed = false;
        let mut wanted = uids.iter().peekable();
        for entry in &mut page.entries {
            while wanted.next_if(|uid| **uid < entry.uid).is_some() {}
            if wanted.next_if(|uid| **uid == entry.uid).is_none() {
                continue;
            }
            if self.unchanged_since.is_some_and(|since| entry.modseq > since) {
                outcome.modified.push(entry.uid);
                continue;
            }
            let mut flags = entry.message(folder.id, &folder.keywords).flags;
            let changed = self.change.apply(&flags);
            if !changed.is_same(&flags) {
                flags::subtract(folder, &flags);
                flags::add(folder, &changed)?;
                entry.set_flags(folder, &changed);
                entry.modseq = self.modseq;
                is_page_changed = true;
                // With the keywords in the folder's order and case.
                flags = entry.message(folder.id, &folder.keywords).flags;
            }
            outcome.changed.push((entry.uid, entry.modseq, flags));
        }
        Ok(is_page_changed)
    }
}

#[cfg(test)]
mod tests;
