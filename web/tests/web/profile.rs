//! The profile, its settings, and the password.

use std::collections::HashSet;

use axum::http::StatusCode;
use freehold_core::identity::op::OpBody;
use freehold_core::identity::transfer::{self, Signed};
use freehold_core::identity_log;
use freehold_core::profile;
use freehold_core::testing::{PASSWORD, TestNode, mnemonic_of};

use crate::browser::Browser;

#[tokio::test]
async fn profile_change_is_public_at_once() {
    let alice = TestNode::new("alice").await;
    let (mut owner, mut visitor) = (Browser::owner(&alice).await, Browser::stranger(&alice));
    let before = visitor.get("/about").await;
    assert!(before.one("main h1").text().contains("Alice"), "{}", before.text());
    let fields = [
        ("name", "Alice Ant"),
        ("strapline", "Notes from <b>here</b>"),
        ("about", "I mend boats.\r\nAnd nets."),
        ("paint", "3"),
    ];
    let saved = owner.post("/home/settings", &fields).await;
    assert_eq!(saved.location(), "/home/settings");
    assert!(owner.open(saved.header("location")).await.has("#done[role='status']"));
    let after = visitor.get("/about").await;
    assert!(after.one("main h1").text().contains("Alice Ant"));
    assert_eq!(after.one("main .read").text(), "I mend boats. And nets.");
    assert!(after.has("main .read p br"), "a line end is one on the page");
    assert_eq!(after.one("main .strap").text(), "Notes from <b>here</b>");
    assert_ne!(before.header("etag"), after.header("etag"));
    assert!(visitor.get("/icon.svg").await.text().contains("#6d5a1e"));
}

#[tokio::test]
async fn public_page_has_etag_and_gzip() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    let first = visitor.get("/about").await;
    for _ in 0..2 {
        let request = visitor
            .request("GET", "/about")
            .header("if-none-match", first.header("etag"))
            .body(Default::default())
            .unwrap();
        let again = visitor.send(request).await;
        assert_eq!((again.status, again.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    }
    let request = visitor
        .request("GET", "/about")
        .header("accept-encoding", "gzip")
        .body(Default::default())
        .unwrap();
    let small = visitor.send(request).await;
    assert_eq!(small.header("content-encoding"), "gzip");
    assert!(small.bytes.len() < first.bytes.len());
}

#[tokio::test]
async fn refused_settings_change_nothing() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    owner.post("/home/settings", &[("name", " "), ("paint", "0")]).await.fault("name");
    let no_colour = owner.post("/home/settings", &[("name", "Alice"), ("paint", "200")]).await;
    assert_eq!(no_colour.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!no_colour.one("#paint-fault").text().is_empty());
    assert_eq!(profile::get(&alice).unwrap().unwrap().name, "Alice");
}

#[tokio::test]
async fn password_change_needs_the_old_one_and_ends_sessions() {
    let alice = TestNode::new("alice").await;
    let (mut here, mut there) = (Browser::owner(&alice).await, Browser::owner(&alice).await);
    let change = |current, new, again| [("current", current), ("new", new), ("again", again)];
    let bad = [
        (change("not mine at all", "a new long one", "a new long one"), "current"),
        (change(PASSWORD, "a new long one", "another"), "new"),
        (change(PASSWORD, "short", "short"), "new"),
    ];
    let mut faults = HashSet::new();
    for (fields, wrong) in bad {
        faults.insert(here.post("/home/settings/password", &fields).await.fault(wrong));
    }
    assert_eq!(faults.len(), 3, "each cause has its own text: {faults:?}");
    let done = here
        .post("/home/settings/password", &change(PASSWORD, "a new long one", "a new long one"))
        .await;
    assert_eq!(done.location(), "/home/settings");
    let page = here.get(done.header("location")).await;
    assert!(page.one("#done[role='status']").text().contains("password"));
    assert_eq!(there.get("/home/settings").await.location(), "/login?next=/home/settings");
}

#[tokio::test]
async fn disputed_identity_is_shown_in_the_settings() {
    let (alice, elsewhere) = (TestNode::new("alice").await, TestNode::new("alice").await);
    for (node, domain) in [(&alice, "one.example"), (&elsewhere, "two.example")] {
        let request = identity_log::request(
            &node.identity.log().unwrap(),
            OpBody::SetDomain(Some(domain.into())),
        )
        .unwrap();
        let Signed::Request(signed) = transfer::sign(&request, &mnemonic_of("alice")).unwrap()
        else {
            panic!("nothing was added")
        };
        identity_log::upload(node, &signed).await.unwrap();
    }
    let mut owner = Browser::owner(&alice).await;
    assert!(!owner.get("/home/settings").await.has("#disputed"));
    identity_log::learn(&alice, elsewhere.identity.log().unwrap().to_bytes()).await.unwrap();
    assert!(owner.get("/home/settings").await.has("#disputed"));
}
