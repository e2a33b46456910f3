//! The list of what other servers were refused.

use freehold_core::mailbox::{Rule, SpecialUse, add_rule, fetch_back, refusals};
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;

use crate::server::{Client, TestServer, texts};

async fn open() -> (TestServer, Client) {
    let config = MailConfig { message_len_max: 100_000, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let mut client = Client::connect(alice.addresses.smtp).await;
    client.command("EHLO mail.shop.example").await;
    (alice, client)
}

#[tokio::test]
async fn refused_recipients_and_messages_are_listed() {
    let (alice, mut client) = open().await;
    client.command("MAIL FROM:<ads@shop.example> SIZE=100001").await;
    alice.node.clock.advance(1);
    client.command("MAIL FROM:<ads@shop.example>").await;
    assert!(client.command("RCPT TO:<sales@alice.example>").await.starts_with("550 5.1.1"));
    alice.node.clock.advance(1);
    assert!(client.command("RCPT TO:<bob@bob.example>").await.starts_with("550 5.7.1"));
    assert!(client.command("RCPT TO:<alice@alice.example>").await.starts_with("250"));
    client.command("DATA").await;
    let text = "x".repeat(60).repeat(2_000).as_bytes().chunks(60).fold(Vec::new(), |mut all, l| {
        all.extend_from_slice(l);
        all.extend_from_slice(b"\r\n");
        all
    });
    client.send(&text).await;
    assert!(client.command(".").await.starts_with("552"));
    let listed = refusals(&alice.node, None, 10).unwrap();
    let seen: Vec<_> = listed.iter().rev().map(|r| (&r.reply[..9], r.recipients.len())).collect();
    assert_eq!(seen, [("552 5.3.4", 0), ("550 5.1.1", 1), ("552 5.3.4", 1)]);
    assert!(listed.iter().all(|r| r.sender == "ads@shop.example" && !r.has_text));
    alice.close().await;
}

#[tokio::test]
async fn message_that_a_rule_refuses_is_fetched_back() {
    let (alice, mut client) = open().await;
    let rule = Rule { subject: "offer".into(), is_refused: true, ..Rule::default() };
    add_rule(&alice.node, rule).await.unwrap();
    let filler = "word word word word\r\n".repeat(2_000);
    for filler in ["", &filler] {
        client.command("MAIL FROM:<ads@shop.example>").await;
        client.command("RCPT TO:<alice@alice.example>").await;
        client.command("DATA").await;
        client.send(format!("Subject: Offer\r\n\r\n{filler}Buy.\r\n").as_bytes()).await;
        assert!(client.command(".").await.starts_with("550 5.7.1"));
        let listed = refusals(&alice.node, None, 1).unwrap().remove(0);
        assert!(listed.has_text);
        fetch_back(&alice.node, listed.id).await.unwrap();
        alice.node.clock.advance(1);
    }
    let inbox = texts(&alice.node, SpecialUse::Inbox);
    assert_eq!(inbox.len(), 2);
    assert!(inbox.iter().all(|text| text.ends_with("Buy.\r\n")));
    alice.close().await;
}
