//! A friend's node as outgoing host. Mail runs beside neither node: the tests sign and verify.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::friends;
use freehold_core::mailbox::IdempotencyKey;
use freehold_core::mailbox::queue::{
    self, HandOver, QueueId, ReportRequest, SendLimits, Submission, hand_to_friend, submit,
};
use freehold_core::mailbox::relay::{self, RelayRefusal};
use freehold_core::smarthost::{self, Smarthost};

use crate::mail::inbox;
use crate::person::{Person, Transport};

const FAR: &str = "dora@far.house";
const SIGNATURE: &str = "DKIM-Signature: s\r\n";

/// Alice, whose mail goes by the node of her friend Bob, which sends it by a smarthost.
async fn alice_by_bob() -> (Person, Person) {
    let alice = Person::at("alice", "alice.house", Transport::Both).await;
    let bob = Person::new("bob", Transport::Both).await;
    alice.make_friends(&bob).await;
    alice.tell_address(&bob, "alice@alice.house").await;
    friends::vouch_mail_domain(&bob, "alice.house", Some(alice.id())).await.unwrap();
    bob.tell_address(&alice, "bob@bob.example").await;
    smarthost::set(&bob, a_smarthost()).await.unwrap();
    friends::send_by(&alice, bob.id()).await.unwrap();
    (alice, bob)
}

fn a_smarthost() -> Smarthost {
    Smarthost::new("smtp.example.com", "bob", "x").unwrap()
}

async fn hand_over(alice: &Person, bob: &Person, text: &str) -> QueueId {
    let message = format!("From: Alice <alice@alice.house>\r\nSubject: x\r\n\r\n{text}");
    let submission = Submission {
        id: IdempotencyKey::new(alice),
        from: "alice@alice.house".to_owned(),
        recipients: vec![FAR.to_owned().into()],
        blob: alice.blobs.put(message.as_bytes()).unwrap(),
        copy_to_sent: false,
        request: ReportRequest::default(),
        limits: SendLimits::NONE,
        not_before: None,
    };
    let id = submit(alice, submission).await.unwrap();
    let (addresses, person) = (vec![FAR.to_owned()], bob.id());
    let hand_over = HandOver { id, addresses, person, prefix: SIGNATURE.to_owned() };
    hand_to_friend(alice, hand_over).await.unwrap();
    id
}

async fn gone(alice: &Person, id: QueueId) {
    alice.wait_until("the item is gone", |node| queue::item(node, id).unwrap().is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_node_sends_on_and_reports_failures() {
    let (alice, bob) = alice_by_bob().await;
    friends::set_relayed(&bob, alice.id(), true).await.unwrap();
    // Of one piece, and of several.
    for text in ["Hello.\r\n", &"0123456789abcd\r\n".repeat(9000)] {
        let id = hand_over(&alice, &bob, text).await;
        bob.wait_until("the message waits for its check", |node| {
            !relay::unverified(node, 1).unwrap().is_empty()
        })
        .await;
        let waiting = relay::unverified(&bob, 1).unwrap().remove(0);
        let bytes = bob.blobs.open(&waiting.blob).unwrap().read_all(1 << 20).unwrap();
        let received = String::from_utf8(bytes).unwrap();
        assert!(received.starts_with("DKIM-Signature: s\r\nFrom: Alice"));
        assert!(received.ends_with(&format!("\r\n\r\n{text}")));
        assert!(queue::item(&alice, id).unwrap().is_some(), "it is not accepted yet");
        relay::accept(&bob, waiting.key).await.unwrap();
        gone(&alice, id).await;
        let item = queue::queued(&bob, 10).unwrap().remove(0);
        assert_eq!(item.on_behalf, Some(alice.id()));
        queue::drop_item(&bob, item.id).await.unwrap();
    }
    alice.wait_until("both reports are in the inbox", |node| inbox(node).len() == 2).await;
    assert!(inbox(&alice).iter().all(|text| text.contains(FAR) && text.contains("5.7.1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_of_the_friends_node_is_reported_at_once() {
    let (alice, bob) = alice_by_bob().await;
    let id = hand_over(&alice, &bob, "x").await;
    gone(&alice, id).await;
    assert!(inbox(&alice)[0].contains("has not allowed"), "{:?}", inbox(&alice));
    friends::set_relayed(&bob, alice.id(), true).await.unwrap();
    let id = hand_over(&alice, &bob, "x").await;
    bob.wait_until("the message waits for its check", |node| {
        !relay::unverified(node, 1).unwrap().is_empty()
    })
    .await;
    let waiting = relay::unverified(&bob, 1).unwrap().remove(0);
    relay::refuse(&bob, waiting.key, RelayRefusal::Unsigned).await.unwrap();
    gone(&alice, id).await;
    assert!(inbox(&alice)[1].contains("5.7.20"), "{:?}", inbox(&alice));
    assert_eq!(queue::queued(&bob, 10).unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_way_takes_over_what_waits() {
    let (alice, mut bob) = alice_by_bob().await;
    bob.stop().await;
    let id = hand_over(&alice, &bob, "x").await;
    let first = |node: &freehold_core::node::Node| {
        queue::item(node, id).unwrap().unwrap().recipients.remove(0)
    };
    assert_eq!(first(&alice).waits_for_friend(), Some(bob.id()));
    smarthost::set(&alice, a_smarthost()).await.unwrap();
    alice.wait_until("the recipient is mail's", |node| first(node).waits_for_smtp()).await;
    assert_eq!(first(&alice).relay_batch(), None);
}
