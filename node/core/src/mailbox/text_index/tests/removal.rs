//! Messages that leave a folder leave its index.

use super::*;
use crate::mailbox::{
    FlagChange, Missing, copy_named, create_folder, delete_folder, expunge, move_messages,
    store_flags,
};
use crate::store::Tx;

async fn with_texts(count: usize) -> (TestNode, FolderId) {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    let texts: Vec<Vec<u8>> = (0..count).map(|n| plain(&format!("secret{n} words"))).collect();
    store(&alice, inbox, &texts).await;
    index_all(&alice).await;
    (alice, inbox)
}

async fn expunge_all(node: &Node, folder: FolderId, uids: &[u32]) {
    let deleted = FlagChange::Add(Flags::of(Flags::DELETED));
    store_flags(node, folder, uids, deleted, None).await.unwrap();
    assert_eq!(expunge(node, folder, None).await.unwrap(), uids);
}

/// The UIDs in runs.
fn indexed_uids(node: &Node, folder: FolderId) -> Vec<u32> {
    let mut uids: Vec<u32> = Vec::new();
    for run in run::all(&node.store, folder).unwrap() {
        uids.extend(&run.uids);
    }
    uids.sort_unstable();
    uids
}

#[tokio::test]
async fn expunged_messages_leave_the_index_within_an_hour() {
    let (alice, inbox) = with_texts(110).await;
    store(&alice, inbox, &vec![plain("tail"); 5]).await;
    index_all(&alice).await;
    let dropped = run::all(&alice.store, inbox).unwrap().remove(0).row.id;
    let gone = [3, 4, 64, 110, 112];
    expunge_all(&alice, inbox, &gone).await;
    index_all(&alice).await;
    assert_eq!(indexed_uids(&alice, inbox).len(), 115, "not yet");
    alice.clock.advance(forget::DELAY);
    index_all(&alice).await;
    let left: Vec<u32> = (1..=115).filter(|uid| !gone.contains(uid)).collect();
    assert_eq!(indexed_uids(&alice, inbox), left);
    assert_eq!((rows_of::<RemovedRow>(&alice), rows_of::<DroppedRow>(&alice)), (0, 0));
    let prefix = row::key(&[&inbox.key(), &dropped]);
    assert!(alice.store.keys(PostingRow::TABLE, &Scan::prefix(&prefix, 9)).unwrap().is_empty());
    assert_eq!(candidates(&alice, inbox, Searched::Body, "secret7 words"), 1);
    // Words of the removed messages are gone, those of others are there.
    let mut words = std::collections::BTreeSet::new();
    for run in run::all(&alice.store, inbox).unwrap() {
        let content = run.load(&alice.store).unwrap().unwrap();
        words.extend(content.words.into_keys());
    }
    let has = |word: &str| words.contains(word);
    assert!(["secret5", "secret62", "words", "tail"].into_iter().all(has), "{words:?}");
    assert!(!["secret2", "secret3", "secret63", "secret109"].into_iter().any(has));
}

#[tokio::test]
async fn run_without_messages_is_deleted() {
    let (alice, inbox) = with_texts(70).await;
    expunge_all(&alice, inbox, &(1..=70).collect::<Vec<_>>()).await;
    alice.clock.advance(forget::DELAY);
    index_all(&alice).await;
    assert_eq!((rows_of::<RunRow>(&alice), rows_of::<PostingRow>(&alice)), (0, 0));
    store(&alice, inbox, &[plain("new")]).await;
    index_all(&alice).await;
    assert_eq!(indexed_uids(&alice, inbox), [71]);
}

#[tokio::test]
async fn moved_and_copied_messages_are_found_in_their_folder() {
    let (alice, inbox) = with_texts(80).await;
    let archive = create_folder(&alice, "Plans").await.unwrap().id;
    move_messages(&alice, inbox, &[5, 6, 70], archive).await.unwrap();
    copy_named(&alice, inbox, &[7, 8], archive, Missing::Skip).await.unwrap();
    assert_eq!(candidates(&alice, archive, Searched::Body, "secret69"), 5);
    index_all(&alice).await;
    assert_eq!(candidates(&alice, archive, Searched::Body, "secret69"), 1);
    assert_eq!(candidates(&alice, archive, Searched::Body, "secret7"), 1);
    alice.clock.advance(forget::DELAY);
    index_all(&alice).await;
    assert_eq!(indexed_uids(&alice, inbox).len(), 77);
    assert_eq!(indexed_uids(&alice, archive).len(), 5);
}

#[tokio::test]
async fn deleted_folder_leaves_no_row_of_the_index() {
    let (alice, _) = with_texts(1).await;
    let plans = create_folder(&alice, "Plans").await.unwrap().id;
    store(&alice, plans, &vec![plain("plan"); 90]).await;
    index_all(&alice).await;
    expunge_all(&alice, plans, &[3]).await;
    assert_eq!(rows_of::<RunRow>(&alice), 2);
    delete_folder(&alice, plans).await.unwrap();
    assert_eq!(rows_of::<RunRow>(&alice), 1);
    assert!(rows_of::<PostingRow>(&alice) < 6);
    assert_eq!(rows_of::<RemovedRow>(&alice), 0);
    index_all(&alice).await;
}

#[tokio::test]
async fn expunge_between_reading_and_writing_leaves_no_trace() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    store(&alice, inbox, &vec![plain("words"); 100]).await;
    let mut indexer = TextIndexer::default();
    // The first messages are in memory.
    assert!(indexer.step(&alice).await.unwrap());
    expunge_all(&alice, inbox, &[1, 2, 30]).await;
    while indexer.step(&alice).await.unwrap() {}
    assert_eq!(indexed_uids(&alice, inbox).len(), 97);
    assert_eq!(rows_of::<RemovedRow>(&alice), 0);
}

#[tokio::test]
async fn messages_of_a_dropped_run_are_read_again() {
    let (alice, inbox) = with_texts(140).await;
    store(&alice, inbox, &vec![plain("tail"); 3]).await;
    index_all(&alice).await;
    let mut runs = run::all(&alice.store, inbox).unwrap();
    runs.retain(|run| run.uids.contains(&9));
    let prefix = row::key(&[&inbox.key(), &runs[0].row.id]);
    let rows = &Scan::prefix(&prefix, 1);
    let key = alice.store.keys(PostingRow::TABLE, rows).unwrap().pop().unwrap();
    let damage = move |tx: &mut Tx<'_>| tx.put(PostingRow::TABLE, &key, &[9]);
    alice.store.commit(damage).await.unwrap();
    expunge_all(&alice, inbox, &[9]).await;
    alice.clock.advance(forget::DELAY);
    index_all(&alice).await;
    let left: Vec<u32> = (1..=143).filter(|uid| *uid != 9).collect();
    assert_eq!(indexed_uids(&alice, inbox), left);
    assert_eq!(candidates(&alice, inbox, Searched::Body, "absent"), 0);
}
