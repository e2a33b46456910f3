//! The identity log and WebFinger.

use axum::http::StatusCode;
use freehold_core::identity::IdentityLog;
use freehold_core::identity::op::OpBody;
use freehold_core::identity::transfer::{self, Signed};
use freehold_core::identity_log;
use freehold_core::testing::{TestNode, mnemonic_of};

use crate::browser::Browser;

#[tokio::test]
async fn identity_log_is_public_and_verifiable() {
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
async fn webfinger_leads_to_the_identity_log() {
    let alice = TestNode::new("alice").await;
    let mut stranger = Browser::stranger(&alice);
    let seen = stranger.get("/.well-known/webfinger?resource=acct%3AAlice%40alice.example").await;
    assert_eq!(seen.header("content-type"), "application/jrd+json");
    let descriptor: serde_json::Value = serde_json::from_str(&seen.text()).unwrap();
    assert_eq!(descriptor["subject"], "acct:alice@alice.example");
    let href = descriptor["links"][0]["href"].as_str().unwrap();
    let path = href.splitn(4, '/').nth(3).unwrap();
    assert_eq!(stranger.get(&format!("/{path}")).await.status, StatusCode::OK, "{href}");
    for (query, status) in [
        ("", 400),
        ("?resource=", 400),
        ("?resource=acct:bob@alice.example", 404),
        ("?resource=%22", 404),
    ] {
        assert_eq!(
            stranger.get(&format!("/.well-known/webfinger{query}")).await.status.as_u16(),
            status,
            "{query}"
        );
    }
}

#[tokio::test]
async fn webfinger_rel_selects_links() {
    let alice = TestNode::new("alice").await;
    let mut stranger = Browser::stranger(&alice);
    const PROFILE: &str = "http://webfinger.net/rel/profile-page";
    for (query, rels) in [
        ("", &["self", PROFILE][..]),
        ("&rel=self", &["self"]),
        ("&rel=http%3A%2F%2Fwebfinger.net%2Frel%2Fprofile-page", &[PROFILE]),
        ("&rel=self&rel=http://webfinger.net/rel/profile-page", &["self", PROFILE]),
        ("&rel=avatar", &[]),
    ] {
        let path = "/.well-known/webfinger?resource=acct:alice@alice.example";
        let seen = stranger.get(&format!("{path}{query}")).await;
        let descriptor: serde_json::Value = serde_json::from_str(&seen.text()).unwrap();
        let links = descriptor["links"].as_array().unwrap();
        let found: Vec<_> = links.iter().map(|link| link["rel"].as_str().unwrap()).collect();
        assert_eq!(found, rels, "{query}");
        assert_eq!(descriptor["subject"], "acct:alice@alice.example");
    }
}

#[tokio::test]
async fn webfinger_answers_for_the_vouching_domain() {
    let alice = TestNode::new("alice").await;
    let log = alice.identity.log().unwrap();
    let body = OpBody::SetDomain(Some("ruth.example".to_owned()));
    let request = identity_log::request(&log, body).unwrap();
    let Signed::Request(signed) = transfer::sign(&request, &mnemonic_of("alice")).unwrap() else {
        panic!("a request is signed as one")
    };
    identity_log::upload(&alice, &signed).await.unwrap();
    let mut stranger = Browser::stranger(&alice);
    for domain in ["ruth.example", "alice.example"] {
        let name = format!("acct:alice@{domain}");
        let seen = stranger.get(&format!("/.well-known/webfinger?resource={name}")).await;
        let descriptor: serde_json::Value = serde_json::from_str(&seen.text()).unwrap();
        assert_eq!(descriptor["subject"], name);
    }
}
