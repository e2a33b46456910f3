use super::*;
use crate::friends;
use crate::mailbox::queue::{self, NewRecipient, Outcome, record_outcomes};
use crate::mailbox::{Recipient, SpecialUse, messages, special_folder};
use crate::smarthost::{self, Smarthost};
use crate::testing::TestNode;

const ALICE: &str = "alice@alice.example";
const FAR: &str = "dora@far.house";
const ID: [u8; 16] = [1; 16];

/// Alice, and her friend Bob, whose node sends her mail by a smarthost.
async fn pair() -> (TestNode, TestNode) {
    let (alice, bob) = TestNode::pair().await;
    alice.write_profile(&bob, ALICE).await;
    let smarthost = Smarthost::new("smtp.example.com", "bob", "x").unwrap();
    smarthost::set(&bob, smarthost).await.unwrap();
    friends::set_relayed(&bob, person(&alice), true).await.unwrap();
    (alice, bob.allowing_queued_mail())
}

fn person(node: &TestNode) -> PersonId {
    node.identity.person().unwrap()
}

fn offer(bob: &TestNode, alice: &TestNode, id: u8, sender: &str, to: &[&str]) -> Offered {
    let to: Vec<String> = to.iter().map(|to| (*to).to_owned()).collect();
    offered(bob, (person(alice), &[id; 16]), sender, &to, 100).unwrap()
}

fn refusal(offered: &Offered) -> Option<RelayRefusal> {
    match offered {
        Offered::Decided(RelayVerdict::Refused(refusal)) => Some(*refusal),
        _ => None,
    }
}

async fn bring(bob: &TestNode, alice: &TestNode, text: &str) -> Result<(), RelayError> {
    let request = RelayRequest {
        person: person(alice),
        id: ID,
        sender: ALICE.to_owned(),
        recipients: vec![FAR.to_owned().into(), NewRecipient::from("carl@far.house".to_owned())],
        refused: vec![2],
        text: bob.blobs.put(text.as_bytes()).unwrap(),
    };
    take(bob, request).await
}

const TEXT: &str = "From: Alice <alice@alice.example>\r\nSubject: x\r\n\r\nHello\r\n";

#[tokio::test]
async fn only_allowed_friends_are_relayed() {
    let (alice, bob) = pair().await;
    let at = |sender: &str, to: &[&str]| refusal(&offer(&bob, &alice, 1, sender, to));
    assert_eq!(at(ALICE, &[FAR]), None);
    assert_eq!(at("", &[FAR]), None, "a report");
    assert_eq!(at("alice@bank.house", &[FAR]), Some(RelayRefusal::Spoofed));
    for nowhere in [ALICE, "x@alice.example", "x@y.example", "x", "nobody@bob.example"] {
        assert_eq!(at(ALICE, &[nowhere]), Some(RelayRefusal::NoRecipient), "{nowhere}");
    }
    let some = offer(&bob, &alice, 1, ALICE, &[FAR, ALICE, "bob@bob.example"]);
    assert!(matches!(some, Offered::Wanted { refused, .. } if refused == [1]));
    // A friend's friend did not agree to it.
    smarthost::remove(&bob).await.unwrap();
    assert_eq!(at(ALICE, &[FAR]), Some(RelayRefusal::NoRoute));
    friends::set_relayed(&bob, person(&alice), false).await.unwrap();
    assert_eq!(at(ALICE, &[FAR]), Some(RelayRefusal::NotAllowed));
    assert!(matches!(
        bring(&bob, &alice, TEXT).await,
        Err(RelayError::Refused(RelayRefusal::NotAllowed))
    ));
}

#[tokio::test]
async fn relayed_message_is_queued_once_behind_its_trace() {
    let (alice, bob) = pair().await;
    for _ in 0..2 {
        bring(&bob, &alice, TEXT).await.unwrap();
    }
    let waiting = unverified(&bob, 10).unwrap();
    assert_eq!((waiting.len(), &waiting[0].authors[..]), (1, &[ALICE.to_owned()][..]));
    assert!(matches!(offer(&bob, &alice, 1, ALICE, &[FAR]), Offered::Later(RelayPause::Checking)));
    assert_eq!(queue::queued(&bob, 10).unwrap(), []);
    for _ in 0..2 {
        accept(&bob, waiting[0].key).await.unwrap();
        let item = queue::queued(&bob, 10).unwrap().remove(0);
        assert_eq!((item.on_behalf, item.from.as_str()), (Some(person(&alice)), ALICE));
        assert!(item.prefix.starts_with("Received: from node ") && item.prefix.ends_with("\r\n"));
        assert_eq!(item.recipients.len(), 2);
        assert!(item.recipients.iter().all(Recipient::waits_for_smtp));
        // The offer comes again, after everything or in the middle.
        bring(&bob, &alice, TEXT).await.unwrap();
        assert_eq!(unverified(&bob, 10).unwrap().len(), 0);
    }
    let known = offer(&bob, &alice, 1, ALICE, &[FAR]);
    assert!(matches!(known, Offered::Decided(RelayVerdict::Accepted(refused)) if refused == [2]));
    bob.clock.advance(5 * 24 * 60 * 60 * 1000);
    assert_eq!(forget_old(&bob).await.unwrap(), 1);
    assert_eq!(verdict(&bob, &person(&alice), &ID).unwrap(), None);
}

