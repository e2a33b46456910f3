//! The timeline: notes, friends' posts, the seen marker, delivery and presence.

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
async fn make_friends(node: &TestNode, friend: &TestNode, name: &str) {
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

async fn publish(node: &TestNode, title: &str, text: &str) {
    let draft = Draft { title: title.into(), text: text.into(), ..Draft::default() };
    let draft = posts::save_draft(node, draft).await.unwrap();
    publish::saved_post(node, draft.id).await.unwrap();
}

/// Carries everything `from` has published to `to`, as federation would.
pub(crate) async fn carry(from: &TestNode, to: &TestNode) {
    let person = from.identity.person().unwrap();
    for head in feed::heads(from, &person).unwrap() {
        let entries = feed::read(from, &head.log, 0, 100, 1_000_000).unwrap();
        apply::receive(to, person, entries).await.unwrap();
    }
}

#[tokio::test]
async fn empty_timeline_suggests_first_steps() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let composer = "form[action='/home'] textarea[name='text']";
    let home = owner.get("/home").await;
    assert!(home.has("main a[href='/home/friends']") && home.has("main a[href='/home/write']"));
    assert!(home.has("main a[href='/home?write=1']") && !home.has(composer));
    assert!(owner.get("/home?write=1").await.has(composer));
}

#[tokio::test]
async fn note_is_in_the_timeline_and_public() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let said = owner.post("/home", &[("text", "The heron is back.")]).await;
    assert_eq!(said.location(), "/home");
    let home = owner.get(said.header("location")).await;
    assert!(home.text().contains("The heron is back.") && home.has("#done[role='status']"));
    assert!(Browser::stranger(&alice).get("/").await.text().contains("The heron is back."));
    owner.post("/home", &[("text", " \r\n ")]).await.fault("text");
}

#[tokio::test]
async fn note_form_sent_twice_publishes_once() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let key = owner.get("/home?write=1").await.field("key");
    for text in ["The heron is back.", "The heron is back.", "It has gone again."] {
        assert_eq!(owner.post("/home", &[("text", text), ("key", &key)]).await.location(), "/home");
    }
    assert_eq!(posts::published(&alice, &Visitor::Owner, None, 10).unwrap().len(), 2);
    assert!(posts::drafts(&alice).unwrap().is_empty());
}

#[tokio::test]
async fn friends_post_is_sanitised_and_marked_unseen() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    make_friends(&alice, &bob, "Bob <i>").await;
    let mut owner = Browser::owner(&alice).await;
    owner.post("/home", &[("text", "Mine, first.")]).await;
    owner.get("/home").await;
    bob.clock.advance(60_000);
    alice.clock.advance(120_000);
    publish(&bob, "", "Found the needle. <script>alert(1)</script> ![x](/photos/mine/1600.jpg)")
        .await;
    carry(&bob, &alice).await;
    let home = owner.get("/home").await;
    let posts = home.all("article.timeline-post");
    assert!(posts[0].text().contains("Found the needle."), "{}", home.text());
    assert!(posts[0].text().contains("Bob <i>"), "{}", home.text());
    assert!(!home.has("script") && !home.has("img[src^='/photos/mine']"), "{}", home.text());
    let home = home.text();
    let at = |text: &str| home.find(text).unwrap();
    assert!(
        at("needle") < at("id=\"seen-marker\"") && at("id=\"seen-marker\"") < at("Mine, first.")
    );
    assert!(!owner.get("/home").await.has("#seen-marker"), "now all posts have been seen");
}

#[tokio::test]
async fn long_post_of_a_friend_is_shown_whole() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    make_friends(&alice, &bob, "Bob").await;
    let long = format!("{}The last sentence.", "A sentence of some length. ".repeat(400));
    publish(&bob, "At length", &long).await;
    publish(&bob, "", &long).await;
    carry(&bob, &alice).await;
    let mut owner = Browser::owner(&alice).await;
    let home = owner.get("/home").await;
    assert!(!home.text().contains("The last sentence."));
    let path = home.one("h3 a[href^='/home/timeline/']").attr("href").to_owned();
    let path = path.as_str();
    // A note has no title to follow.
    let note = home.one("a[data-more]").attr("href").to_owned();
    for path in [path, &note] {
        let seen = owner.get(path).await;
        assert!(seen.text().contains("The last sentence.") && !seen.has("[data-more]"));
    }
    assert_eq!(owner.get(&format!("{path}/0/400.jpg")).await.status, StatusCode::NOT_FOUND);
    assert!(Browser::stranger(&alice).get(path).await.location().starts_with("/login"));
}

#[tokio::test]
async fn whole_post_of_a_friend_is_read_at_home() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    make_friends(&alice, &bob, "Bob").await;
    publish(&bob, "Short", "Every word is here: https://a.example/b").await;
    publish(&bob, "", "One\nTwo").await;
    carry(&bob, &alice).await;
    let mut owner = Browser::owner(&alice).await;
    let home = owner.get("/home").await;
    assert!(home.all("article a").iter().all(|link| link.attr("href").starts_with("/home/")));
    assert!(home.has(".told p br"), "the line end of a note");
    let path = home.one("h3 a[href^='/home/timeline/']").attr("href").to_owned();
    let page = owner.get(&path).await;
    assert!(page.text().contains("Every word is here"));
    assert!(page.one(".read a[href='https://a.example/b']").attr("rel").contains("nofollow"));
}

