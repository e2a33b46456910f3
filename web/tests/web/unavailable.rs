//! The site while the store can't be written, or not even read.

use axum::http::StatusCode;
use freehold_core::node::Node;
use freehold_core::testing::{PASSWORD, TestNode};

use crate::browser::Browser;

async fn until_ready(node: &Node) {
    while !node.store.health().is_ready() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopped_log_refuses_changes_and_shows_why() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    assert!(!owner.open("/home/write").await.has("#alert"));
    alice.fail_disk().await;
    for path in ["/home/write", "/home/mail", "/home"] {
        let page = owner.open(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.one("#alert").text().is_empty(), "{path}");
    }
    let mut stranger = Browser::stranger(&alice);
    assert_eq!(stranger.get("/").await.status, StatusCode::OK);
    let ready = stranger.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.text().len() > "not ready: \n".len() && ready.text().starts_with("not ready: "));
    let note = [("text", "Nobody may lose this.")];
    for refused in
        [owner.post("/home", &note).await, stranger.post("/login", &[("password", PASSWORD)]).await]
    {
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!refused.header("retry-after").is_empty());
        assert!(!refused.one("main h1").text().is_empty(), "a page explains it");
    }
    alice.disk().heal();
    until_ready(&alice).await;
    assert_eq!(stranger.get("/readyz").await.text(), "ready\n");
    assert!(owner.post("/home", &note).await.status.is_redirection());
    assert!(!owner.get("/home").await.has("#alert"));
}

#[tokio::test]
async fn unreadable_store_is_no_wrong_password() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut stranger = Browser::stranger(&alice);
    alice.fail_rows().await;
    for _ in 0..5 {
        let login = stranger.post("/login", &[("password", PASSWORD)]).await;
        assert_eq!(login.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    for path in ["/home", "/home/mail", "/2026/nothing", "/readyz"] {
        assert_eq!(owner.get(path).await.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    alice.recover_rows();
    assert_eq!(stranger.post("/login", &[("password", PASSWORD)]).await.location(), "/home");
    assert_eq!(owner.get("/home").await.status, StatusCode::OK);
}
