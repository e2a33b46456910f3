use std::net::Ipv4Addr;

use super::*;
use crate::mailbox::{
    Arrival, Folder, IdempotencyKey, Message, SpecialUse, arrive, folder, forget_old_lessons,
    judgement, learn_next, list_sender, move_messages, special_folder,
};
use crate::testing::TestNode;

/// Evidence of a message from `author`, whose domain proves it.
fn proven(author: &str) -> Evidence {
    let domain = author.rsplit_once('@').map(|(_, domain)| domain.to_owned());
    Evidence { proven: domain, ..unproven(author) }
}

fn unproven(author: &str) -> Evidence {
    Evidence {
        address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)),
        authors: vec![author.to_owned()],
        is_checked: true,
        proven: None,
        disowned: None,
        passed_on_by: None,
        has_no_reverse_name: false,
        block_lists: Vec::new(),
        added_field: None,
        friend: None,
    }
}

fn special(node: &Node, special: SpecialUse) -> Folder {
    special_folder(node, special).unwrap().unwrap()
}

async fn receive(node: &Node, evidence: Evidence, text: &str) -> Message {
    let author = evidence.authors.first().cloned().unwrap_or_default();
    let message = format!("From: {author}\r\nSubject: {text}\r\n\r\n{text}\r\n");
    let blob = node.blobs.put(message.as_bytes()).unwrap();
    let arrival = Arrival {
        blob,
        id: IdempotencyKey::new(node),
        recipients: Vec::new(),
        sender: String::new(),
        evidence: Some(evidence),
    };
    arrive(node, arrival, Vec::new()).await.unwrap().message
}

async fn move_to(node: &Node, message: &Message, target: SpecialUse) {
    let target = special(node, target).id;
    move_messages(node, message.folder, &[message.uid], target).await.unwrap();
    while learn_next(node).await.unwrap() {}
}

fn kinds(node: &Node, message: &Message) -> Vec<ReasonKind> {
    let judgement = judgement(node, message).unwrap().unwrap();
    assert_eq!(judgement.is_junk, message.folder == special(node, SpecialUse::Junk).id);
    judgement.reasons.iter().map(|reason| reason.kind).collect()
}

fn is_junk(node: &Node, message: &Message) -> bool {
    message.folder == special(node, SpecialUse::Junk).id
}

/// Teaches the filter 30 messages of junk and 60 wanted ones.
async fn teach(node: &Node) {
    for n in 0..30 {
        let text = format!("cheap pills casino offer number{n} winner lottery guaranteed bonus");
        let message = receive(node, unproven(&format!("s{n}@spam{n}.example")), &text).await;
        move_to(node, &message, SpecialUse::Junk).await;
    }
    for n in 0..60 {
        let text = format!("minutes meeting garden weekend number{n} grandmother holiday photos");
        let message = receive(node, unproven(&format!("f{n}@friend{n}.example")), &text).await;
        move_to(node, &message, SpecialUse::Archive).await;
    }
}

#[tokio::test]
async fn words_of_junk_are_learnt_by_moving() {
    let alice = TestNode::new("alice").await;
    let junk = "casino winner guaranteed cheap pills lottery bonus offer";
    let first = receive(&alice, unproven("x@new.example"), junk).await;
    assert!(!is_junk(&alice, &first), "nothing was learnt");
    teach(&alice).await;
    let next = receive(&alice, unproven("y@new.example"), junk).await;
    assert!(is_junk(&alice, &next));
    assert_eq!(kinds(&alice, &next)[0], ReasonKind::Words);
    let words = judgement(&alice, &next).unwrap().unwrap().reasons.remove(0).detail;
    assert!(words.contains("casino"), "{words}");
    let wanted = "meeting garden photos holiday weekend grandmother minutes";
    let wanted = receive(&alice, unproven("z@new.example"), wanted).await;
    assert!(!is_junk(&alice, &wanted));
    // A neutral message of an unknown server without a proof stays in the inbox.
    let bare = Evidence { has_no_reverse_name: true, ..unproven("q@new.example") };
    assert!(!is_junk(&alice, &receive(&alice, bare, "nothing of the kind").await));
}

