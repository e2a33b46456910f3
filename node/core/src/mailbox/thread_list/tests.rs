use super::*;
use crate::mailbox::{
    Delivery, FlagChange, Flags, IdempotencyKey, SpecialUse, delete_for_good, deliver,
    move_messages, remove_expunged, special_folder, store_flags, thread_messages, with_threads,
};
use crate::testing::TestNode;

/// Delivers a message that answers message 0 of its subject; returns its UID.
async fn add(alice: &TestNode, folder: FolderId, subject: &str, number: u32) -> u32 {
    let id = |number: u32| format!("<{number}.{subject}@x>");
    let text = format!(
        "From: {number}@x.example\r\nMessage-ID: {}\r\nReferences: {}\r\nSubject: {subject}\r\n\r\n",
        id(number),
        id(0)
    );
    let delivery = Delivery {
        folder,
        blob: alice.blobs.put(text.as_bytes()).unwrap(),
        id: IdempotencyKey::new(alice),
        internal_date: alice.clock.now(),
        flags: Flags::default(),
    };
    deliver(alice, delivery).await.unwrap().uid
}

fn special(alice: &TestNode, special: SpecialUse) -> FolderId {
    special_folder(alice, special).unwrap().unwrap().id
}

/// The UIDs of each thread, and where the next page begins.
fn listed(node: &Node, folder: FolderId, before: Option<u32>) -> (Vec<Vec<u32>>, Option<u32>) {
    let list = threads(node, folder, before, 2).unwrap();
    let uids = |thread: &ListedThread| thread.messages.iter().map(|(m, _)| m.uid).collect();
    (list.threads.iter().map(uids).collect(), list.older)
}

#[tokio::test]
async fn thread_is_listed_once_where_its_newest_is() {
    let alice = TestNode::new("alice").await;
    let inbox = special(&alice, SpecialUse::Inbox);
    // a: 1, 3, 6; b: 2; c: 4; d: 5
    for (number, subject) in ["a", "b", "a", "c", "d", "a"].into_iter().enumerate() {
        add(&alice, inbox, subject, number as u32).await;
    }
    assert_eq!(listed(&alice, inbox, None), (vec![vec![6, 3, 1], vec![5]], Some(5)));
    assert_eq!(listed(&alice, inbox, Some(5)), (vec![vec![4], vec![2]], Some(2)));
    assert_eq!(listed(&alice, inbox, Some(2)), (vec![], None));
    assert_eq!(with_threads(&alice, inbox, &[3, 5, 77]).unwrap(), [1, 3, 5, 6, 77]);
    // The newest goes to the bin: the thread is listed where the next one is.
    let bin = special(&alice, SpecialUse::Trash);
    move_messages(&alice, inbox, &[6], bin).await.unwrap();
    assert_eq!(listed(&alice, inbox, None), (vec![vec![5], vec![4]], Some(4)));
    assert_eq!(listed(&alice, inbox, Some(4)), (vec![vec![3, 1], vec![2]], Some(2)));
    assert_eq!(listed(&alice, bin, None), (vec![vec![1]], None));
    delete_for_good(&alice, inbox, &[3]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(listed(&alice, inbox, Some(3)), (vec![vec![2], vec![1]], None));
        let list = threads(&alice, inbox, Some(2), 9).unwrap();
        let thread = list.threads[0].thread.unwrap();
        let places = thread_messages(&alice, thread, 9).unwrap();
        assert_eq!(places, [(inbox, 1), (bin, 1)]);
        // Before and after the row of the message is deleted.
        remove_expunged(&alice).await.unwrap();
    }
}

#[tokio::test]
async fn thread_over_many_pages_is_counted_to_a_limit() {
    let alice = TestNode::new("alice").await;
    let inbox = special(&alice, SpecialUse::Inbox);
    add(&alice, inbox, "first", 0).await;
    for number in 0..THREAD_COUNTED_MAX as u32 + 10 {
        add(&alice, inbox, "long", number).await;
    }
    let list = threads(&alice, inbox, None, 10).unwrap();
    let counts: Vec<usize> = list.threads.iter().map(|thread| thread.count).collect();
    assert_eq!((counts, list.older), (vec![THREAD_COUNTED_MAX, 1], None));
    let thread = &list.threads[0];
    assert_eq!((thread.messages.len(), thread.earlier.len()), (READ_MAX, EARLIER_MAX));
    // Of the counted messages the oldest has UID 12.
    assert_eq!(thread.oldest_unseen, Some(12));
    assert_eq!(thread.earlier[0].from.address, "10@x.example");
}

#[tokio::test]
async fn old_unseen_message_of_a_thread_is_found() {
    let alice = TestNode::new("alice").await;
    let inbox = special(&alice, SpecialUse::Inbox);
    let mut uids = Vec::new();
    for number in 0..12 {
        uids.push(add(&alice, inbox, "a", number).await);
    }
    let listed = || threads(&alice, inbox, None, 9).unwrap().threads.remove(0);
    assert_eq!(listed().oldest_unseen, Some(uids[0]));
    let seen = FlagChange::Add(Flags::of(Flags::SEEN));
    store_flags(&alice, inbox, &uids[1..], seen.clone(), None).await.unwrap();
    let flagged = Flags { bits: Flags::FLAGGED, keywords: vec!["old".to_owned()] };
    store_flags(&alice, inbox, &uids[..1], FlagChange::Add(flagged), None).await.unwrap();
    let thread = listed();
    assert_eq!(thread.oldest_unseen, Some(uids[0]));
    assert!(thread.flags.has(Flags::FLAGGED) && thread.flags.has_keyword("OLD"));
    assert_eq!(thread.earlier.len(), 4);
    store_flags(&alice, inbox, &uids, seen, None).await.unwrap();
    assert_eq!(listed().oldest_unseen, None);
    // An expunged message counts no longer.
    delete_for_good(&alice, inbox, &uids[..1]).await.unwrap();
    assert!(!listed().flags.has(Flags::FLAGGED));
}
