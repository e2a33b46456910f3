use super::*;
use crate::mailbox::{
    SpecialUse, Submission, content, judgement, messages, special_folder, submit,
};
use crate::testing::TestNode;

async fn pair() -> (TestNode, TestNode) {
    let (alice, bob) = TestNode::pair().await;
    bob.write_profile(&alice, "bob@bob.example").await;
    (alice, bob)
}

async fn brought(
    alice: &TestNode,
    bob: &TestNode,
    id: u8,
    text: &str,
) -> Result<(), FriendMailError> {
    let mail = FriendMail {
        person: bob.identity.person().unwrap(),
        id: [id; 16],
        sender: "bob@bob.example".to_owned(),
        recipients: vec!["alice@alice.example".to_owned()],
        text: alice.blobs.put(text.as_bytes()).unwrap(),
    };
    arrive_from_friend(alice, mail).await
}

/// The texts in the inbox.
fn inbox(node: &TestNode) -> Vec<String> {
    let folder = special_folder(node, SpecialUse::Inbox).unwrap().unwrap().id;
    let found = messages(node, folder, 0, u32::MAX, 100).unwrap();
    let text = |message| {
        let blob = content(node, message).unwrap().unwrap().blob;
        let bytes = node.blobs.open(&blob).unwrap().read_all(1 << 20).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    found.iter().map(text).collect()
}

#[tokio::test]
async fn friends_message_is_stored_once_with_its_trace() {
    let (alice, bob) = pair().await;
    let text = "Authentication-Results: alice.example; dmarc=pass\r\nReturn-Path: <x@y>\r\n\
                From: Bob <bob@bob.example>\r\nSubject: The hill\r\n\r\nShall we?\r\n";
    for _ in 0..2 {
        brought(&alice, &bob, 1, text).await.unwrap();
    }
    assert!(has_friend_mail(&alice, &bob.identity.person().unwrap(), &[1; 16]).unwrap());
    let stored = inbox(&alice);
    assert_eq!(stored.len(), 1);
    let expected = format!(
        "Return-Path: <bob@bob.example>\r\nReceived: from bob.example (node {})\r\n\
         \tby alice.example (Freehold) with LIBP2P id 01010101010101010101010101010101\r\n\
         \tfor <alice@alice.example>;\r\n\tFri, 01 May 2026 12:00:00 +0000\r\n\
         From: Bob <bob@bob.example>\r\nSubject: The hill\r\n\r\nShall we?\r\n",
        bob.identity.node_key()
    );
    assert_eq!(stored[0], expected);
    let folder = special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap().id;
    let message = messages(&alice, folder, 0, u32::MAX, 10).unwrap().remove(0);
    let judgement = judgement(&alice, &message).unwrap().unwrap();
    assert!(judgement.friends_node().is_some() && !judgement.is_junk);
    // The same id of another friend is another message.
    let carol = TestNode::new("carol").await;
    assert!(!has_friend_mail(&alice, &carol.identity.person().unwrap(), &[1; 16]).unwrap());
}

#[tokio::test]
async fn spoofed_author_is_refused_and_nothing_stored() {
    let (alice, bob) = pair().await;
    for header in [
        "From: carol@carol.example\r\n",
        "From: bob@bob.example, carol@carol.example\r\n",
        "From: bob@bob.example\r\nFrom: carol@carol.example\r\n",
        "From: alice@alice.example\r\n",
        "From: Bob\r\n",
        "",
    ] {
        let text = format!("{header}Subject: x\r\n\r\ny\r\n");
        let refused = brought(&alice, &bob, 2, &text).await;
        assert_eq!(refused, Err(FriendMailError::Spoofed), "{header}");
    }
    let loops = "Received: by a\r\n".repeat(101);
    let text = format!("{loops}From: bob@bob.example\r\n\r\n");
    assert_eq!(brought(&alice, &bob, 2, &text).await, Err(FriendMailError::Loop));
    let text = format!("X: {}\r\nFrom: bob@bob.example\r\n\r\n", "y".repeat(140_000));
    assert_eq!(brought(&alice, &bob, 2, &text).await, Err(FriendMailError::HeaderTooLong));
    bob.write_profile(&alice, "bob@bank.com").await;
    let text = "From: bob@bank.com\r\n\r\n";
    assert_eq!(brought(&alice, &bob, 2, text).await, Err(FriendMailError::Unconfirmed));
    friends::remove(&alice, bob.identity.person().unwrap()).await.unwrap();
    let text = "From: bob@bob.example\r\n\r\n";
    assert_eq!(brought(&alice, &bob, 2, text).await, Err(FriendMailError::NotFriends));
    assert_eq!(inbox(&alice).len(), 0);
    assert!(!has_friend_mail(&alice, &bob.identity.person().unwrap(), &[2; 16]).unwrap());
}

#[tokio::test]
async fn friends_share_of_the_day_is_charged() {
    let (alice, bob) = pair().await;
    let person = bob.identity.person().unwrap();
    alice.use_up_share(Share::MailOfFriend(person)).await;
    let refused = brought(&alice, &bob, 3, "From: bob@bob.example\r\n\r\n").await;
    let used_up = DeliverError::ShareUsedUp(Share::MailOfFriend(person));
    assert_eq!(refused, Err(FriendMailError::Deliver(used_up)));
}

#[tokio::test]
async fn long_message_keeps_its_text() {
    let (alice, bob) = pair().await;
    let body = "0123456789abcdef\r\n".repeat(20_000);
    let text = format!("From: bob@bob.example\r\nSubject: long\r\n\r\n{body}");
    brought(&alice, &bob, 4, &text).await.unwrap();
    assert!(inbox(&alice)[0].ends_with(&text));
}

#[tokio::test]
async fn away_answer_goes_to_the_friends_node() {
    let (alice, bob) = pair().await;
    let alice = alice.allowing_queued_mail();
    let away = crate::mailbox::Away { text: "I am on the hill.".to_owned(), ..Default::default() };
    crate::mailbox::set_away(&alice, away).await.unwrap();
    let text = "From: bob@bob.example\r\nTo: alice@alice.example\r\nMessage-ID: <a@b>\r\n\r\n";
    brought(&alice, &bob, 5, text).await.unwrap();
    let waiting = crate::mailbox::queue::for_friends(&alice, 10).unwrap();
    assert_eq!(waiting[0].recipients[0].friend(), bob.identity.person());
}

#[tokio::test]
async fn submission_to_a_friend_is_of_federation() {
    let (alice, _bob) = pair().await;
    let alice = alice.allowing_queued_mail();
    let submission = Submission {
        id: IdempotencyKey::new(&alice),
        from: "alice@alice.example".into(),
        recipients: vec!["bob@bob.example".to_owned().into(), "c@c.example".to_owned().into()],
        blob: alice.blobs.put(b"From: alice@alice.example\r\n\r\n").unwrap(),
        copy_to_sent: false,
        request: crate::mailbox::queue::ReportRequest::default(),
        limits: crate::mailbox::queue::SendLimits::NONE,
        not_before: None,
    };
    submit(&alice, submission).await.unwrap();
    let item = crate::mailbox::queue::queued(&alice, 1).unwrap().remove(0);
    let friends: Vec<bool> = item.recipients.iter().map(|to| to.friend().is_some()).collect();
    assert_eq!(friends, [true, false]);
}
