//! The page of the smarthost.

use axum::http::StatusCode;
use freehold_core::events::Event;
use freehold_core::smarthost;
use freehold_core::testing::TestNode;

use crate::browser::Browser;

const PAGE: &str = "/home/settings/smarthost";

/// Records an outcome for the next smarthost, as mail does.
fn record_next(node: &TestNode, fault: Option<&str>) {
    let (node, fault) = (freehold_core::node::Node::clone(node), fault.map(str::to_owned));
    let mut changes = node.events.subscribe();
    tokio::spawn(async move {
        while changes.recv().await != Ok(Event::Smarthost) {}
        let set = smarthost::get(&node).unwrap().unwrap();
        smarthost::record_try(&node, set, fault).await.unwrap();
    });
}

#[tokio::test]
async fn smarthost_is_set_tried_and_removed() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let fields =
        [("server", "smtp.example.com:587"), ("user", "ann"), ("password", "<open sesame>")];
    record_next(&alice, Some("451 4.7.8 refused: 535 <b>who</b>"));
    let shown = owner.post(PAGE, &fields).await.location();
    let page = owner.get(&shown).await;
    assert!(page.one("#carrier-fault").text().contains("535 <b>who</b>"));
    assert!(page.has("[role='status']") && !page.has("#carrier-works"));
    assert_eq!((page.field("server"), page.field("user")), (fields[0].1.into(), "ann".into()));
    assert_eq!(page.field("password"), "", "a stored password is not shown");
    // An empty field keeps the password.
    record_next(&alice, None);
    let again = [fields[0], fields[1], ("password", "")];
    let shown = owner.post(PAGE, &again).await.location();
    assert!(owner.get(&shown).await.has("#carrier-works"));
    assert_eq!(smarthost::get(&alice).unwrap().unwrap().password, "<open sesame>");
    assert!(owner.get("/home/mail/write").await.text().contains("smtp.example.com"));
    let removed = owner.post("/home/settings/smarthost/remove", &[]).await.location();
    let page = owner.get(&removed).await;
    assert!(!page.text().contains("smtp.example.com:587") && page.field("server").is_empty());
}

#[tokio::test]
async fn refused_smarthost_opens_at_its_field() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let long = "x".repeat(256);
    for (name, server, user, password) in [
        ("server", "https://smtp.example.com", "ann", "x"),
        ("server", "", "ann", "x"),
        ("user", "smtp.example.com", " ", "x"),
        ("user", "smtp.example.com", long.as_str(), "x"),
        ("password", "smtp.example.com", "ann", ""),
        ("password", "smtp.example.com", "ann", long.as_str()),
    ] {
        let fields = [("server", server), ("user", user), ("password", password)];
        let refused = owner.post(PAGE, &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        refused.fault(name);
        assert_eq!(refused.one("[autofocus]").attr("name"), name);
        for (field, typed) in fields {
            assert_eq!(refused.field(field), typed, "{name}");
        }
        assert_eq!(smarthost::get(&alice).unwrap(), None);
    }
}

#[tokio::test]
async fn password_is_kept_for_no_other_login() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    record_next(&alice, None);
    let fields = [("server", "smtp.example.com"), ("user", "ann"), ("password", "open sesame")];
    owner.post(PAGE, &fields).await.location();
    for (server, user) in [("smtp.example.com", "mallory"), ("smtp.mallory.example", "ann")] {
        let other = [("server", server), ("user", user), ("password", "")];
        owner.post(PAGE, &other).await.fault("password");
    }
}

#[tokio::test]
async fn friends_house_is_chosen_as_the_carrier() {
    let (alice, bob) = (TestNode::at("alice", "alice.house").await, TestNode::new("bob").await);
    alice.make_friends(&bob).await;
    let person = bob.identity.person().unwrap();
    let mut owner = Browser::owner(&alice).await;
    let page = owner.get(PAGE).await;
    assert!(page.has("#friend") && page.has("#direct") && !page.has("#carried-by"));
    let chosen = [("friend", person.to_string())];
    let chosen: Vec<(&str, &str)> = chosen.iter().map(|(name, id)| (*name, id.as_str())).collect();
    let shown = owner.post("/home/settings/smarthost/friend", &chosen).await.location();
    assert_eq!(smarthost::friend(&alice).unwrap(), Some(person));
    assert!(owner.get(&shown).await.one("#carried-by").text().contains("Bob"));
    assert!(owner.get("/home/mail/write").await.one("#by-friend").text().contains("Bob"));
    for nobody in ["", "x", &"a".repeat(52)] {
        let refused = owner.post("/home/settings/smarthost/friend", &[("friend", nobody)]).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{nobody}");
    }
    owner.post("/home/settings/smarthost/remove", &[]).await;
    assert_eq!(smarthost::friend(&alice).unwrap(), None);
}
