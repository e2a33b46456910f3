//! Home: what is said here, and what friends say.

use axum::http::StatusCode;
use freehold_core::audience::Visitor;
use freehold_core::feed;
use freehold_core::friends::{self, Introduction};
use freehold_core::identity;
use freehold_core::posts::{self, Draft};
use freehold_core::testing::TestNode;

use crate::browser::Browser;

/// Makes `friend` a friend of `node`, without a network between them.
async fn befriend(node: &TestNode, friend: &TestNode, name: &str) {
    identity::learn(node, friend.identity.log().unwrap().to_bytes()).await.unwrap();
    let (person, key) = (friend.identity.person().unwrap(), friend.identity.node_key());
    let from = Introduction { person, node: key, name: name.to_owned(), addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] };
    friends::request(node, &from, "").await.unwrap();
    friends::accept_request(node, person).await.unwrap();
}

async fn say(node: &TestNode, title: &str, text: &str) {
    let draft = Draft { title: title.into(), text: text.into(), ..Draft::default() };
    let draft = posts::save_draft(node, draft).await.unwrap();
    posts::publish(node, draft.id).await.unwrap();
}

/// Carries everything `from` has published to `to`, as federation would.
async fn carry(from: &TestNode, to: &TestNode) {
    let person = from.identity.person().unwrap();
    for head in feed::heads(from, &person).unwrap() {
        let entries = feed::read(from, &head.log, 0, 100, 1_000_000).unwrap();
        feed::receive(to, person, entries).await.unwrap();
    }
}

#[tokio::test]
async fn an_empty_house_says_what_will_be_here() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let home = owner.get("/home").await.text();
    assert!(home.contains("It’s quiet in here") && home.contains("Invite a friend"));
    assert!(owner.get("/home?write=1").await.text().contains("Say it"));
}

#[tokio::test]
async fn a_note_is_said_and_stands_on_the_site_too() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    assert_eq!(owner.post("/home", &[("text", "The heron is back.")]).await.location(), "/home");
    assert!(owner.get("/home").await.text().contains("The heron is back."));
    assert!(Browser::stranger(&alice).get("/").await.text().contains("The heron is back."));
    let nothing = owner.post("/home", &[("text", " \r\n ")]).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_note_sent_twice_is_said_once_and_other_words_are_another() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let once = owner.get("/home?write=1").await.field("once");
    for text in ["The heron is back.", "The heron is back.", "It has gone again."] {
        assert_eq!(owner.post("/home", &[("text", text), ("once", &once)]).await.location(), "/home");
    }
    assert_eq!(posts::published(&alice, &Visitor::Owner, None, 10).unwrap().len(), 2);
    assert!(posts::drafts(&alice).unwrap().is_empty());
}

#[tokio::test]
async fn a_friends_post_is_read_harmless_and_the_line_stands_where_the_owner_had_read_to() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    befriend(&alice, &bob, "Bob <i>").await;
    let mut owner = Browser::owner(&alice).await;
    owner.post("/home", &[("text", "Mine, first.")]).await;
    owner.get("/home").await;
    bob.clock.advance(60_000);
    alice.clock.advance(120_000);
    say(&bob, "", "Found the needle. <script>alert(1)</script> ![x](/photos/mine/1600.jpg)").await;
    carry(&bob, &alice).await;
    let home = owner.get("/home").await.text();
    assert!(home.contains("Found the needle.") && home.contains("Bob &#60;i&#62;"), "{home}");
    assert!(!home.contains("<script") && !home.contains("<img src=\"/photos/mine"), "{home}");
    let (needle, line, mine) = (home.find("needle").unwrap(), home.find("Seen already").unwrap(), home.find("Mine, first.").unwrap());
    assert!(needle < line && line < mine);
    assert!(!owner.get("/home").await.text().contains("Seen already"), "now all of it has been seen");
}

#[tokio::test]
async fn a_long_post_of_a_friend_is_read_whole_at_home() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    befriend(&alice, &bob, "Bob").await;
    let long = format!("{}The last sentence.", "A sentence of some length. ".repeat(400));
    say(&bob, "At length", &long).await;
    carry(&bob, &alice).await;
    let mut owner = Browser::owner(&alice).await;
    let home = owner.get("/home").await.text();
    assert!(!home.contains("The last sentence."));
    let path = home.split("href=\"").find(|part| part.starts_with("/home/timeline/")).unwrap().split('"').next().unwrap();
    assert!(owner.get(path).await.text().contains("The last sentence."));
    assert_eq!(owner.get(&format!("{path}/0/400.jpg")).await.status, StatusCode::NOT_FOUND);
    assert!(Browser::stranger(&alice).get(path).await.location().starts_with("/login"));
}
