//! Mail between friends' nodes in the browser: how a message will go, waits and came.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::mailbox::queue::for_friends;
use freehold_core::mailbox::{FriendMail, SpecialUse, arrive_from_friend, special_folder};
use freehold_core::testing::TestNode;

use crate::browser::Browser;

#[tokio::test]
async fn message_of_a_friends_node_says_how_it_came() {
    let (alice, bob) = TestNode::pair().await;
    bob.write_profile(&alice, "bob@bob.example").await;
    let text = "From: Bob <bob@bob.example>\r\nSubject: The hill\r\n\r\nShall we?\r\n";
    let mail = FriendMail {
        person: bob.identity.person().unwrap(),
        id: [1; 16],
        sender: "bob@bob.example".to_owned(),
        recipients: vec!["alice@alice.example".to_owned()],
        text: alice.blobs.put(text.as_bytes()).unwrap(),
    };
    arrive_from_friend(&alice, mail).await.unwrap();
    let inbox = special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap().id.0;
    let mut owner = Browser::owner(&alice).await;
    let page = owner.get(&format!("/home/mail/{inbox}/1")).await;
    assert!(page.one("#straight").text().contains("Bob"));
    assert!(page.one("#why").text().contains("straight from the house of Bob"));
}

#[tokio::test]
async fn letter_to_a_friend_goes_straight_to_the_node() {
    let (alice, bob) = TestNode::pair().await;
    let alice = alice.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    assert!(!owner.get("/home/mail/write").await.one("#to-hint").text().contains("Bob"));
    bob.write_profile(&alice, "bob@bob.example").await;
    let form = owner.get("/home/mail/write").await;
    assert!(form.one("#to-hint").text().contains("To Bob it goes straight"));
    let key = form.field("key");
    let fields = [("to", "bob@bob.example"), ("subject", "x"), ("text", "y"), ("key", &*key)];
    owner.post("/home/mail/write", &fields).await;
    let waiting = for_friends(&alice, 10).unwrap();
    assert_eq!(waiting[0].recipients[0].friend(), bob.identity.person());
    let page = owner.get("/home/mail/queue").await;
    assert!(page.one("[data-state]").text().contains("straight"));
}
