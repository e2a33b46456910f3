//! Who lives here, and changing it.

use axum::http::StatusCode;
use freehold_core::identity::op::OpBody;
use freehold_core::identity::transfer::{self, Signed};
use freehold_core::identity_log;
use freehold_core::profile;
use freehold_core::testing::{PASSWORD, TestNode, mnemonic_of};

use crate::browser::Browser;

#[tokio::test]
async fn a_change_in_the_settings_is_on_the_public_pages_at_once() {
    let alice = TestNode::new("alice").await;
    let (mut owner, mut visitor) = (Browser::owner(&alice).await, Browser::stranger(&alice));
    let before = visitor.get("/about").await;
    assert!(before.text().contains("About Alice"), "{}", before.text());
    let fields = [
        ("name", "Alice Ant"),
        ("strapline", "Notes from <b>here</b>"),
        ("about", "I mend boats."),
        ("paint", "3"),
    ];
    assert!(owner.post("/home/settings", &fields).await.text().contains("Saved."));
    let after = visitor.get("/about").await;
    assert!(after.text().contains("About Alice Ant") && after.text().contains("I mend boats."));
    assert!(!after.text().contains("<b>here"));
    assert_ne!(before.header("etag"), after.header("etag"));
    assert!(visitor.get("/icon.svg").await.text().contains("#6d5a1e"));
}

#[tokio::test]
async fn a_public_page_is_asked_after_by_its_tag_and_comes_compressed() {
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
async fn settings_that_can_not_be_taken_change_nothing() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for fields in [[("name", " "), ("paint", "0")], [("name", "Alice"), ("paint", "200")]] {
        assert_eq!(
            owner.post("/home/settings", &fields).await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    assert_eq!(profile::get(&alice).unwrap().unwrap().name, "Alice");
}

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_logs_out_the_others() {
    let alice = TestNode::new("alice").await;
    let (mut here, mut there) = (Browser::owner(&alice).await, Browser::owner(&alice).await);
    let change = |current, new, again| [("current", current), ("new", new), ("again", again)];
    let bad = [
        change("not mine at all", "a new long one", "a new long one"),
        change(PASSWORD, "a new long one", "another"),
        change(PASSWORD, "short", "short"),
    ];
    for fields in bad {
        assert_eq!(
            here.post("/home/settings/password", &fields).await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    let done = here
        .post("/home/settings/password", &change(PASSWORD, "a new long one", "a new long one"))
        .await;
    assert_eq!(done.location(), "/home/settings");
    assert_eq!(here.get("/home/settings").await.status, StatusCode::OK);
    assert_eq!(there.get("/home/settings").await.location(), "/login?next=/home/settings");
}

#[tokio::test]
async fn the_owner_is_told_that_who_they_are_is_disputed() {
    let (alice, elsewhere) = (TestNode::new("alice").await, TestNode::new("alice").await);
    for (node, domain) in [(&alice, "one.example"), (&elsewhere, "two.example")] {
        let asked = identity_log::request(
            &node.identity.log().unwrap(),
            OpBody::SetDomain(Some(domain.into())),
        )
        .unwrap();
        let Signed::Request(signed) = transfer::sign(&asked, &mnemonic_of("alice")).unwrap() else {
            panic!("nothing was added")
        };
        identity_log::upload(node, &signed).await.unwrap();
    }
    let mut owner = Browser::owner(&alice).await;
    assert!(!owner.get("/home/settings").await.text().contains("disputed"));
    identity_log::learn(&alice, elsewhere.identity.log().unwrap().to_bytes()).await.unwrap();
    assert!(owner.get("/home/settings").await.text().contains("Identity disputed"));
}
