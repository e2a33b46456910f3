//! How much the mailbox holds and how much it may hold (RFC 9208).
//!
//! The sizes of messages are summed in the rows of folders, so that no page is read. A sum is that
//! of the messages as they arrived: on the disk they are compressed, and two folders with a copy
//! share its bytes.

use super::Flags;
use super::folders::{Folder, load_all};
use super::read::each_entry;
use crate::node::Node;
use crate::store::StoreError;

/// The usage of the mailbox and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The sum of the messages' sizes, in bytes.
    pub size: u64,
    /// The size up to which the mailbox may grow: `size` and the free space above the watermark;
    /// `None` if the free space can't be read.
    pub size_max: Option<u64>,
    /// The number of messages.
    pub messages: u64,
    /// The number of messages up to which the folders have UIDs.
    pub messages_max: u64,
}

/// The usage of the mailbox and its limits. Reads the rows of all folders and the free space of the
/// file system.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn quota(node: &Node) -> Result<Quota, StoreError> {
    let folders = load_all(&node.store)?;
    let sum = |value: fn(&Folder) -> u64| folders.iter().map(value).fold(0, u64::saturating_add);
    let (size, messages) = (sum(|folder| folder.size), sum(|folder| u64::from(folder.total)));
    let uids_left = sum(|folder| u64::from(u32::MAX.saturating_sub(folder.uid_next)));
    Ok(Quota {
        size,
        size_max: node.blobs.space_left().map(|left| size.saturating_add(left)),
        messages,
        messages_max: messages.saturating_add(uids_left),
    })
}

/// The sum of the sizes of a folder's messages with \Deleted, in bytes. The walk over the pages
/// ends with the last of them.
///
/// # Errors
/// As [`quota`].
pub fn deleted_size(node: &Node, folder: &Folder) -> Result<u64, StoreError> {
    let (mut left, mut size) = (folder.deleted, 0u64);
    if left == 0 {
        return Ok(size);
    }
    each_entry(&node.store, folder, 0, |entry| {
        if entry.bits & Flags::DELETED != 0 {
            size = size.saturating_add(entry.size);
            left = left.saturating_sub(1);
        }
        left > 0
    })?;
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{
        Delivery, FlagChange, IdempotencyKey, SpecialUse, copy_messages, deliver, folder, quota,
        special_folder, store_flags,
    };
    use crate::testing::TestNode;

    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    async fn put(node: &Node, folder: &Folder, len: usize) -> u32 {
        let delivery = Delivery {
            folder: folder.id,
            blob: node.blobs.put(&vec![b'x'; len]).unwrap(),
            id: IdempotencyKey::new(node),
            internal_date: node.clock.now(),
            flags: Flags::default(),
        };
        deliver(node, delivery).await.unwrap().uid
    }

    #[tokio::test]
    async fn quota_counts_every_folder_and_the_free_space() {
        let alice = TestNode::new("alice").await;
        let [inbox, trash] = [SpecialUse::Inbox, SpecialUse::Trash]
            .map(|special| special_folder(&alice, special).unwrap().unwrap());
        let empty = quota(&alice).unwrap();
        assert_eq!((empty.size, empty.messages), (0, 0));
        let uids = [put(&alice, &inbox, 100).await, put(&alice, &inbox, 2_000).await];
        copy_messages(&alice, inbox.id, &uids[..1], trash.id).await.unwrap();
        let full = quota(&alice).unwrap();
        assert_eq!((full.size, full.messages), (2_200, 3));
        assert_eq!(full.messages_max, empty.messages_max, "a UID is used or free");
        alice.disk().set_free(0);
        assert_eq!(quota(&alice).unwrap().size_max, Some(2_200), "no space is left");
        alice.disk().set_free(u64::MAX);
        assert_eq!(quota(&alice).unwrap().size_max, Some(u64::MAX));
    }

    #[tokio::test]
    async fn deleted_size_is_that_of_messages_with_deleted() {
        let alice = TestNode::new("alice").await;
        let inbox = special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap();
        for len in 1..=150 {
            put(&alice, &inbox, len).await;
        }
        let size = || deleted_size(&alice, &folder(&alice, inbox.id).unwrap().unwrap()).unwrap();
        assert_eq!(size(), 0);
        let deleted = || FlagChange::Add(Flags::of(Flags::DELETED));
        store_flags(&alice, inbox.id, &[1, 100, 150], deleted(), None).await.unwrap();
        assert_eq!(size(), 251);
    }
}
