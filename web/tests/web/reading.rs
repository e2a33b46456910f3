//! Pages of messages that hide something: preheaders, senders, hosts, encoded messages, long
//! headers.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::testing::TestNode;

use crate::browser::{Browser, Seen};
use crate::mailbox::deliver;

async fn page_of(owner: &mut Browser, alice: &TestNode, message: &str) -> Seen {
    let place = deliver(alice, message).await;
    owner.get(&format!("/home/mail/{place}")).await
}

async fn frame_of(owner: &mut Browser, page: &Seen) -> String {
    owner.get(page.one("iframe").attr("src")).await.one("body").text().trim().to_owned()
}

#[tokio::test]
async fn hidden_preheader_is_neither_previewed_nor_shown() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let message = "From: a@x.example\r\nSubject: s\r\nContent-Type: text/html\r\n\r\n<html><head><style>\
        .pre{display:none!important}</style></head><body><div class=\"pre\">SECRET</div><p>WORDS</p>\
        <noscript>PLAIN</noscript></body></html>";
    let page = page_of(&mut owner, &alice, message).await;
    assert_eq!(frame_of(&mut owner, &page).await, "WORDSPLAIN");
    let list = owner.get("/home/mail").await.text();
    assert!(list.contains("WORDS") && !list.contains("SECRET"), "{list}");
}

#[tokio::test]
async fn address_inside_an_encoded_word_is_not_answered() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let message =
        "From: =?utf-8?B?Ik5hbWUiIDxhQGIuZXhhbXBsZT4=?=\r\nTo: alice@alice.example\r\n\r\nx";
    let place = deliver(&alice, message).await;
    let page = owner.get(&format!("/home/mail/{place}")).await;
    assert!(page.one("article .from b").text().contains("Name <a@b.example>"));
    assert!(page.has("[data-notice='address-in-name']"));
    let form = owner.get(&format!("/home/mail/write?reply={}", place.replace('/', "."))).await;
    assert_eq!(form.field("to"), "");
}

#[tokio::test]
async fn encoded_message_is_shown_in_place() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let inner = "Subject: INNER\r\nContent-Type: multipart/mixed; boundary=3Dii\r\n\r\n--ii\r\n\
        Content-Type: text/html\r\n\r\n<p>INSIDE</p>\r\n--ii\r\nContent-Type: application/pdf; name=3Da.pdf\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nJVBERg=3D=3D\r\n--ii--\r\n";
    let message = format!(
        "From: a@x.example\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nBEFORE\r\n--bb\r\n\
         Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{inner}\r\n--bb\r\n\r\nAFTER\r\n--bb--\r\n"
    );
    let page = page_of(&mut owner, &alice, &message).await;
    let blocks: Vec<bool> =
        page.all("article [data-block]").iter().map(|block| block.has_attr("src")).collect();
    assert_eq!(blocks, [false, true, false]);
    assert!(page.one("article .inner").text().contains("INNER"));
    assert_eq!(frame_of(&mut owner, &page).await, "INSIDE");
    let file = owner.get(page.one("article .rows a").attr("href")).await;
    assert_eq!(file.bytes, b"%PDF");
    assert_eq!(file.header("content-disposition"), "attachment; filename*=UTF-8''a.pdf");
    let saved = owner.get(page.one("article .inner .small a").attr("href")).await;
    assert!(saved.text().starts_with("Subject: INNER"));
    let missing = page.one("iframe").attr("src").replace("/html/2.", "/html/1.");
    assert_eq!(owner.get(&missing).await.status, 404);
}

#[tokio::test]
async fn encoded_messages_inside_each_other_are_bounded() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let head = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let mut message = "Subject: deepest\r\n\r\nx".to_owned();
    for _ in 0..6 {
        message = format!("{head}{}", data_encoding::BASE64.encode(message.as_bytes()));
    }
    let page = page_of(&mut owner, &alice, &message).await;
    assert_eq!((page.all("article .inner").len(), page.all("article .rows a").len()), (2, 1));
    let file = owner.get(page.one("article .rows a").attr("href")).await;
    assert!(file.text().starts_with("Content-Type: message/rfc822"));
}

#[tokio::test]
async fn message_with_a_long_header_is_readable() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for long in ["X-Long: y\r\n".repeat(100_000), format!("X: {}\r\n", "y".repeat(600_000))] {
        let message = format!("From: a@x.example\r\nSubject: EARLY\r\n{long}\r\nWORDS");
        let page = page_of(&mut owner, &alice, &message).await;
        assert_eq!(page.one("article h1").text(), "EARLY");
        assert_eq!(page.one("article .message").text(), "WORDS");
        let link = page.one("[data-notice='long-header'] a").attr("href").to_owned();
        assert_eq!(owner.get(&link).await.bytes, message.as_bytes());
        assert!(owner.get("/home/mail").await.text().contains("EARLY"));
    }
}

#[tokio::test]
async fn deceptive_hosts_are_shown_as_they_are() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let message = "From: a@p\u{430}ypal.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
        <a href=\"https://evil.example/x\">https://bank.example</a>";
    let page = page_of(&mut owner, &alice, message).await;
    assert_eq!(page.one("article .from b").text(), "a@xn--pypal-4ve.example");
    assert_eq!(frame_of(&mut owner, &page).await, "https://bank.example [evil.example]");
}

#[tokio::test]
async fn reply_keeps_the_lines_of_html() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let message = "From: a@x.example\r\nContent-Type: text/html\r\n\r\n<p>Look:</p><pre>if a {\n    b\n}</pre>\
        <ul><li>one</li><li>two</li></ul><table><tr><td>c</td><td>d</td></tr></table>";
    let place = deliver(&alice, message).await;
    let form = owner.get(&format!("/home/mail/write?reply={}", place.replace('/', "."))).await;
    let quoted = "> Look:\n> \n> if a {\n>     b\n> }\n> \n> - one\n> - two\n> \n> c  d\n";
    assert!(form.field("text").replace('\r', "").ends_with(quoted), "{}", form.field("text"));
}
