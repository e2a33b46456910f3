//! The answer while the owner is away, in the browser.

use axum::http::StatusCode;
use freehold_core::mailbox;
use freehold_core::testing::TestNode;

use crate::browser::Browser;

const PAGE: &str = "/home/mail/away";

#[tokio::test]
async fn answer_is_set_shown_and_switched_off() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let fields = [
        ("text", "Back on <Monday>.\r\nAlice"),
        ("from", "2030-01-02T08:00"),
        ("until", "2030-02-02T08:00"),
        ("known", "1"),
    ];
    owner.post(PAGE, &fields).await.location();
    let away = mailbox::away(&alice).unwrap();
    assert!(away.known_only && away.text == "Back on <Monday>.\nAlice");
    let page = owner.get(PAGE).await;
    assert_eq!(page.one("#from").attr("value"), "2030-01-02T08:00");
    assert!(page.one("[name='known']").has_attr("checked"));
    owner.post(PAGE, &[]).await.location();
    assert_eq!(mailbox::away(&alice).unwrap(), mailbox::Away::default());
}

#[tokio::test]
async fn answer_that_cannot_be_set_is_explained() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let long = "x".repeat(2001);
    for (fields, fault) in [
        (vec![("text", "a"), ("from", "soon")], "#from-fault"),
        (
            vec![("text", "a"), ("from", "2030-01-02T08:00"), ("until", "2030-01-01T08:00")],
            "#until-fault",
        ),
        (vec![("text", "a"), ("until", "2020-01-01T08:00")], "#until-fault"),
        (vec![("text", long.as_str())], "#text-fault"),
    ] {
        let refused = owner.post(PAGE, &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.has(fault), "{fault}");
    }
    // Without a text nobody is answered anyway.
    owner.post(PAGE, &[("until", "2020-01-01T08:00")]).await.location();
}
