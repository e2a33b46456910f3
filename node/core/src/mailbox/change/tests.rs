use super::*;
use crate::mailbox::tests::filled;
use crate::mailbox::{FlagChange, Flags, expunge, folder, message, store_flags, view};
use crate::testing::TestNode;

/// Expunges messages, each in a commit of its own.
async fn remove(alice: &TestNode, folder: FolderId, uids: &[u32]) {
    store_flags(alice, folder, uids, FlagChange::Add(Flags::of(Flags::DELETED)), None)
        .await
        .unwrap();
    for uid in uids {
        assert_eq!(expunge(alice, folder, Some(&[*uid])).await.unwrap(), [*uid]);
    }
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

fn expunged(alice: &TestNode, folder: FolderId) -> usize {
    let rows = row::scan::<ChangeRow>(&alice.store, &Scan::prefix(&folder.key(), 1000)).unwrap();
    rows.iter().filter(|(_, change)| change.is_expunged).count()
}

#[tokio::test]
async fn forgotten_expunges_make_earlier_changes_incomplete() {
    let (alice, inbox) = filled(9).await;
    let began = folder(&alice, inbox).unwrap().unwrap().highest_modseq;
    remove(&alice, inbox, &[2, 3, 5]).await;
    let last_expunge = folder(&alice, inbox).unwrap().unwrap().highest_modseq;
    let all = changes_since(&alice, inbox, began).unwrap();
    assert_eq!((all.vanished, all.is_incomplete), (vec![2, 3, 5], false));
    // A message that was not expunged keeps its row, however long ago it changed.
    change(&alice, inbox, 4).await;
    alice.advance_modseq(inbox, EXPUNGES_REMEMBERED - 4).await;
    assert_eq!(
        (expunged(&alice, inbox), folder(&alice, inbox).unwrap().unwrap().forgotten_modseq),
        (3, 0)
    );
    for (left, forgotten) in [
        (2, last_expunge - 2),
        (1, last_expunge - 1),
        (0, last_expunge),
        (0, last_expunge),
        (0, last_expunge),
    ] {
        change(&alice, inbox, 1).await;
        assert_eq!(
            (expunged(&alice, inbox), folder(&alice, inbox).unwrap().unwrap().forgotten_modseq),
            (left, forgotten)
        );
        let since_began = changes_since(&alice, inbox, began).unwrap();
        assert_eq!((since_began.vanished.len(), since_began.is_incomplete), (left, true));
    }
    assert!(changes_since(&alice, inbox, last_expunge - 1).unwrap().is_incomplete);
    assert!(
        !changes_since(&alice, inbox, last_expunge).unwrap().is_incomplete,
        "all expunges since the last forgotten one are remembered"
    );
    let changed: Vec<u32> = changes_since(&alice, inbox, last_expunge)
        .unwrap()
        .changed
        .iter()
        .map(|message| message.uid)
        .collect();
    assert_eq!(changed, [4, 1]);
    assert_eq!(view(&alice, inbox).unwrap().uids, [1, 4, 6, 7, 8, 9]);
}

#[tokio::test]
async fn changes_made_during_the_scan_are_found_later() {
    let (alice, inbox) = filled(70).await;
    let since = folder(&alice, inbox).unwrap().unwrap().highest_modseq;
    change(&alice, inbox, 66).await;
    let row = folder(&alice, inbox).unwrap().unwrap();
    // After the row was read, messages of both pages change, and one arrives.
    change(&alice, inbox, 1).await;
    let archive = crate::mailbox::folder_named(&alice, "Archive").unwrap().unwrap().id;
    crate::mailbox::copy_messages(&alice, inbox, &[2], archive).await.unwrap();
    crate::mailbox::move_messages(&alice, archive, &[1], inbox).await.unwrap();
    let uids = |changes: &Changes| changes.changed.iter().map(|m| m.uid).collect::<Vec<_>>();
    let first = changes_up_to(&alice, &row, since).unwrap();
    assert_eq!((first.modseq, uids(&first)), (row.highest_modseq, vec![66, 1]));
    let second = changes_since(&alice, inbox, first.modseq).unwrap();
    assert_eq!(uids(&second), [1, 71]);
}
