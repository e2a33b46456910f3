use super::super::{Missing, TransferError, batches, copy_batch, copy_messages};
use super::*;
use crate::mailbox::tests::filled;
use crate::mailbox::{
    Delivery, FlagChange, Flags, IdempotencyKey, create_folder, delete_folder, deliver,
    folder_named, initialise, move_messages, store_flags, view,
};
use crate::testing::TestNode;

/// INBOX with messages on three pages, and Archive with one message.
async fn three_pages() -> (TestNode, FolderId, FolderId) {
    let (alice, inbox) = filled(150).await;
    let archive = folder_named(&alice, "Archive").unwrap().unwrap().id;
    move_messages(&alice, inbox, &[1], archive).await.unwrap();
    (alice, inbox, archive)
}

/// The commits of a COPY of all messages, of which those before `end` are made.
async fn copy_parts(node: &Node, from: FolderId, to: FolderId, end: usize) -> Vec<Part> {
    let uids = view(node, from).unwrap().uids;
    let batches = batches(node, from, &uids, Missing::Skip).await.unwrap();
    let parts: Vec<Part> = Part::all(node.random.array(), batches.len()).collect();
    for (part, batch) in parts.iter().copied().zip(batches).take(end) {
        let now = node.clock.now();
        let commit = node
            .store
            .commit(move |tx| copy_batch(tx, part, from, (&batch, Missing::Skip), to, now));
        commit.await.unwrap();
    }
    parts
}

/// The UIDs in a folder. No COPY is unfinished.
fn settled(node: &Node, folder: FolderId) -> Vec<u32> {
    assert_eq!(rows_of(&node.store, &[]).unwrap(), []);
    assert_eq!(crate::mailbox::check(node).unwrap(), Vec::<String>::new());
    view(node, folder).unwrap().uids
}

#[tokio::test]
async fn copy_stopped_after_any_commit_leaves_no_copies() {
    for (end, left) in [(0, 1), (1, 1), (2, 1), (3, 150)] {
        let (alice, inbox, archive) = three_pages().await;
        let parts = copy_parts(&alice, inbox, archive, end).await;
        assert_eq!(parts.len(), 3);
        assert_eq!(crate::mailbox::check(&alice).unwrap(), Vec::<String>::new());
        // A restart, and another one.
        for _ in 0..2 {
            initialise(&alice.restarted()).await.unwrap();
            assert_eq!(settled(&alice, archive).len(), left, "after {end} commits");
        }
        let copied = copy_messages(&alice, inbox, &[2, 70, 140], archive).await.unwrap();
        assert_eq!((copied.len(), settled(&alice, archive).len()), (3, left + 3));
    }
}

#[tokio::test]
async fn interrupted_expunge_of_copies_is_resumed() {
    let (alice, inbox, archive) = three_pages().await;
    let parts = copy_parts(&alice, inbox, archive, 2).await;
    let copy = parts[0].copy;
    // A stop in the middle of the expunge.
    alice.store.commit(move |tx| mark_failed(tx, copy)).await.unwrap();
    delete_for_good(&alice, archive, &[2, 3, 4]).await.unwrap();
    let last = parts[2];
    let now = alice.clock.now();
    let late =
        move |tx: &mut Tx<'_>| copy_batch(tx, last, inbox, (&[140], Missing::Skip), archive, now);
    assert!(alice.store.commit(late).await.is_err(), "the COPY has failed");
    initialise(&alice.restarted()).await.unwrap();
    assert_eq!(settled(&alice, archive), [1]);
    assert!(alice.store.commit(late).await.is_err(), "its rows are gone");
    assert_eq!(settled(&alice, archive), [1]);
}

