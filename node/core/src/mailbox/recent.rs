//! Messages that were reported to no IMAP session: they are `\Recent` in the first session to which
//! they are reported (RFC 3501 2.3.2).
//!
//! The mark is a UID in the folder's row, so no message needs a write of its own. A session claims
//! all messages from the mark on; only that session then knows that they are `\Recent`.

use std::ops::Range;

use super::folders::{Folder, FolderId, load};
use crate::node::Node;
use crate::row;
use crate::store::StoreError;

impl Folder {
    /// The UIDs that were reported to no IMAP session.
    pub fn recent_uids(&self) -> Range<u32> {
        self.recent_from.unwrap_or(self.uid_next)..self.uid_next
    }
}

/// Marks all messages of a folder as reported, and returns the UIDs that were not before. Two
/// sessions never get the same UID. A folder that was deleted has none.
///
/// # Errors
/// When the store refuses.
pub async fn claim_recent(node: &Node, id: FolderId) -> Result<Range<u32>, StoreError> {
    node.store
        .commit(move |tx| {
            let Some(mut folder) = load(tx, id)? else { return Ok(0..0) };
            let claimed = folder.recent_uids();
            if claim(&mut folder) {
                // Without an event: nothing changed for other sessions and for pages.
                row::put(tx, &id.key(), &folder)?;
            }
            Ok(claimed)
        })
        .await
}

/// Marks all messages of the folder, whose row the caller saves, as reported; false if they were.
pub(super) fn claim(folder: &mut Folder) -> bool {
    folder.recent = 0;
    folder.recent_from.take().is_some()
}

/// Counts a message that was added to the folder, whose row the caller saves.
pub(super) fn add(folder: &mut Folder, uid: u32) {
    folder.recent_from.get_or_insert(uid);
    folder.recent = folder.recent.saturating_add(1);
}

/// Subtracts a message that is removed from the folder, whose row the caller saves.
pub(super) fn subtract(folder: &mut Folder, uid: u32) {
    if folder.recent_uids().contains(&uid) {
        folder.recent = folder.recent.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::tests::filled;
    use crate::mailbox::{
        FlagChange, Flags, expunge, folder, move_messages, special_folder, store_flags,
    };
    use crate::mailbox::{SpecialUse, check};

    #[tokio::test]
    async fn recent_messages_are_claimed_by_one_session() {
        let (alice, inbox) = filled(3).await;
        let row = || folder(&alice, inbox).unwrap().unwrap();
        assert_eq!((row().recent, row().recent_uids()), (3, 1..4));
        let delete = FlagChange::Add(Flags::of(Flags::DELETED));
        store_flags(&alice, inbox, &[2], delete, None).await.unwrap();
        expunge(&alice, inbox, None).await.unwrap();
        assert_eq!((row().recent, row().recent_uids()), (2, 1..4));
        let (one, two) = tokio::join!(claim_recent(&alice, inbox), claim_recent(&alice, inbox));
        assert_eq!([one.unwrap(), two.unwrap()].map(|claimed| claimed.len()), [3, 0]);
        assert_eq!((row().recent, row().recent_uids().len()), (0, 0));
        let trash = special_folder(&alice, SpecialUse::Trash).unwrap().unwrap().id;
        move_messages(&alice, inbox, &[1], trash).await.unwrap();
        assert_eq!(row().recent, 0);
        assert_eq!(folder(&alice, trash).unwrap().unwrap().recent, 1);
        assert_eq!(claim_recent(&alice, FolderId(999)).await.unwrap().len(), 0);
        assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
    }
}
