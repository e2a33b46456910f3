//! The page of refused mail.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use std::net::IpAddr;

use axum::http::StatusCode;
use freehold_core::mailbox::{Refusal, messages, record_refusal, special_folder};
use freehold_core::mailbox::{SpecialUse, refusals};
use freehold_core::testing::TestNode;

use crate::browser::Browser;

const PAGE: &str = "/home/mail/refused";

async fn refuse(node: &TestNode, network: u8, text: Option<&str>) {
    let refusal = Refusal {
        address: IpAddr::from([203, 0, network, 9]),
        sender: "<b>ann</b>@shop.example".into(),
        recipients: vec!["sales@alice.example".into()],
        reply: "550 5.7.1 the recipient does not take this message\r\n".into(),
        text: text.map(|text| node.blobs.put(text.as_bytes()).unwrap()),
    };
    assert!(record_refusal(node, refusal).await.unwrap().is_listed);
    node.clock.advance(1);
}

#[tokio::test]
async fn refused_message_is_fetched_into_the_inbox() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    assert!(owner.get(PAGE).await.has("#no-refusals"));
    refuse(&alice, 1, None).await;
    refuse(&alice, 1, Some("From: ann@shop.example\r\nSubject: Offers\r\n\r\nBuy.\r\n")).await;
    let page = owner.get(PAGE).await;
    assert_eq!(page.all("#refusals li").len(), 2);
    assert!(page.one("#refusals [data-text=true] b").text().contains("<b>ann</b>"));
    let head = page.one("#refusals [data-head]").text();
    assert!(head.contains("ann@shop.example") && head.contains("Offers"), "{head}");
    let id = page.one("#refusals [name=id]").attr("value").to_owned();
    let fetched = owner.post("/home/mail/refused/fetch", &[("id", &id)]).await.location();
    assert!(owner.get(&fetched).await.one("h1").text().contains("Offers"));
    assert_eq!(owner.get(PAGE).await.all("#refusals li").len(), 1, "it has left the list");
    let again = owner.post("/home/mail/refused/fetch", &[("id", &id)]).await.location();
    assert_eq!(again, fetched, "a second press finds the letter of the first");
    let inbox = special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap().id;
    assert_eq!(messages(&alice, inbox, 0, u32::MAX, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn hostile_head_of_a_refusal_is_shown_as_text() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let long = format!("Subject: {}\r\n\r\n", "x".repeat(100_000));
    for text in ["", "\r\n", "From: <b>\r\nSubject: <i>\r\n\r\n", &long, "\0\0"] {
        refuse(&alice, 1, Some(text)).await;
    }
    let page = owner.get(PAGE).await;
    assert_eq!(page.all("#refusals [data-head]").len(), 5);
    assert!(!page.has("#refusals i") && page.text().len() < 100_000);
}

#[tokio::test]
async fn unknown_refusal_is_not_found() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    refuse(&alice, 1, None).await;
    let without_text = data_encoding::HEXLOWER.encode(&refusals(&alice, None, 1).unwrap()[0].id.0);
    for id in ["", "00", "zz", "../..", &"0".repeat(32), &without_text] {
        let refused = owner.post("/home/mail/refused/fetch", &[("id", id)]).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{id}");
    }
    assert_eq!(owner.get("/home/mail/refused?before=zz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn refusals_are_shown_in_pages() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for network in 0..3 {
        for _ in 0..20 {
            refuse(&alice, network, None).await;
        }
    }
    let page = owner.get(PAGE).await;
    assert_eq!(page.all("#refusals li").len(), 50);
    let earlier = page.one("a[rel=next]").attr("href").to_owned();
    let page = owner.get(&earlier).await;
    assert_eq!(page.all("#refusals li").len(), 10);
    assert!(!page.has("a[rel=next]"));
}