#[tokio::test]
async fn failed_commit_in_the_middle_leaves_no_copies() {
    let (alice, inbox, archive) = three_pages().await;
    // Archive takes no further keyword, and a message of the second page has another one.
    let keywords = (0..50).map(|n| format!("k{n}")).collect();
    let delivery = Delivery {
        folder: archive,
        blob: alice.blobs.put(b"Subject: keywords\r\n\r\n").unwrap(),
        id: IdempotencyKey::new(&alice),
        internal_date: alice.clock.now(),
        flags: Flags { bits: 0, keywords },
    };
    deliver(&alice, delivery).await.unwrap();
    let other = FlagChange::Add(Flags { bits: 0, keywords: vec!["other".to_owned()] });
    store_flags(&alice, inbox, &[100], other, None).await.unwrap();
    let uids = view(&alice, inbox).unwrap().uids;
    let copied = copy_messages(&alice, inbox, &uids, archive).await;
    assert_eq!(copied, Err(TransferError::TargetFull));
    assert_eq!(settled(&alice, archive), [1, 2]);
}

#[tokio::test]
async fn copies_of_a_failed_copy_are_expunged_later() {
    let (alice, inbox, archive) = three_pages().await;
    copy_parts(&alice, inbox, archive, 2).await;
    undo_failed_copies(&alice).await.unwrap();
    assert_eq!(view(&alice, archive).unwrap().uids.len(), 128, "the COPY may still run");
    alice.clock.advance(FAILED_AFTER);
    undo_failed_copies(&alice).await.unwrap();
    assert_eq!(settled(&alice, archive), [1]);
}

#[tokio::test]
async fn rows_of_a_copy_go_with_its_folder() {
    let (alice, inbox, _) = three_pages().await;
    let target = create_folder(&alice, "Target").await.unwrap().id;
    copy_parts(&alice, inbox, target, 2).await;
    delete_folder(&alice, target).await.unwrap();
    assert_eq!(crate::mailbox::check(&alice).unwrap(), Vec::<String>::new());
    initialise(&alice.restarted()).await.unwrap();
    assert_eq!(settled(&alice, inbox).len(), 149);
}

#[tokio::test]
async fn copies_between_deliveries_are_expunged_alone() {
    let (alice, inbox, archive) = three_pages().await;
    let copy = alice.random.array();
    let uids = view(&alice, inbox).unwrap().uids;
    // More commits than one row lists, and a message of others after each second one.
    let count = COMMITS_PER_ROW as usize + 3;
    let mut others = vec![1];
    for part in Part::all(copy, count).take(count - 1) {
        let now = alice.clock.now();
        let batch = vec![uids[part.number as usize % uids.len()]];
        let commit = move |tx: &mut Tx<'_>| {
            copy_batch(tx, part, inbox, (&batch, Missing::Skip), archive, now)
        };
        alice.store.commit(commit).await.unwrap();
        if part.number % 2 == 0 {
            let other = copy_messages(&alice, inbox, &uids[..1], archive).await.unwrap();
            others.push(other[0].1);
        }
    }
    assert_eq!(rows_of(&alice.store, &copy).unwrap().len(), 2);
    undo(&alice, copy).await.unwrap();
    assert_eq!(settled(&alice, archive), others);
}

#[tokio::test]
async fn check_reports_unassigned_uids_of_a_copy() {
    let (alice, _) = filled(1).await;
    let archive = folder_named(&alice, "Archive").unwrap().unwrap().id;
    let key = row_key([1; 16], 0);
    let (damaged, at) = (key.clone(), alice.clock.now());
    let damage = move |tx: &mut Tx<'_>| {
        let uids = vec![(1, 9)];
        let row = CopiesRow { folder: archive, changed: at, commits: 1, uids, has_failed: false };
        row::put(tx, &damaged, &row)
    };
    alice.store.commit(damage).await.unwrap();
    assert_eq!(crate::mailbox::check(&alice).unwrap().len(), 1);
    let repair = move |tx: &mut Tx<'_>| {
        row::delete::<CopiesRow>(tx, &key);
        Ok::<_, StoreError>(())
    };
    alice.store.commit(repair).await.unwrap();
}
