//! Junk in the browser: the reasons of a judgement, and the senders that are let in or kept out.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use std::net::{IpAddr, Ipv4Addr};

use axum::http::StatusCode;
use freehold_core::mailbox::{
    Arrival, Disowned, Evidence, IdempotencyKey, Listing, Message, SpecialUse, arrive,
    listed_senders, special_folder,
};
use freehold_core::testing::TestNode;

use crate::browser::Browser;

const PAGE: &str = "/home/mail/senders";

async fn receive(node: &TestNode, is_disowned: bool) -> Message {
    let disowned = Disowned { domain: "shop.example".into(), is_refused: true };
    let evidence = Evidence {
        address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
        authors: vec!["Ann@shop.example".into()],
        is_checked: true,
        proven: None,
        disowned: is_disowned.then_some(disowned),
        passed_on_by: None,
        has_no_reverse_name: true,
        block_lists: Vec::new(),
        added_field: None,
        friend: None,
    };
    let text = "From: Ann <Ann@shop.example>\r\nSubject: offers\r\n\r\nOffers.\r\n";
    let blob = node.blobs.put(text.as_bytes()).unwrap();
    let arrival = Arrival {
        blob,
        id: IdempotencyKey::new(node),
        recipients: Vec::new(),
        sender: String::new(),
        evidence: Some(evidence),
    };
    arrive(node, arrival, Vec::new()).await.unwrap().message
}

fn special(node: &TestNode, special: SpecialUse) -> u32 {
    special_folder(node, special).unwrap().unwrap().id.0
}

fn page_of(message: &Message) -> String {
    format!("/home/mail/{}/{}", message.folder.0, message.uid)
}

#[tokio::test]
async fn reasons_of_a_judgement_are_shown() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let junk = receive(&alice, true).await;
    assert_eq!(junk.folder.0, special(&alice, SpecialUse::Junk));
    let page = owner.get(&page_of(&junk)).await;
    assert_eq!(page.one("#why summary").text().trim(), "Why is it junk?");
    let first = page.all("#why li").into_iter().next().unwrap();
    assert_eq!(first.attr("data-speaks"), "against");
    assert!(first.text().contains("shop.example says"), "{}", first.text());
    let plain = receive(&alice, false).await;
    let page = owner.get(&page_of(&plain)).await;
    assert_eq!(page.one("#why summary").text().trim(), "In or out?");
    assert!(page.one("#why").text().contains("Nothing proves who sent it."));
}

#[tokio::test]
async fn sender_is_kept_out_and_let_in_by_button() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let message = receive(&alice, false).await;
    let place = format!("{}.{}", message.folder.0, message.uid);
    let fields = [("name", "Ann@shop.example"), ("listing", "block"), ("message", &place)];
    let list = owner.post(PAGE, &fields).await.location();
    assert_eq!(list, format!("/home/mail/{}", message.folder.0));
    let junk = special(&alice, SpecialUse::Junk);
    assert!(owner.get(&format!("/home/mail/{junk}/1")).await.has("#why"));
    assert_eq!(receive(&alice, false).await.folder.0, junk);
    let page = owner.get(PAGE).await;
    let row = page.one("#senders li");
    assert_eq!(row.attr("data-listing"), "blocked");
    assert!(row.text().contains("ann@shop.example"));
    // The other word on the same sender takes the letter out of the junk again.
    let place = format!("{junk}.1");
    let fields = [("name", "@shop.example"), ("listing", "allow"), ("message", &place)];
    owner.post(PAGE, &fields).await.location();
    owner.post(&format!("{PAGE}/remove"), &[("name", "ann@shop.example")]).await.location();
    assert_eq!(receive(&alice, false).await.folder.0, special(&alice, SpecialUse::Inbox));
    let listed = listed_senders(&alice).unwrap();
    assert_eq!((listed.len(), listed[0].listing), (1, Listing::Allowed));
}

#[tokio::test]
async fn name_that_is_no_sender_is_explained() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    assert!(owner.get(PAGE).await.has("#no-senders"));
    let refused = owner.post(PAGE, &[("name", "<b>@"), ("listing", "block")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.has("#name-fault"));
    assert_eq!(refused.one("#name").attr("value"), "<b>@");
    let refused = owner.post(PAGE, &[("name", "a@b.example"), ("listing", "x")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let refused = owner.post(&format!("{PAGE}/remove"), &[("name", "nobody")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}
