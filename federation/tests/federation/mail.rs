//! Mail to a friend's node, and SMTP as its fallback.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::mailbox::queue::{
    self, QueueId, ReportRequest, SendLimits, Submission, for_friends, submit,
};
use freehold_core::mailbox::{IdempotencyKey, SpecialUse, content, messages, special_folder};
use freehold_core::node::Node;

use crate::person::{Person, Transport};

const BOB: &str = "bob@bob.example";

async fn two_friends() -> (Person, Person) {
    let (alice, bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    alice.make_friends(&bob).await;
    alice.tell_address(&bob, "alice@alice.example").await;
    bob.tell_address(&alice, BOB).await;
    (alice, bob)
}

async fn send(from: &Person, to: &str, text: &str) -> QueueId {
    let message = format!("From: Alice <alice@alice.example>\r\nSubject: x\r\n\r\n{text}");
    let submission = Submission {
        id: IdempotencyKey::new(from),
        from: "alice@alice.example".to_owned(),
        recipients: vec![to.to_owned().into()],
        blob: from.blobs.put(message.as_bytes()).unwrap(),
        copy_to_sent: false,
        request: ReportRequest::default(),
        limits: SendLimits::NONE,
        not_before: None,
    };
    submit(from, submission).await.unwrap()
}

/// The texts in the inbox.
pub(crate) fn inbox(node: &Node) -> Vec<String> {
    let folder = special_folder(node, SpecialUse::Inbox).unwrap().unwrap().id;
    let text = |message| {
        let blob = content(node, message).unwrap().unwrap().blob;
        let bytes = node.blobs.open(&blob).unwrap().read_all(4 << 20).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    messages(node, folder, 0, u32::MAX, 100).unwrap().iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_reaches_a_friends_node_without_smtp() {
    let (alice, bob) = two_friends().await;
    // Empty, of whole pieces, and of pieces and a part.
    for (count, text) in [(1, ""), (2, "Shall we?\r\n"), (3, &"0123456789abcd\r\n".repeat(9000))] {
        let id = send(&alice, BOB, text).await;
        bob.wait_until("the message is stored", |node| inbox(node).len() == count).await;
        alice
            .wait_until("the queue is empty", |node| queue::item(node, id).unwrap().is_none())
            .await;
        let stored = inbox(&bob);
        assert!(stored.iter().any(|message| message.ends_with(&format!("\r\n\r\n{text}"))));
        assert!(stored.iter().all(|message| message.contains(" with LIBP2P id ")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_friend_gets_mail_by_smtp_once() {
    let (alice, mut bob) = two_friends().await;
    bob.stop().await;
    let id = send(&alice, BOB, "by SMTP").await;
    assert_eq!(for_friends(&alice, 10).unwrap().len(), 1);
    alice.clock.advance(5_000);
    queue::retry(&alice, id).await.unwrap();
    alice
        .wait_until("the recipient is mail's", |node| {
            queue::item(node, id).unwrap().unwrap().recipients[0].waits_for_smtp()
        })
        .await;
    assert_eq!(for_friends(&alice, 10).unwrap().len(), 0);
    bob.start().await;
    let straight = send(&alice, BOB, "straight").await;
    alice
        .wait_until("the second message is sent", |node| {
            queue::item(node, straight).unwrap().is_none()
        })
        .await;
    let stored = inbox(&bob);
    assert!(stored.len() == 1 && stored[0].ends_with("straight"), "{stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_recipient_and_spoofed_author_are_not_stored() {
    let (alice, bob) = two_friends().await;
    let unknown = send(&alice, "nobody@bob.example", "x").await;
    alice
        .wait_until("the recipient is mail's", |node| {
            queue::item(node, unknown).unwrap().unwrap().recipients[0].waits_for_smtp()
        })
        .await;
    // Bob's node knows Alice by another domain now.
    alice.tell_address(&bob, "alice@elsewhere.example").await;
    let spoofed = send(&alice, BOB, "x").await;
    alice
        .wait_until("the message has failed", |node| queue::item(node, spoofed).unwrap().is_none())
        .await;
    assert!(inbox(&alice)[0].contains("5.7.1"), "a report tells why");
    assert_eq!(inbox(&bob).len(), 0);
}