#[tokio::test]
async fn mistake_is_unlearnt_when_moved_back() {
    let alice = TestNode::new("alice").await;
    let learnt = || learnt::all(&alice.store).unwrap().messages;
    let message = receive(&alice, proven("ann@shop.example"), "an order").await;
    move_to(&alice, &message, SpecialUse::Junk).await;
    assert_eq!(learnt(), Counts { junk: 1, wanted: 0 });
    let junk = special(&alice, SpecialUse::Junk).id;
    let moved = Message { folder: junk, uid: 1, ..message };
    move_to(&alice, &moved, SpecialUse::Inbox).await;
    assert_eq!(learnt(), Counts { junk: 0, wanted: 1 });
    let origin = Origin { domain: Some("shop.example".into()), ..Origin::default() };
    let counts = reputation::of(&alice.store, &origin).unwrap().domain;
    assert_eq!(counts, Counts { junk: 0, wanted: 1 });
    alice.clock.advance(500 * 24 * 3_600_000);
    // The message, its author, domain and network.
    assert_eq!(forget_old_lessons(&alice).await.unwrap(), 4);
}

#[tokio::test]
async fn bin_and_drafts_teach_nothing() {
    let alice = TestNode::new("alice").await;
    for target in [SpecialUse::Trash, SpecialUse::Drafts, SpecialUse::Sent] {
        let message = receive(&alice, unproven("ann@shop.example"), "an order").await;
        move_to(&alice, &message, target).await;
    }
    let spam = receive(&alice, unproven("ann@shop.example"), "an order").await;
    move_to(&alice, &spam, SpecialUse::Junk).await;
    let junk = special(&alice, SpecialUse::Junk).id;
    move_to(&alice, &Message { folder: junk, uid: 1, ..spam }, SpecialUse::Trash).await;
    assert_eq!(learnt::all(&alice.store).unwrap().messages, Counts { junk: 1, wanted: 0 });
}

#[tokio::test]
async fn known_author_is_never_junk() {
    let alice = TestNode::new("alice").await;
    teach(&alice).await;
    let keys = senders::keys(&alice, [&"bob@bob.example".to_owned()].into_iter()).unwrap();
    let now = alice.clock.now();
    alice.store.commit(move |tx| senders::record(tx, now, &keys)).await.unwrap();
    let junk = "casino winner guaranteed cheap pills lottery bonus offer";
    let message = receive(&alice, unproven("Bob@bob.example"), junk).await;
    assert_eq!(kinds(&alice, &message), [ReasonKind::Known]);
    // A second author that nobody knows.
    let mut two = unproven("bob@bob.example");
    two.authors.push("mallory@mallory.example".into());
    assert!(is_junk(&alice, &receive(&alice, two, junk).await));
    // The domain says that it is not from Bob.
    let disowned = Some(Disowned { domain: "bob.example".into(), is_refused: false });
    let forged = Evidence { disowned, ..unproven("bob@bob.example") };
    let forged = receive(&alice, forged, "hello").await;
    assert_eq!(kinds(&alice, &forged)[0], ReasonKind::Disowned);
    assert!(is_junk(&alice, &forged));
    // Proven, it is a lesson as well.
    let before = learnt::all(&alice.store).unwrap().messages.wanted;
    receive(&alice, proven("bob@bob.example"), "hello").await;
    while learn_next(&alice).await.unwrap() {}
    assert_eq!(learnt::all(&alice.store).unwrap().messages.wanted, before + 1);
}

#[tokio::test]
async fn senders_are_blocked_and_allowed_by_the_owner() {
    let alice = TestNode::new("alice").await;
    list_sender(&alice, "@shop.example", Listing::Blocked).await.unwrap();
    let blocked = receive(&alice, proven("news@mail.shop.example"), "hello").await;
    assert_eq!(kinds(&alice, &blocked), [ReasonKind::Blocked]);
    list_sender(&alice, "ann@shop.example", Listing::Allowed).await.unwrap();
    let allowed = receive(&alice, unproven("ann@shop.example"), "hello").await;
    assert_eq!(kinds(&alice, &allowed), [ReasonKind::Allowed]);
    let disowned = Some(Disowned { domain: "shop.example".into(), is_refused: true });
    let forged = Evidence { disowned, ..unproven("ann@shop.example") };
    assert!(is_junk(&alice, &receive(&alice, forged, "hello").await));
}

#[tokio::test]
async fn list_that_passes_mail_on_needs_the_owners_word() {
    let alice = TestNode::new("alice").await;
    let disowned = Some(Disowned { domain: "bob.example".into(), is_refused: true });
    let passed_on = Evidence {
        disowned,
        passed_on_by: Some("lists.example".into()),
        ..unproven("bob@bob.example")
    };
    let first = receive(&alice, passed_on.clone(), "to the list").await;
    assert!(is_junk(&alice, &first), "anyone can seal a message");
    for n in 0..5 {
        let own = receive(&alice, proven(&format!("owner{n}@lists.example")), "welcome").await;
        move_to(&alice, &own, SpecialUse::Archive).await;
    }
    let again = receive(&alice, passed_on.clone(), "to the list").await;
    assert!(is_junk(&alice, &again), "an author of some messages can seal one");
    list_sender(&alice, "lists.example", Listing::Allowed).await.unwrap();
    let second = receive(&alice, passed_on, "to the list").await;
    assert!(!is_junk(&alice, &second));
    assert!(kinds(&alice, &second).contains(&ReasonKind::PassedOn));
}

