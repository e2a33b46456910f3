//! The page that moves letters in from another account.

use axum::http::StatusCode;
use freehold_core::node::{ImapSecurity, ImportResult};
use freehold_core::testing::TestNode;

use crate::browser::Browser;

const PAGE: &str = "/home/mail/import";

#[tokio::test]
async fn import_is_started_shown_and_stopped() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let fields =
        [("host", "imap.example.com:1993"), ("user", "ann@example.com"), ("password", "sesame!")];
    let shown = owner.post(PAGE, &fields).await.location();
    // Mail takes it.
    let source = alice.mail_import.next().await;
    assert_eq!((source.port, source.security), (1993, ImapSecurity::Tls));
    assert_eq!(source.password.as_str(), "sesame!");
    alice.mail_import.progressed(3, 40);
    let page = owner.get(&shown).await;
    assert!(page.one("#running").text().contains("3 of 40"));
    assert!(!page.has("#host") && !page.text().contains("sesame!"));
    let shown = owner.post("/home/mail/import/stop", &[]).await.location();
    alice.mail_import.stopped().await;
    let folders = [("Lists/<b>".to_owned(), 2)].into();
    alice.mail_import.ended(ImportResult {
        stored: 2,
        folders,
        left_out: vec!["INBOX, UID 3: it is empty".to_owned()],
        fault: Some("the import was stopped".to_owned()),
        ..ImportResult::default()
    });
    let page = owner.get(&shown).await;
    assert!(page.has("#stopped") && !page.has("#import-fault") && !page.has("#running"));
    assert_eq!(page.one("#imported").attr("data-stored"), "2");
    assert!(page.one("#folders").text().contains("Lists/<b>"));
    assert!(page.has("#left-out"));
    assert_eq!(page.field("user"), "ann@example.com");
    assert_eq!(page.field("password"), "");
}

#[tokio::test]
async fn refused_import_opens_at_its_field() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (name, host, user, password) in [
        ("host", "https://imap.example.com", "ann", "x"),
        ("host", "", "ann", "x"),
        ("user", "imap.example.com", " ", "x"),
        ("password", "imap.example.com", "ann", ""),
    ] {
        let fields = [("host", host), ("user", user), ("password", password)];
        let refused = owner.post(PAGE, &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        refused.fault(name);
        assert_eq!(refused.one("[autofocus]").attr("name"), name);
        assert_eq!((refused.field("host"), refused.field("password")), (host.into(), "".into()));
        assert!(alice.mail_import.status().is_none());
    }
}
