use super::*;
use crate::mailbox::tests::filled;
use crate::mailbox::{FlagChange, Flags, expunge, folder, message, store_flags, uids};
use crate::testing::TestNode;

async fn remove(alice: &TestNode, folder: FolderId, uids: &[u32]) {
    store_flags(alice, folder, uids, FlagChange::Add(Flags::of(Flags::DELETED)), None)
        .await
        .unwrap();
    assert_eq!(expunge(alice, folder, Some(uids)).await.unwrap(), uids);
}

/// Changes the flags of a message.
async fn change(alice: &TestNode, folder: FolderId, uid: u32) {
    let flagged = message(alice, folder, uid).unwrap().unwrap().flags.has(Flags::FLAGGED);
    let flag = Flags::of(Flags::FLAGGED);
    store_flags(
        alice,
        folder,
        &[uid],
        if flagged { FlagChange::Remove(flag) } else { FlagChange::Add(flag) },
        None,
    )
    .await
    .unwrap();
}

fn gone(alice: &TestNode, folder: FolderId) -> usize {
    let rows = row::scan::<ChangeRow>(&alice.store, &Scan::prefix(&folder.key(), 1000)).unwrap();
    rows.iter().filter(|(_, change)| change.is_gone).count()
}

#[tokio::test]
async fn what_went_long_ago_is_forgotten_and_whoever_asks_from_before_hears_that() {
    let (alice, inbox) = filled(9).await;
    let began = folder(&alice, inbox).unwrap().unwrap().highest_modseq;
    remove(&alice, inbox, &[2, 3, 5]).await;
    let last_gone = folder(&alice, inbox).unwrap().unwrap().highest_modseq;
    let all = changes_since(&alice, inbox, began).unwrap();
    assert_eq!((all.vanished, all.is_incomplete), (vec![2, 3, 5], false));
    // A message that is there keeps its place in the list, however long ago it changed.
    change(&alice, inbox, 4).await;
    alice.advance_modseq(inbox, EXPUNGES_REMEMBERED - 4).await;
    assert_eq!((gone(&alice, inbox), folder(&alice, inbox).unwrap().unwrap().forgotten), (3, 0));
    for (left, forgotten) in
        [(2, last_gone - 2), (1, last_gone - 1), (0, last_gone), (0, last_gone), (0, last_gone)]
    {
        change(&alice, inbox, 1).await;
        assert_eq!(
            (gone(&alice, inbox), folder(&alice, inbox).unwrap().unwrap().forgotten),
            (left, forgotten)
        );
        let asked = changes_since(&alice, inbox, began).unwrap();
        assert_eq!((asked.vanished.len(), asked.is_incomplete), (left, true));
    }
    assert!(changes_since(&alice, inbox, last_gone - 1).unwrap().is_incomplete);
    assert!(
        !changes_since(&alice, inbox, last_gone).unwrap().is_incomplete,
        "what came after the last is known whole"
    );
    let changed: Vec<u32> = changes_since(&alice, inbox, last_gone)
        .unwrap()
        .changed
        .iter()
        .map(|message| message.uid)
        .collect();
    assert_eq!(changed, [4, 1]);
    assert_eq!(uids(&alice, inbox, 1, 100).unwrap(), [1, 4, 6, 7, 8, 9]);
}
