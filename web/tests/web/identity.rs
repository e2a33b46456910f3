//! Who lives here, for machines.

use axum::http::StatusCode;
use freehold_core::identity::IdentityLog;
use freehold_core::testing::TestNode;

use crate::browser::Browser;

#[tokio::test]
async fn the_identity_log_is_had_by_anyone_and_verifies_itself() {
    let alice = TestNode::new("alice").await;
    let mut stranger = Browser::stranger(&alice);
    let seen = stranger.get("/.well-known/freehold").await;
    assert_eq!((seen.status, seen.header("content-type")), (StatusCode::OK, "application/cbor"));
    let log = IdentityLog::from_file(&seen.bytes).unwrap();
    assert_eq!(Some(log.person()), alice.identity.person());
    let nobody = TestNode::without_owner("nobody").await;
    assert_eq!(
        Browser::stranger(&nobody).get("/.well-known/freehold").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_name_leads_to_the_log() {
    let alice = TestNode::new("alice").await;
    let mut stranger = Browser::stranger(&alice);
    let seen = stranger.get("/.well-known/webfinger?resource=acct%3AAlice%40alice.example").await;
    assert_eq!(seen.header("content-type"), "application/jrd+json");
    let found: serde_json::Value = serde_json::from_str(&seen.text()).unwrap();
    assert_eq!(found["subject"], "acct:alice@alice.example");
    let href = found["links"][0]["href"].as_str().unwrap();
    let path = href.splitn(4, '/').nth(3).unwrap();
    assert_eq!(stranger.get(&format!("/{path}")).await.status, StatusCode::OK, "{href}");
    for (asked, status) in [
        ("", 400),
        ("?resource=", 400),
        ("?resource=acct:bob@alice.example", 404),
        ("?resource=%22", 404),
    ] {
        assert_eq!(
            stranger.get(&format!("/.well-known/webfinger{asked}")).await.status.as_u16(),
            status,
            "{asked}"
        );
    }
}