#[tokio::test]
async fn reputation_of_author_and_block_list_count() {
    let alice = TestNode::new("alice").await;
    for _ in 0..5 {
        let message = receive(&alice, proven("news@shop.example"), "offers").await;
        move_to(&alice, &message, SpecialUse::Junk).await;
    }
    let more = receive(&alice, proven("news@shop.example"), "other words").await;
    assert!(is_junk(&alice, &more));
    assert_eq!(kinds(&alice, &more)[0], ReasonKind::Author);
    // Another author of the domain is wanted: the shop's own name still suffices.
    for _ in 0..3 {
        let wanted = receive(&alice, proven("ann@shop.example"), "a message").await;
        let place = match is_junk(&alice, &wanted) {
            true => SpecialUse::Inbox,
            false => SpecialUse::Archive,
        };
        move_to(&alice, &wanted, place).await;
    }
    let more = receive(&alice, proven("news@shop.example"), "other words").await;
    assert_eq!(kinds(&alice, &more)[0], ReasonKind::Author);
    // Without the proof it is nobody's.
    let unproven = unproven("news@shop.example");
    assert!(!is_junk(&alice, &receive(&alice, unproven.clone(), "other words").await));
    let listed = Evidence {
        block_lists: vec!["bl.example".into()],
        address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
        ..unproven
    };
    assert!(is_junk(&alice, &receive(&alice, listed, "other words").await));
    assert_eq!(folder(&alice, special(&alice, SpecialUse::Trash).id).unwrap().unwrap().total, 0);
}

#[tokio::test]
async fn blocked_sender_is_kept_out_unchecked_too() {
    let alice = TestNode::new("alice").await;
    list_sender(&alice, "shop.example", Listing::Blocked).await.unwrap();
    list_sender(&alice, "ann@ann.example", Listing::Allowed).await.unwrap();
    let receive = async |from: &str, sender: &str| {
        let message = format!("{from}Subject: x\r\n\r\nHello.\r\n");
        let arrival = Arrival {
            blob: alice.blobs.put(message.as_bytes()).unwrap(),
            id: IdempotencyKey::new(&alice),
            recipients: Vec::new(),
            sender: sender.to_owned(),
            evidence: None,
        };
        arrive(&alice, arrival, Vec::new()).await.unwrap().message
    };
    for (from, sender) in [
        ("From: Shop <News@Shop.example>\r\n", "bounces@mailer.example"),
        ("From: ann@ann.example, x@a.shop.example\r\n", "ann@ann.example"),
        ("", "news@shop.example"),
    ] {
        let message = receive(from, sender).await;
        assert!(is_junk(&alice, &message), "{from}");
        assert_eq!(kinds(&alice, &message), [ReasonKind::Blocked]);
    }
    let other = receive("From: ann@ann.example\r\n", "ann@ann.example").await;
    assert_eq!(judgement(&alice, &other).unwrap(), None, "it is not judged otherwise");
    assert_eq!(other.folder, special(&alice, SpecialUse::Inbox).id);
}

#[tokio::test]
async fn field_added_to_a_signed_message_counts_against_it() {
    let alice = TestNode::new("alice").await;
    let added = || Evidence { added_field: Some("subject".into()), ..unproven("b@b.example") };
    let message = receive(&alice, added(), "hello").await;
    assert_eq!(kinds(&alice, &message), [ReasonKind::Unproven, ReasonKind::AddedField]);
    let listed = Evidence { has_no_reverse_name: true, block_lists: vec!["l".into()], ..added() };
    assert!(is_junk(&alice, &receive(&alice, listed, "hello").await));
}

#[tokio::test]
async fn network_of_kept_mail_is_a_good_one() {
    let alice = TestNode::new("alice").await;
    let address = unproven("a@a.example").address;
    assert!(!is_good_network(&alice, address).unwrap());
    for _ in 0..3 {
        let message = receive(&alice, proven("a@a.example"), "a message").await;
        move_to(&alice, &message, SpecialUse::Archive).await;
    }
    assert!(is_good_network(&alice, address).unwrap());
}
