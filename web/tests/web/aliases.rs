//! The owner's further addresses in the browser.

use axum::http::StatusCode;
use freehold_core::aliases;
use freehold_core::testing::TestNode;

use crate::browser::Browser;
use crate::mailbox::deliver;

const PAGE: &str = "/home/settings/addresses";

#[tokio::test]
async fn addresses_are_made_closed_and_removed() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    assert!(!owner.get(PAGE).await.has("#aliases"));
    owner.post(PAGE, &[("name", "Shop"), ("label", "the <shop>")]).await.location();
    owner.post(PAGE, &[("name", ""), ("label", "a list")]).await.location();
    let page = owner.get(PAGE).await;
    assert_eq!(page.all("#aliases li[data-on='true']").len(), 2);
    let shop = page.one("[data-alias='shop']").text();
    assert!(shop.contains("shop@alice.example") && shop.contains("Nobody wrote"), "{shop}");
    owner.post(&format!("{PAGE}/shop/off"), &[]).await.location();
    assert_eq!(owner.get(PAGE).await.one("[data-alias='shop']").attr("data-on"), "false");
    assert!(!aliases::accepts(&alice, "shop@alice.example").unwrap());
    owner.post(&format!("{PAGE}/shop/remove"), &[]).await.location();
    assert!(!owner.get(PAGE).await.has("[data-alias='shop']"));
    for wrong in ["shop/remove", "shop/on", "x/other"] {
        assert_eq!(owner.post(&format!("{PAGE}/{wrong}"), &[]).await.status.as_u16(), 404);
    }
    owner.post(&format!("{PAGE}/catch-all"), &[("all", "1")]).await.location();
    assert!(owner.get(PAGE).await.one("[name='all']").has_attr("checked"));
    owner.post(&format!("{PAGE}/catch-all"), &[]).await.location();
    assert!(!aliases::is_catch_all(&alice).unwrap());
}

#[tokio::test]
async fn address_that_cannot_be_made_is_explained() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for name in ["a b", "alice", "<b>"] {
        let refused = owner.post(PAGE, &[("name", name)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.has("#name-fault"));
        assert_eq!(refused.one("#name").attr("value"), name);
    }
}

#[tokio::test]
async fn letter_to_an_alias_is_answered_as_the_alias() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    aliases::add(&alice, "shop", "").await.unwrap();
    let letter =
        "From: bob@b.example\r\nTo: Shop <SHOP@alice.example>\r\nSubject: s\r\n\r\nHi.\r\n";
    let place = deliver(&alice, letter.as_bytes()).await.replace('/', ".");
    let form = owner.get(&format!("/home/mail/write?reply={place}")).await;
    assert_eq!(form.one("#from option[selected]").text(), "shop@alice.example");
    let fields = [
        ("to", "bob@b.example"),
        ("from", "shop@alice.example"),
        ("subject", "Re: s"),
        ("text", "Hello."),
    ];
    owner.post("/home/mail/write", &fields).await.location();
    let queued = freehold_core::mailbox::queue::queued(&alice, 1).unwrap().remove(0);
    assert_eq!(queued.from, "shop@alice.example");
    let foreign = [("to", "bob@b.example"), ("from", "eve@b.example"), ("text", "Hello.")];
    let refused = owner.post("/home/mail/write", &foreign).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.fault("from");
}
