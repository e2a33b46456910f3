use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::mailbox::{Arrival, Arrived, arrive, queue};
use crate::testing::TestNode;

const MESSAGE: &str = "From: Bob <bob@bob.example>\r\nTo: alice@alice.example\r\n\
    Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe=0D=0ABcc:_x@y.example?=\r\nMessage-ID: <1@bob.example>\r\n\
    References: <0@bob.example>\r\n";

async fn receive(node: &Node, header: &str, sender: &str, proven: Option<&str>) -> Arrived {
    receive_of(node, header, sender, (sender, proven)).await
}

async fn receive_of(
    node: &Node,
    header: &str,
    sender: &str,
    (author, proven): (&str, Option<&str>),
) -> Arrived {
    let evidence = Evidence {
        address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
        authors: vec![author.to_owned()],
        is_checked: true,
        proven: proven.map(str::to_owned),
        disowned: None,
        passed_on_by: None,
        has_no_reverse_name: false,
        block_lists: Vec::new(),
        added_field: None,
        friend: None,
    };
    let arrival = Arrival {
        blob: node.blobs.put(format!("{header}\r\nHello.\r\n").as_bytes()).unwrap(),
        id: IdempotencyKey::new(node),
        recipients: vec!["alice@alice.example".into()],
        sender: sender.to_owned(),
        evidence: Some(evidence),
    };
    arrive(node, arrival, Vec::new()).await.unwrap()
}

async fn answered(node: &Node, header: &str, sender: &str, proven: Option<&str>) -> bool {
    match receive(node, header, sender, proven).await.answerable {
        Some(answerable) => answer(node, answerable).await.unwrap(),
        None => false,
    }
}

async fn leaving(known_only: bool) -> TestNode {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let text = "Back on Monday.\nGrüße".to_owned();
    set_away(&alice, Away { text, known_only, ..Away::default() }).await.unwrap();
    alice
}

const BOB: &str = "bob@bob.example";

#[tokio::test]
async fn proven_person_is_answered_once_a_week() {
    let alice = leaving(false).await;
    assert!(answered(&alice, MESSAGE, BOB, Some("bob.example")).await);
    assert!(!answered(&alice, MESSAGE, BOB, Some("bob.example")).await);
    let item = queue::queued(&alice, 1).unwrap().remove(0);
    assert_eq!((item.from.as_str(), item.recipients[0].address.as_str()), ("", BOB));
    let bytes = alice.blobs.open(&item.blob).unwrap().read_all(1 << 16).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    for part in [
        "To: <bob@bob.example>\r\n",
        "<alice@alice.example>\r\n",
        "In-Reply-To: <1@bob.example>\r\nReferences: <0@bob.example>\r\n <1@bob.example>\r\n",
        "Auto-Submitted: auto-replied\r\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("\nBcc:"), "{text}");
    alice.clock.advance(WEEK_MS);
    assert!(answered(&alice, MESSAGE, BOB, Some("bob.example")).await);
}

#[tokio::test]
async fn programs_lists_and_unproven_senders_get_no_answer() {
    let alice = leaving(false).await;
    let with = |field: &str| format!("{MESSAGE}{field}\r\n");
    let proven = Some("bob.example");
    for (header, sender, proven) in [
        (MESSAGE.to_owned(), BOB, None),
        (MESSAGE.to_owned(), "", proven),
        (MESSAGE.to_owned(), "noreply@bob.example", proven),
        (MESSAGE.to_owned(), "bounces+123@bob.example", proven),
        (MESSAGE.to_owned(), "owner-list@bob.example", proven),
        (MESSAGE.to_owned(), "alice@alice.example", Some("alice.example")),
        (with("Auto-Submitted: auto-replied (away)"), BOB, proven),
        (with("List-Id: <l.bob.example>"), BOB, proven),
        (with("Precedence: bulk"), BOB, proven),
        (with("X-Auto-Response-Suppress: All"), BOB, proven),
        (with("Precedence: auto_reply"), BOB, proven),
        (with("X-Autoreply: yes"), BOB, proven),
        (with("X-Autorespond: Away"), BOB, proven),
        (with("Content-Type: Multipart/Report; report-type=disposition-notification"), BOB, proven),
        (MESSAGE.replace("alice@alice.example", "list@bob.example"), BOB, proven),
    ] {
        assert!(!answered(&alice, &header, sender, proven).await, "{header} {sender} {proven:?}");
    }
    // A signed message that somebody sends again under another name.
    let again = receive_of(&alice, MESSAGE, "victim@bob.example", (BOB, proven)).await;
    assert!(again.answerable.is_none());
    assert!(answered(&alice, &with("Auto-Submitted: no"), BOB, proven).await);
}

#[tokio::test]
async fn answer_has_its_time_and_its_people() {
    let alice = leaving(true).await;
    let proven = Some("bob.example");
    assert!(!answered(&alice, MESSAGE, BOB, proven).await, "the owner never wrote to Bob");
    let keys = senders::keys(&alice, [&BOB.to_owned()].into_iter()).unwrap();
    let now = alice.clock.now();
    alice.store.commit(move |tx| senders::record(tx, now, &keys)).await.unwrap();
    assert!(answered(&alice, MESSAGE, BOB, proven).await);
    alice.clock.advance(WEEK_MS);
    let now = alice.clock.now();
    let text = "Away.".to_owned();
    let later = Away { text: text.clone(), from: Some(now.plus_millis(1)), ..Away::default() };
    set_away(&alice, later).await.unwrap();
    assert!(!answered(&alice, MESSAGE, BOB, proven).await);
    set_away(&alice, Away { text, until: Some(now), ..Away::default() }).await.unwrap();
    assert!(!answered(&alice, MESSAGE, BOB, proven).await);
}

#[tokio::test]
async fn answers_of_a_day_are_limited() {
    let alice = leaving(false).await;
    let mut answers = 0;
    for n in 0..12 {
        let sender = format!("bob{n}@bob.example");
        answers += u32::from(answered(&alice, MESSAGE, &sender, Some("bob.example")).await);
    }
    assert_eq!(answers, ANSWERS_PER_DOMAIN);
    for n in 0..110 {
        let domain = format!("d{n}.example");
        let sender = format!("bob@{domain}");
        answers += u32::from(answered(&alice, MESSAGE, &sender, Some(&domain)).await);
    }
    assert_eq!(answers, ANSWERS_PER_DAY);
}
