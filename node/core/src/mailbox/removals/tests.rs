use super::super::tests::filled;
use super::*;
use crate::mailbox::{
    FlagChange, Flags, check, create_folder, delete_folder, expunge, messages, move_messages,
    store_flags, view,
};

async fn expunge_all(node: &Node, folder: FolderId) -> Vec<u32> {
    let uids = view(node, folder).unwrap().uids;
    let deleted = FlagChange::Add(Flags::of(Flags::DELETED));
    store_flags(node, folder, &uids, deleted, None).await.unwrap();
    expunge(node, folder, None).await.unwrap()
}

fn rows_of(node: &Node, folder: FolderId) -> usize {
    row::scan::<MessageRow>(&node.store, &Scan::prefix(&folder.key(), 1000)).unwrap().len()
}

#[tokio::test]
async fn rows_of_expunged_messages_are_deleted_later() {
    let (alice, inbox) = filled(150).await;
    let blob = crate::mailbox::content(&alice, &messages(&alice, inbox, 7, 7, 1).unwrap()[0]);
    let blob = blob.unwrap().unwrap().blob;
    assert_eq!(expunge_all(&alice, inbox).await.len(), 150);
    assert_eq!((rows_of(&alice, inbox), check(&alice).unwrap()), (150, Vec::<String>::new()));
    crate::erasure::unlink(&alice).unwrap();
    assert!(alice.blobs.open(&blob).is_ok(), "its row still refers to it");
    remove_expunged(&alice).await.unwrap();
    crate::erasure::unlink(&alice).unwrap();
    assert_eq!((rows_of(&alice, inbox), check(&alice).unwrap()), (0, Vec::<String>::new()));
    assert!(alice.blobs.open(&blob).is_err());
    assert_eq!(recorded(&alice, inbox).unwrap(), BTreeSet::new());
}

#[tokio::test]
async fn copies_keep_the_bytes_of_expunged_messages() {
    let (alice, inbox) = filled(3).await;
    let kept = create_folder(&alice, "Kept").await.unwrap().id;
    crate::mailbox::copy_messages(&alice, inbox, &[1], kept).await.unwrap();
    move_messages(&alice, inbox, &[2], kept).await.unwrap();
    assert_eq!(expunge_all(&alice, inbox).await, [1, 3]);
    remove_expunged(&alice).await.unwrap();
    crate::erasure::unlink(&alice).unwrap();
    for message in messages(&alice, kept, 1, 2, 2).unwrap() {
        assert!(crate::mailbox::body(&alice, &message).is_ok());
    }
    assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn folder_deleted_after_an_expunge_leaves_no_rows() {
    let (alice, inbox) = filled(70).await;
    let old = create_folder(&alice, "Old").await.unwrap().id;
    let uids = view(&alice, inbox).unwrap().uids;
    move_messages(&alice, inbox, &uids, old).await.unwrap();
    expunge_all(&alice, old).await;
    delete_folder(&alice, old).await.unwrap();
    assert_eq!((rows_of(&alice, old), recorded(&alice, old).unwrap().len()), (0, 0));
    remove_expunged(&alice).await.unwrap();
    crate::erasure::unlink(&alice).unwrap();
    assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
}
