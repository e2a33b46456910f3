use super::*;
use crate::erasure;
use crate::mailbox::tests::filled;
use crate::mailbox::{check, folder, messages_in, move_messages, remove_expunged, set_bin_days};
use crate::testing::TestNode;

fn bin(node: &TestNode) -> FolderId {
    special_folder(node, SpecialUse::Trash).unwrap().unwrap().id
}

fn uids(node: &TestNode, folder: FolderId) -> Vec<u32> {
    let found = messages_in(&node.store, folder, 1, u32::MAX, usize::MAX >> 1).unwrap();
    found.iter().map(|message| message.uid).collect()
}

#[tokio::test]
async fn bin_is_emptied_and_its_bytes_are_removed() {
    let (alice, inbox) = filled(200).await;
    let all: Vec<u32> = (1..=199).collect();
    move_messages(&alice, inbox, &all, bin(&alice)).await.unwrap();
    let contents = super::super::contents(&alice, bin(&alice), 0, u32::MAX).unwrap();
    assert_eq!(empty_folder(&alice, bin(&alice)).await.unwrap(), 199);
    assert_eq!((uids(&alice, bin(&alice)), uids(&alice, inbox)), (vec![], vec![200]));
    assert_eq!(folder(&alice, bin(&alice)).unwrap().unwrap().total, 0);
    remove_expunged(&alice).await.unwrap();
    erasure::unlink(&alice).unwrap();
    assert!(contents.iter().all(|(_, content)| !alice.blobs.contains(&content.blob).unwrap()));
    assert_eq!(empty_folder(&alice, bin(&alice)).await.unwrap(), 0);
    assert!(empty_folder(&alice, FolderId(999)).await.unwrap_or(0) == 0);
    assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn one_message_is_deleted_for_good() {
    let (alice, inbox) = filled(3).await;
    assert_eq!(delete_for_good(&alice, inbox, &[2, 2, 77]).await.unwrap(), [2]);
    assert_eq!(uids(&alice, inbox), [1, 3]);
    assert_eq!(delete_for_good(&alice, inbox, &[2]).await.unwrap(), Vec::<u32>::new());
}

#[tokio::test]
async fn old_messages_are_purged_by_the_day_they_moved() {
    let (alice, inbox) = filled(4).await;
    let days = |count| alice.clock.advance(count * DAY_MS);
    let junk = special_folder(&alice, SpecialUse::Junk).unwrap().unwrap().id;
    // The messages themselves are old.
    days(100);
    move_messages(&alice, inbox, &[1], bin(&alice)).await.unwrap();
    move_messages(&alice, inbox, &[2], junk).await.unwrap();
    days(20);
    move_messages(&alice, inbox, &[3], bin(&alice)).await.unwrap();
    days(10);
    assert_eq!(purge_old_messages(&alice).await.unwrap(), 0, "it is off by default");
    set_bin_days(&alice, Some(30)).await.unwrap();
    assert_eq!(bin_days(&alice).unwrap(), Some(30));
    assert_eq!(purge_old_messages(&alice).await.unwrap(), 2);
    assert_eq!((uids(&alice, bin(&alice)), uids(&alice, junk)), (vec![2], vec![]));
    assert_eq!(uids(&alice, inbox), [4], "other folders stay");
    days(20);
    assert_eq!(purge_old_messages(&alice).await.unwrap(), 1);
    set_bin_days(&alice, None).await.unwrap();
    assert_eq!(bin_days(&alice).unwrap(), None);
}
