//! Home: what is said here, and what friends say.

use axum::http::StatusCode;
use freehold_core::apply;
use freehold_core::audience::Visitor;
use freehold_core::feed;
use freehold_core::friends::{self, Introduction};
use freehold_core::identity_log;
use freehold_core::posts::{self, Draft};
use freehold_core::profile::{self, Profile};
use freehold_core::publish;
use freehold_core::testing::TestNode;

use crate::browser::Browser;
use crate::photos::{png, upload_to};

/// Makes `friend` a friend of `node`, without a network between them.
async fn befriend(node: &TestNode, friend: &TestNode, name: &str) {
    identity_log::learn(node, friend.identity.log().unwrap().to_bytes()).await.unwrap();
    let (person, key) = (friend.identity.person().unwrap(), friend.identity.node_key());
    let from = Introduction {
        person,
        node: key,
        name: name.to_owned(),
        addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()],
    };
    friends::receive_request(node, &from, "").await.unwrap();
    friends::accept_request(node, person).await.unwrap();
}

async fn say(node: &TestNode, title: &str, text: &str) {
    let draft = Draft { title: title.into(), text: text.into(), ..Draft::default() };
    let draft = posts::save_draft(node, draft).await.unwrap();
    publish::saved_post(node, draft.id).await.unwrap();
}

/// Carries everything `from` has published to `to`, as federation would.
async fn carry(from: &TestNode, to: &TestNode) {
    let person = from.identity.person().unwrap();
    for head in feed::heads(from, &person).unwrap() {
        let entries = feed::read(from, &head.log, 0, 100, 1_000_000).unwrap();
        apply::receive(to, person, entries).await.unwrap();
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
        assert_eq!(
            owner.post("/home", &[("text", text), ("once", &once)]).await.location(),
            "/home"
        );
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
    let (needle, line, mine) = (
        home.find("needle").unwrap(),
        home.find("Seen already").unwrap(),
        home.find("Mine, first.").unwrap(),
    );
    assert!(needle < line && line < mine);
    assert!(
        !owner.get("/home").await.text().contains("Seen already"),
        "now all of it has been seen"
    );
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
    let path = home
        .split("href=\"")
        .find(|part| part.starts_with("/home/timeline/"))
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(owner.get(path).await.text().contains("The last sentence."));
    assert_eq!(owner.get(&format!("{path}/0/400.jpg")).await.status, StatusCode::NOT_FOUND);
    assert!(Browser::stranger(&alice).get(path).await.location().starts_with("/login"));
}

#[tokio::test]
async fn a_friends_newest_name_and_paint_are_shown_wherever_they_are_named() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    befriend(&alice, &bob, "Bob").await;
    say(&bob, "", "The heron is back.").await;
    carry(&bob, &alice).await;
    let mut owner = Browser::owner(&alice).await;
    for (name, shown, paint) in
        [("Robert Ford", "Robert Ford", 5), ("Ro\u{202e}ssbob \u{200f}", "Rossbob", 6)]
    {
        let now = profile::get(&bob).unwrap().unwrap();
        publish::profile(&bob, Profile { name: name.into(), avatar_colour: paint, ..now })
            .await
            .unwrap();
        carry(&bob, &alice).await;
        for page in ["/home", "/home/friends"] {
            let page = owner.get(page).await.text();
            assert!(
                page.contains(&format!(">{shown}</b>"))
                    && page.contains(&format!("door p{paint}\" aria-hidden=\"true\">R<")),
                "{page}"
            );
            assert!(!page.contains("<b dir=\"auto\">Bob"), "{page}");
        }
        assert_eq!(friends::list(&alice).unwrap()[0].name, shown);
    }
    // Whoever writes their own feed knows no limits; here they hold.
    let long = feed::Body::Profile(feed::ProfileBody {
        name: "\u{202e}W\n".repeat(150),
        avatar_colour: 200,
        ..feed::ProfileBody::default()
    });
    let node = bob.clone();
    bob.store
        .commit(move |tx| feed::append_only(tx, &node, feed::Lane::PUBLIC, &long))
        .await
        .unwrap();
    carry(&bob, &alice).await;
    let friend = friends::list(&alice).unwrap().remove(0);
    assert_eq!((friend.name.chars().count(), friend.avatar_colour), (79, None));
    assert!(!friend.name.contains(['\u{202e}', '\n']));
}

#[tokio::test]
async fn awake_is_who_is_connected_and_others_are_said_to_have_been_heard_when_they_were() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    befriend(&alice, &bob, "Bob").await;
    let person = bob.identity.person().unwrap();
    let mut owner = Browser::owner(&alice).await;
    owner.post("/home", &[("text", "Hello.")]).await;
    let connected = alice.presence.connected(person, &alice.clock);
    alice.clock.advance(60 * 60 * 1000);
    let home = owner.get("/home").await.text();
    assert!(home.contains("Awake now") && home.contains("Bob (awake, so any moment)"), "{home}");
    drop(connected);
    alice.clock.advance(10 * 60 * 1000);
    let (home, list) = (owner.get("/home").await.text(), owner.get("/home/friends").await.text());
    assert!(
        !home.contains("Awake now") && home.contains("Bob (last heard 10 minutes ago)"),
        "{home}"
    );
    assert!(list.contains("last heard 10 minutes ago") && !list.contains("awake"), "{list}");
}

#[tokio::test]
async fn adding_a_photo_keeps_the_words_and_joins_them() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let add = owner.post("/home", &[("text", "Low water."), ("then", "photos")]).await.location();
    let draft = posts::drafts(&alice).unwrap().remove(0);
    assert_eq!(
        (add.as_str(), draft.text.as_str()),
        (format!("/home/photos/add?post={}", draft.id).as_str(), "Low water.")
    );
    let form = owner.get(&add).await.text();
    assert!(
        form.contains(&format!("action=\"{add}\"")) && form.contains("Back to what you write"),
        "{form}"
    );
    let desk = upload_to(&mut owner, &add, &[("alt", "Low sun")], &png()).await.location();
    assert_eq!(desk, format!("/home/write/{}", draft.id));
    let begun = posts::drafts(&alice).unwrap().remove(0);
    assert_eq!((begun.text.as_str(), begun.photos.len()), ("Low water.", 1));
    // Without a word the photo begins a note of its own; what is no id goes no further.
    assert_eq!(
        owner.post("/home", &[("text", " "), ("then", "photos")]).await.location(),
        "/home/photos/add?post=new"
    );
    upload_to(&mut owner, "/home/photos/add?post=new", &[("alt", "Low sun")], &png()).await;
    assert_eq!(posts::drafts(&alice).unwrap().len(), 2);
    assert!(
        owner
            .get("/home/photos/add?post=%22%3E%3Cb%3E")
            .await
            .text()
            .contains("action=\"/home/photos/add\"")
    );
}
