use super::*;
use crate::mailbox::{
    Delivery, FlagChange, IdempotencyKey, copy_messages, delete_for_good, deliver, move_messages,
    store_flags,
};
use crate::testing::TestNode;

fn special(node: &Node, use_: SpecialUse) -> Folder {
    special_folder(node, use_).unwrap().unwrap()
}

async fn receive(node: &Node, text: &str) -> u32 {
    let blob = node.blobs.put(format!("Subject: {text}\r\n\r\n{text}\r\n").as_bytes()).unwrap();
    let delivery = Delivery {
        folder: special(node, SpecialUse::Inbox).id,
        blob,
        id: IdempotencyKey::new(node),
        internal_date: node.clock.now(),
        flags: Flags::default(),
    };
    deliver(node, delivery).await.unwrap().uid
}

async fn learn_all(node: &Node) -> Counts {
    while learn_next(node).await.unwrap() {}
    learnt::all(&node.store).unwrap().messages
}

#[tokio::test]
async fn copy_is_a_lesson_and_counts_once() {
    let alice = TestNode::new("alice").await;
    let [inbox, junk] = [SpecialUse::Inbox, SpecialUse::Junk].map(|of| special(&alice, of).id);
    let uid = receive(&alice, "offer").await;
    copy_messages(&alice, inbox, &[uid], junk).await.unwrap();
    assert_eq!(learn_all(&alice).await, Counts { junk: 1, wanted: 0 });
    copy_messages(&alice, inbox, &[uid], junk).await.unwrap();
    assert_eq!(learn_all(&alice).await, Counts { junk: 1, wanted: 0 });
}

#[tokio::test]
async fn lesson_outlives_its_message() {
    let alice = TestNode::new("alice").await;
    let [inbox, junk] = [SpecialUse::Inbox, SpecialUse::Junk].map(|of| special(&alice, of).id);
    let uid = receive(&alice, "offer").await;
    move_messages(&alice, inbox, &[uid], junk).await.unwrap();
    delete_for_good(&alice, junk, &[1]).await.unwrap();
    alice.blobs.collect(&alice.store).unwrap();
    assert_eq!(learn_all(&alice).await, Counts { junk: 1, wanted: 0 });
}

#[tokio::test]
async fn read_messages_are_wanted_after_a_week() {
    let alice = TestNode::new("alice").await;
    let inbox = special(&alice, SpecialUse::Inbox).id;
    for n in 0..3 {
        receive(&alice, &format!("message {n}")).await;
    }
    let seen = FlagChange::Add(Flags::of(Flags::SEEN));
    store_flags(&alice, inbox, &[1, 2], seen, None).await.unwrap();
    let deleted = FlagChange::Add(Flags::of(Flags::DELETED));
    store_flags(&alice, inbox, &[2], deleted, None).await.unwrap();
    assert_eq!(learn_from_inbox(&alice).await.unwrap(), 0);
    alice.clock.advance(STAYED_AFTER);
    receive(&alice, "a new message").await;
    assert_eq!(learn_from_inbox(&alice).await.unwrap(), 1);
    assert_eq!(learn_from_inbox(&alice).await.unwrap(), 0);
    assert_eq!(learn_all(&alice).await, Counts { junk: 0, wanted: 1 });
    alice.clock.advance(STAYED_AFTER);
    assert_eq!(learn_from_inbox(&alice).await.unwrap(), 0, "the new message was not read");
}
