//! The owner's rules for new messages in the browser.

use axum::http::StatusCode;
use freehold_core::mailbox::{self, SpecialUse, special_folder};
use freehold_core::testing::TestNode;

use crate::browser::Browser;

const PAGE: &str = "/home/mail/rules";

#[tokio::test]
async fn rule_is_made_shown_in_words_and_removed() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let archive = special_folder(&alice, SpecialUse::Archive).unwrap().unwrap().id.0.to_string();
    let fields = [
        ("from", " <shop>.example "),
        ("larger", "500"),
        ("file", "1"),
        ("folder", &archive),
        ("seen", "1"),
    ];
    owner.post(PAGE, &fields).await.location();
    let page = owner.get(PAGE).await;
    let words = page.one("#rules li").text();
    for part in ["from “<shop>.example”", "larger than 500 KiB", "with a file", "go to Kept"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let rule = mailbox::rules(&alice).unwrap().remove(0).1;
    assert!(rule.is_seen && !rule.is_flagged && rule.from == "<shop>.example");
    let id = page.one("[data-rule]").attr("data-rule").to_owned();
    owner.post(&format!("{PAGE}/{id}/remove"), &[]).await.location();
    assert!(!owner.get(PAGE).await.has("#rules"));
}

#[tokio::test]
async fn rule_that_says_nothing_is_explained() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for (fields, fault) in [
        (vec![("seen", "1")], "#from-fault"),
        (vec![("from", "a")], "#folder-fault"),
        (vec![("from", "a"), ("folder", "999")], "#folder-fault"),
        (vec![("larger", "many"), ("seen", "1")], "#larger-fault"),
    ] {
        let refused = owner.post(PAGE, &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.has(fault), "{fields:?}");
    }
    assert!(mailbox::rules(&alice).unwrap().is_empty());
}
