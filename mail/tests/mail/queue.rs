//! Mail between two nodes, over real connections: through submission, queue and SMTP into the other's inbox.

use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use tokio::net::TcpListener;

use crate::place::{Client, Place, texts, until};

/// A configuration that knows where `domain` is.
fn route(domain: &str, hop: std::net::SocketAddr) -> MailConfig {
    MailConfig { routes: [(domain.to_owned(), hop.to_string())].into(), ..MailConfig::default() }
}

/// Submits a message as the owner of `place`.
async fn submit(place: &Place, to: &[&str], text: &str) -> String {
    let mut client = Client::connect(place.addresses.submission).await;
    assert!(client.say("EHLO laptop.test").await.contains("AUTH PLAIN LOGIN"), "on this machine a login is offered in the clear");
    client.login("alice", &place.app_password).await;
    assert!(client.say("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
    for address in to {
        assert!(client.say(&format!("RCPT TO:<{address}>")).await.starts_with("250"), "{address}");
    }
    assert!(client.say("DATA").await.starts_with("354"));
    client.say(&format!("{text}\r\n.")).await
}

fn in_queue(node: &Node) -> usize {
    mailbox::due(node, freehold_core::clock::Timestamp(u64::MAX), 100).unwrap().len()
}

#[tokio::test]
async fn a_message_travels_from_one_node_to_another() {
    let bob = Place::open(TestNode::new("bob").await, MailConfig::default()).await;
    let alice = Place::open(TestNode::new("alice").await, route("BOB.example", bob.addresses.smtp)).await;
    let text = "From: Alice <alice@alice.example>\r\nTo: bob@bob.example\r\nBcc: secret@elsewhere.test\r\nSubject: hello\r\n\r\nOne\r\n..two\nthree";
    let reply = submit(&alice, &["bob@bob.example", "bob+tag@bob.example", "alice@alice.example"], text).await;
    assert!(reply.starts_with("250 2.0.0 queued"), "{reply}");
    until(&bob.node, || texts(&bob.node, SpecialUse::Inbox).len() == 1).await;
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    let got = texts(&bob.node, SpecialUse::Inbox).pop().unwrap();
    assert!(got.starts_with("Return-Path: <alice@alice.example>\r\nReceived: from alice.example ([127.0.0.1])\r\n"), "{got}");
    assert!(got.contains("with ESMTPS id") && got.contains("with ESMTPA id"), "encrypted between the nodes: {got}");
    assert!(got.contains("\r\nDate: ") && got.contains("\r\nMessage-ID: <") && !got.contains("secret"), "{got}");
    assert!(got.ends_with("\r\n\r\nOne\r\n.two\r\nthree\r\n"), "{got}");
    let sent = texts(&alice.node, SpecialUse::Sent);
    assert!(sent.len() == 1 && !sent[0].contains("Return-Path"));
    let own = texts(&alice.node, SpecialUse::Inbox);
    assert!(own.len() == 1 && own[0].starts_with("Return-Path: <alice@alice.example>\r\nReceived: by alice.example"), "{own:?}");
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn a_next_hop_that_is_down_is_tried_again_until_it_is_up() {
    // A port that nobody listens on, but that bob will.
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hop = socket.local_addr().unwrap();
    drop(socket);
    let alice = Place::open(TestNode::new("alice").await, route("bob.example", hop)).await;
    assert!(submit(&alice, &["bob@bob.example"], "Subject: patience\r\n\r\n").await.starts_with("250"));
    let attempts = || mailbox::due(&alice.node, freehold_core::clock::Timestamp(u64::MAX), 1).unwrap()[0].recipients[0].attempts;
    until(&alice.node, || attempts() == 1).await;
    let bob = Place::open_on(TestNode::new("bob").await, MailConfig::default(), hop).await;
    alice.node.clock.advance(1000);
    alice.node.events.send(freehold_core::events::Event::Queue);
    until(&bob.node, || texts(&bob.node, SpecialUse::Inbox).len() == 1).await;
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn a_refused_recipient_is_reported_and_the_others_get_the_message() {
    let bob = Place::open(TestNode::new("bob").await, MailConfig::default()).await;
    let alice = Place::open(TestNode::new("alice").await, route("bob.example", bob.addresses.smtp)).await;
    let reply = submit(&alice, &["nobody@bob.example", "bob@bob.example"], "Subject: half\r\n\r\n").await;
    assert!(reply.starts_with("250"), "{reply}");
    until(&bob.node, || texts(&bob.node, SpecialUse::Inbox).len() == 1).await;
    until(&alice.node, || texts(&alice.node, SpecialUse::Inbox).len() == 1 && in_queue(&alice.node) == 0).await;
    let report = texts(&alice.node, SpecialUse::Inbox).pop().unwrap();
    assert!(report.contains("report-type=delivery-status") && report.contains("Final-Recipient: rfc822; nobody@bob.example"), "{report}");
    assert!(report.contains("5.1.1") && !report.contains("rfc822; bob@"), "{report}");
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn nothing_is_sent_into_the_world() {
    let alice = Place::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.submission).await;
    client.say("EHLO laptop.test").await;
    client.login("alice@alice.example", &alice.app_password).await;
    assert!(client.say("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
    let reply = client.say("RCPT TO:<someone@gmail.com>").await;
    assert_eq!(reply, "550 5.1.2 this node does not send to the world yet\r\n");
    assert!(client.say("RCPT TO:<nobody@alice.example>").await.starts_with("550 5.1.1"));
    alice.close().await;
}

#[tokio::test]
async fn the_owner_sends_in_their_own_name_only() {
    let alice = Place::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.submission).await;
    client.say("EHLO laptop.test").await;
    client.login("alice", &alice.app_password).await;
    assert!(client.say("MAIL FROM:<bob@bob.example>").await.starts_with("553 5.7.1"));
    for (header, code) in [
        ("From: bob@bob.example", "550 5.7.1"),
        ("From: alice@alice.example, bob@bob.example", "550 5.7.1"),
        ("From: alice@alice.example\r\nSender: bob@bob.example", "550 5.7.1"),
        ("From: alice@alice.example\r\nFrom: bob@bob.example", "550 5.6.0"),
        ("From: undisclosed", "550 5.7.1"),
        ("From: Friends: alice@alice.example;", "250 2.0.0"),
        ("From: \"bob@bob.example\" <alice+shop@alice.example>", "250 2.0.0"),
    ] {
        assert!(client.say("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
        assert!(client.say("RCPT TO:<alice@alice.example>").await.starts_with("250"));
        assert!(client.say("DATA").await.starts_with("354"));
        let reply = client.say(&format!("{header}\r\n\r\ntext\r\n.")).await;
        assert!(reply.starts_with(code), "{header}: {reply}");
    }
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 2);
    alice.close().await;
}

#[tokio::test]
async fn a_message_sent_again_after_a_crash_is_not_kept_twice() {
    let bob = Place::open(TestNode::new("bob").await, MailConfig::default()).await;
    // After a crash between the other's 250 and our record of it, the queue sends the same text under the same envelope name.
    let mut client = Client::connect(bob.addresses.smtp).await;
    client.say("EHLO alice.example").await;
    for _ in 0..2 {
        assert!(client.say("MAIL FROM:<alice@alice.example> ENVID=0123456789abcdef").await.starts_with("250"));
        assert!(client.say("RCPT TO:<bob@bob.example>").await.starts_with("250"));
        assert!(client.say("DATA").await.starts_with("354"));
        assert!(client.say("Subject: once\r\n\r\ntext\r\n.").await.starts_with("250"));
    }
    assert_eq!(texts(&bob.node, SpecialUse::Inbox).len(), 1);
    bob.close().await;
}
