//! The owner's OpenPGP key: the page that takes it, and the addresses at which others find it.

use axum::http::StatusCode;
use data_encoding::BASE64;
use freehold_core::testing::TestNode;

use crate::browser::Browser;

const PAGE: &str = "/home/settings/openpgp";
/// The hash of `alice`.
const HASH: &str = "kei1q4tipxxu1yj79k9kfukdhfy631xe";

/// A key of two packets, in armour.
fn armoured(kind: u8, block: &str) -> String {
    let id = b"Alice <alice@alice.example>";
    let key = [&[0xc0 | kind, 2, 4, 1, 0xcd, id.len() as u8][..], id].concat();
    let data = BASE64.encode(&key);
    format!(
        "-----BEGIN PGP {block} KEY BLOCK-----\r\n\r\n{data}\r\n-----END PGP {block} KEY BLOCK-----"
    )
}

#[tokio::test]
async fn key_is_found_by_the_address() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut stranger = Browser::stranger(&alice);
    let direct = format!("/.well-known/openpgpkey/hu/{HASH}");
    assert_eq!(stranger.get(&direct).await.status, StatusCode::NOT_FOUND);
    let shown = owner.post(PAGE, &[("key", &armoured(6, "PUBLIC"))]).await.location();
    assert!(owner.get(&shown).await.has("#has-key"));
    let seen = stranger.get(&format!("{direct}?l=alice")).await;
    assert_eq!((seen.status, seen.bytes[0]), (StatusCode::OK, 0xc6));
    assert_eq!(seen.header("content-type"), "application/octet-stream");
    assert_eq!(seen.header("access-control-allow-origin"), "*");
    assert_eq!(stranger.get("/.well-known/openpgpkey/policy").await.status, StatusCode::OK);
    for path in ["/.well-known/openpgpkey/hu/x", "/.well-known/openpgpkey/evil.example/policy"] {
        assert_eq!(stranger.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let mut advanced = stranger.at("openpgpkey.alice.example");
    let path = format!("/.well-known/openpgpkey/alice.example/hu/{HASH}");
    assert_eq!(advanced.get(&path).await.bytes, seen.bytes);
    let policy = "/.well-known/openpgpkey/alice.example/policy";
    assert_eq!(advanced.get(policy).await.status, StatusCode::OK);
    assert_eq!(advanced.get("/").await.status, StatusCode::MISDIRECTED_REQUEST);
    let removed = owner.post("/home/settings/openpgp/remove", &[]).await.location();
    assert!(!owner.get(&removed).await.has("#has-key"));
    assert_eq!(advanced.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn secret_key_is_refused_and_not_shown() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for key in [armoured(5, "PUBLIC"), armoured(6, "PRIVATE")] {
        let refused = owner.post(PAGE, &[("key", &key)]).await;
        refused.fault("key");
        assert_eq!(refused.field("key"), "");
    }
    let refused = owner.post(PAGE, &[("key", "no key")]).await;
    refused.fault("key");
    assert_eq!(refused.field("key").trim(), "no key");
}
