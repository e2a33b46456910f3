//! STORE: changing the flags of messages (RFC 9051 6.4.6, RFC 7162 3.1.3).

use super::folders::{FolderId, load, save};
use super::read::{MessageRow, key};
use super::{FlagError, Flags, change, flags};
use crate::node::Node;
use crate::row;
use crate::store::Tx;

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

/// Changes the flags of messages; UIDs that don't exist are skipped. Many messages take several
/// commits, each atomic.
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
    for batch in uids.chunks(super::MESSAGES_PER_COMMIT) {
        let (batch, change) = (batch.to_vec(), change.clone());
        let part = node
            .store
            .commit(move |tx| store_batch(tx, folder, &batch, &change, unchanged_since))
            .await?;
        outcome.changed.extend(part.changed);
        outcome.modified.extend(part.modified);
    }
    Ok(outcome)
}

fn store_batch(
    tx: &mut Tx<'_>,
    id: FolderId,
    uids: &[u32],
    change: &FlagChange,
    unchanged_since: Option<u64>,
) -> Result<StoreOutcome, FlagError> {
    tx.mark_essential();
    let mut folder = load(tx, id)?.ok_or(FlagError::NoSuchFolder)?;
    let mut outcome = StoreOutcome::default();
    let before = folder.clone();
    for uid in uids.iter().copied() {
        let Some(mut message) = row::get::<MessageRow>(tx, &key(id, uid))? else { continue };
        if unchanged_since.is_some_and(|since| message.modseq > since) {
            outcome.modified.push(uid);
            continue;
        }
        let changed = change.apply(&message.flags);
        if !changed.is_same(&message.flags) {
            flags::subtract(&mut folder, &message.flags);
            flags::add(&mut folder, &changed)?;
            message.modseq =
                change::record_change(tx, &mut folder, uid, Some(message.modseq), false)?;
            message.flags = changed;
            row::put_referring(tx, &key(id, uid), &message, &[message.blob])?;
        }
        outcome.changed.push((uid, message.modseq, message.flags));
    }
    if folder != before {
        save(tx, &folder)?;
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests;