#[tokio::test]
async fn spoofed_and_looping_messages_are_not_taken() {
    let (alice, bob) = pair().await;
    let key = bob.identity.node_key();
    let looping = format!("Received: by x (Freehold, outgoing host {key})\r\n{TEXT}");
    let many = format!("{}{TEXT}", "Received: by x\r\n".repeat(101));
    for (text, refusal) in [
        (TEXT.replace("alice.example", "bank.house"), RelayRefusal::Spoofed),
        (format!("From: x@y.example\r\n{TEXT}"), RelayRefusal::Spoofed),
        ("no header".to_owned(), RelayRefusal::Spoofed),
        (looping, RelayRefusal::Loop),
        (many, RelayRefusal::BadHeader),
    ] {
        let taken = bring(&bob, &alice, &text).await;
        assert_eq!(taken, Err(RelayError::Refused(refusal)), "{text:.60}");
    }
    // Another node's mark is none of this one.
    let other = TEXT.replace("Subject", "Received: (Freehold, outgoing host 00)\r\nSubject");
    bring(&bob, &alice, &other).await.unwrap();
    let waiting = unverified(&bob, 10).unwrap().remove(0);
    refuse(&bob, waiting.key, RelayRefusal::Unsigned).await.unwrap();
    let known = refusal(&offer(&bob, &alice, 1, ALICE, &[FAR]));
    assert_eq!(known, Some(RelayRefusal::Unsigned));
    assert_eq!(queue::queued(&bob, 10).unwrap(), []);
}

#[tokio::test]
async fn share_of_the_day_ends_with_its_recipients() {
    let (alice, bob) = pair().await;
    let many: Vec<String> = (0..=200).map(|at| format!("{at}@far.house")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let over = |id, to: &[&str]| {
        matches!(offer(&bob, &alice, id, ALICE, to), Offered::Later(RelayPause::OverLimit))
    };
    assert!(over(2, &many));
    assert!(!over(2, &many[1..]));
    bring(&bob, &alice, TEXT).await.unwrap();
    assert!(over(2, &many[1..]) && !over(2, &many[3..]));
    bob.clock.advance(24 * 60 * 60 * 1000);
    assert!(!over(2, &many[1..]));
    let waiting = unverified(&bob, 10).unwrap().remove(0);
    forget(&bob, waiting.key).await.unwrap();
    assert!(matches!(offer(&bob, &alice, 1, ALICE, &[FAR]), Offered::Wanted { .. }));
}

/// The reports to Alice in the queue.
fn reports(bob: &TestNode) -> Vec<String> {
    let items = queue::queued(bob, 10).unwrap();
    let reports = items.into_iter().filter(|item| item.recipients[0].address == ALICE);
    let text = |item: queue::QueuedMessage| {
        assert_eq!((item.from.as_str(), item.on_behalf), ("", None));
        let bytes = bob.blobs.open(&item.blob).unwrap().read_all(1 << 20).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    reports.map(text).collect()
}

#[tokio::test]
async fn relayed_failure_is_reported_to_the_friend_alone() {
    let (alice, bob) = pair().await;
    bring(&bob, &alice, TEXT).await.unwrap();
    accept(&bob, unverified(&bob, 1).unwrap()[0].key).await.unwrap();
    let item = queue::queued(&bob, 1).unwrap().remove(0).id;
    let failed = Outcome::Failed("550 5.1.1 no such user".to_owned());
    record_outcomes(&bob, item, vec![(FAR.to_owned(), failed)]).await.unwrap();
    let report = reports(&bob).remove(0);
    assert!(report.contains(FAR) && report.contains("550 5.1.1 no such user"));
    assert_eq!(reports(&bob).len(), 1);
    // The owner gives up the rest: that is a failure as well.
    assert!(queue::drop_item(&bob, item).await.unwrap());
    assert!(reports(&bob).iter().any(|report| report.contains("carl@far.house")));
    assert_eq!(queue::item(&bob, item).unwrap(), None);
    let inbox = special_folder(&bob, SpecialUse::Inbox).unwrap().unwrap().id;
    assert_eq!(messages(&bob, inbox, 0, u32::MAX, 10).unwrap().len(), 0);
}