#[tokio::test]
async fn friends_newest_name_and_colour_are_shown() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    make_friends(&alice, &bob, "Bob").await;
    publish(&bob, "", "The heron is back.").await;
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
        for path in ["/home", "/home/friends"] {
            let page = owner.get(path).await;
            assert_eq!(page.one("main b[dir='auto']").text(), shown, "{path}");
            let avatar = page.one(&format!("main .avatar.p{paint}[aria-hidden='true']"));
            assert_eq!(avatar.text(), "R", "{path}");
        }
        assert_eq!(friends::list(&alice).unwrap()[0].name, shown);
    }
    // A feed written by another program may exceed our limits; they are enforced here.
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
async fn presence_follows_connection_and_last_contact() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    make_friends(&alice, &bob, "Bob").await;
    let person = bob.identity.person().unwrap();
    let mut owner = Browser::owner(&alice).await;
    owner.post("/home", &[("text", "Hello.")]).await;
    let never = owner.get("/home").await.one(".delivery p").text();
    let connected = alice.presence.connected(person, &alice.clock);
    alice.clock.advance(60 * 60 * 1000);
    let home = owner.get("/home").await;
    assert!(home.one("#online").text().contains("Bob"), "{}", home.text());
    let online = home.one(".delivery p").text();
    assert!(online.contains("Bob") && online != never, "{online}");
    assert!(!online.contains(|c: char| c.is_ascii_digit()), "no time of last contact: {online}");
    assert!(owner.get("/home/friends").await.has("[data-online='true']"));
    drop(connected);
    alice.clock.advance(10 * 60 * 1000);
    let (home, list) = (owner.get("/home").await, owner.get("/home/friends").await);
    assert!(!home.has("#online"), "{}", home.text());
    let offline = home.one(".delivery p").text();
    assert!(offline.contains("Bob") && offline.contains("10 minutes"), "{offline}");
    let state = list.one("[data-online='false']").text();
    assert!(state.contains("10 minutes") && !list.has("[data-online='true']"), "{state}");
}

#[tokio::test]
async fn photo_is_added_to_the_typed_note() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let add = owner.post("/home", &[("text", "Low water."), ("intent", "photos")]).await.location();
    let draft = posts::drafts(&alice).unwrap().remove(0);
    assert_eq!(
        (add.as_str(), draft.text.as_str()),
        (format!("/home/photos/add?post={}", draft.id).as_str(), "Low water.")
    );
    let form = owner.get(&add).await;
    assert!(form.has(&format!("form[action='{add}']")), "{}", form.text());
    assert!(form.has(&format!("main .margin a[href='/home/write/{}']", draft.id)));
    let path = upload_to(&mut owner, &add, &[("alt", "Low sun")], &png()).await.location();
    assert_eq!(path, format!("/home/write/{}", draft.id));
    let begun = posts::drafts(&alice).unwrap().remove(0);
    assert_eq!((begun.text.as_str(), begun.photos.len()), ("Low water.", 1));
    // Without a text the photo starts a new draft; a value that is no id is dropped.
    assert_eq!(
        owner.post("/home", &[("text", " "), ("intent", "photos")]).await.location(),
        "/home/photos/add?post=new"
    );
    upload_to(&mut owner, "/home/photos/add?post=new", &[("alt", "Low sun")], &png()).await;
    assert_eq!(posts::drafts(&alice).unwrap().len(), 2);
    let dropped = owner.get("/home/photos/add?post=%22%3E%3Cb%3E").await;
    assert!(dropped.has("form[action='/home/photos/add']"));
}

#[tokio::test]
async fn friend_with_anothers_name_is_marked() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    let mallory = TestNode::new("mallory").await;
    for (friend, name) in [(&bob, "Bob"), (&mallory, "Mallory")] {
        make_friends(&alice, friend, name).await;
        publish(friend, "", "Hello.").await;
        carry(friend, &alice).await;
    }
    let mut owner = Browser::owner(&alice).await;
    for path in ["/home", "/home/friends"] {
        assert!(!owner.get(path).await.has("[data-namesake]"), "{path}");
    }
    let now = profile::get(&mallory).unwrap().unwrap();
    let name = profile::get(&bob).unwrap().unwrap().name.replace('o', "\u{43e}");
    publish::profile(&mallory, Profile { name, ..now }).await.unwrap();
    carry(&mallory, &alice).await;
    let marks = [&mallory, &bob].map(|node| node.identity.person().unwrap().short());
    for path in ["/home", "/home/friends"] {
        let page = owner.get(path).await;
        let shown: Vec<String> =
            page.all("[data-namesake]").iter().map(|mark| mark.text()).collect();
        assert_eq!(shown.len(), 2, "{path}");
        assert!(marks.iter().all(|mark| shown.contains(mark)), "{path}: {shown:?}");
    }
    let href =
        owner.get("/home").await.all(".who a[href^='/home/timeline/']")[0].attr("href").to_owned();
    assert!(owner.get(&href).await.has(".who [data-namesake]"));
}
