//! The keys of the mailbox are turned off and on (WCAG 2.1.4).

use axum::http::StatusCode;
use freehold_core::testing::TestNode;

use crate::browser::Browser;
use crate::mailbox::deliver;

const PAGE: &str = "/home/mail/keys";

#[tokio::test]
async fn single_keys_are_turned_off_and_on() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let letter = format!("/home/mail/{}", deliver(&alice, "Subject: s\r\n\r\nx").await);
    let pages = ["/home/mail", "/home/mail/search?q=s", &letter];
    for (set, other) in [("on", "off"), ("off", "on"), ("on", "off")] {
        if owner.get(PAGE).await.one("#keys-switch").attr("data-keys") != set {
            let saved = owner.post(PAGE, &[("keys", set)]).await;
            assert!(owner.get(saved.header("location")).await.has("#done[role='status']"));
        }
        let page = owner.get(PAGE).await;
        assert_eq!(page.one("#keys-switch").attr("data-keys"), set);
        assert_eq!(page.one("#keys-switch button").attr("value"), other);
        for page in pages {
            let seen = owner.get(page).await;
            assert_eq!(seen.has("main[data-keys=off]"), set == "off", "{page}");
        }
    }
    for bad in ["", "1", "ON"] {
        let refused = owner.post(PAGE, &[("keys", bad)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}
