//! Mail between two nodes, over real connections: through submission, queue and SMTP into the
//! other's inbox.

use std::net::SocketAddr;

use freehold_core::clock::Timestamp;
use freehold_core::events::Event;
use freehold_core::mailbox::{self, Recipient, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use tokio::net::TcpListener;

use crate::link::{self, Side};
use crate::server::{Client, TestServer, texts, until};

/// A configuration that knows where `domain` is.
fn route(domain: &str, hop: SocketAddr) -> MailConfig {
    MailConfig { routes: [(domain.to_owned(), hop.to_string())].into(), ..MailConfig::default() }
}

/// Submits a message as the owner of `server`.
async fn submit(server: &TestServer, to: &[&str], text: &str) -> String {
    let mut client = Client::connect(server.addresses.submission).await;
    assert!(
        client.say("EHLO laptop.test").await.contains("AUTH PLAIN LOGIN"),
        "on this machine a login is offered in the clear"
    );
    client.login("alice", &server.app_password).await;
    assert!(client.say("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
    for address in to {
        assert!(client.say(&format!("RCPT TO:<{address}>")).await.starts_with("250"), "{address}");
    }
    assert!(client.say("DATA").await.starts_with("354"));
    client.say(&format!("{text}\r\n.")).await
}

fn in_queue(node: &Node) -> usize {
    mailbox::due(node, Timestamp(u64::MAX), 100).unwrap().len()
}

/// The first recipient in the queue.
fn first(node: &Node) -> Recipient {
    mailbox::due(node, Timestamp(u64::MAX), 1).unwrap()[0].recipients[0].clone()
}

/// An address that nobody listens on.
async fn nobody_there() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Lets `millis` pass at `server`, and the queue look.
fn later(server: &TestServer, millis: u64) {
    server.node.clock.advance(millis);
    server.node.events.send(Event::Queue);
}

#[tokio::test]
async fn a_message_travels_from_one_node_to_another() {
    let bob = TestServer::open(TestNode::new("bob").await, MailConfig::default()).await;
    let alice =
        TestServer::open(TestNode::new("alice").await, route("BOB.example", bob.addresses.smtp))
            .await;
    let text = "From: Alice <alice@alice.example>\r\nTo: bob@bob.example\r\nBcc: secret@elsewhere.test\r\nSubject: hello\r\n\r\nOne\r\n..two\nthree";
    let reply =
        submit(&alice, &["bob@bob.example", "bob+tag@bob.example", "alice@alice.example"], text)
            .await;
    assert!(reply.starts_with("250 2.0.0 queued"), "{reply}");
    until(&bob.node, || texts(&bob.node, SpecialUse::Inbox).len() == 1).await;
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    let got = texts(&bob.node, SpecialUse::Inbox).pop().unwrap();
    assert!(
        got.starts_with(
            "Return-Path: <alice@alice.example>\r\nReceived: from alice.example ([127.0.0.1])\r\n"
        ),
        "{got}"
    );
    assert!(
        got.contains("with ESMTPS id") && got.contains("with ESMTPA id"),
        "encrypted between the nodes: {got}"
    );
    assert!(
        got.contains("\r\nDate: ") && got.contains("\r\nMessage-ID: <") && !got.contains("secret"),
        "{got}"
    );
    assert!(got.ends_with("\r\n\r\nOne\r\n.two\r\nthree\r\n"), "{got}");
    let sent = texts(&alice.node, SpecialUse::Sent);
    assert!(sent.len() == 1 && !sent[0].contains("Return-Path"));
    let own = texts(&alice.node, SpecialUse::Inbox);
    assert!(
        own.len() == 1
            && own[0]
                .starts_with("Return-Path: <alice@alice.example>\r\nReceived: by alice.example"),
        "{own:?}"
    );
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn a_next_hop_that_is_down_is_tried_again_until_it_is_up() {
    let hop = nobody_there().await;
    let alice = TestServer::open(TestNode::new("alice").await, route("bob.example", hop)).await;
    assert!(
        submit(&alice, &["bob@bob.example"], "Subject: patience\r\n\r\n").await.starts_with("250")
    );
    until(&alice.node, || first(&alice.node).attempts == 1).await;
    let bob = TestServer::open_on(TestNode::new("bob").await, MailConfig::default(), hop).await;
    later(&alice, 1000);
    until(&bob.node, || texts(&bob.node, SpecialUse::Inbox).len() == 1).await;
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn a_refused_recipient_is_reported_and_the_others_get_the_message() {
    let bob = TestServer::open(TestNode::new("bob").await, MailConfig::default()).await;
    let alice =
        TestServer::open(TestNode::new("alice").await, route("bob.example", bob.addresses.smtp))
            .await;
    let reply =
        submit(&alice, &["nobody@bob.example", "bob@bob.example"], "Subject: half\r\n\r\n").await;
    assert!(reply.starts_with("250"), "{reply}");
    until(&bob.node, || texts(&bob.node, SpecialUse::Inbox).len() == 1).await;
    until(&alice.node, || {
        texts(&alice.node, SpecialUse::Inbox).len() == 1 && in_queue(&alice.node) == 0
    })
    .await;
    let report = texts(&alice.node, SpecialUse::Inbox).pop().unwrap();
    assert!(
        report.contains("report-type=delivery-status")
            && report.contains("Final-Recipient: rfc822; nobody@bob.example"),
        "{report}"
    );
    assert!(report.contains("5.1.1") && !report.contains("rfc822; bob@"), "{report}");
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn nothing_is_sent_into_the_world() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
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
    let routes = [("bob.example".to_owned(), "127.0.0.1:9".to_owned())].into();
    let alice = TestServer::open(
        TestNode::new("alice").await,
        MailConfig { routes, ..MailConfig::default() },
    )
    .await;
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
        if code.starts_with('5') {
            assert!(client.say("RCPT TO:<bob@bob.example>").await.starts_with("250"));
        }
        assert!(client.say("DATA").await.starts_with("354"));
        let reply = client.say(&format!("{header}\r\n\r\ntext\r\n.")).await;
        assert!(reply.starts_with(code), "{header}: {reply}");
    }
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 2);
    alice.close().await;
}

#[tokio::test]
async fn what_the_owner_sends_to_themselves_alone_may_name_another_author() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.submission).await;
    client.say("EHLO laptop.test").await;
    client.login("alice", &alice.app_password).await;
    assert!(client.say("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
    assert!(client.say("RCPT TO:<alice+kept@alice.example>").await.starts_with("250"));
    assert!(client.say("DATA").await.starts_with("354"));
    assert!(
        client
            .say("From: bob@bob.example\r\n\r\npassed on to myself\r\n.")
            .await
            .starts_with("250")
    );
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 1);
    alice.close().await;
}

#[tokio::test]
async fn a_message_sent_again_after_a_crash_is_not_kept_twice() {
    let bob = TestServer::open(TestNode::new("bob").await, MailConfig::default()).await;
    // After a crash between the other's 250 and our record of it, the queue sends the same text
    // under the same envelope name.
    let mut client = Client::connect(bob.addresses.smtp).await;
    client.say("EHLO alice.example").await;
    for _ in 0..2 {
        assert!(
            client
                .say("MAIL FROM:<alice@alice.example> ENVID=0123456789abcdef")
                .await
                .starts_with("250")
        );
        assert!(client.say("RCPT TO:<bob@bob.example>").await.starts_with("250"));
        assert!(client.say("DATA").await.starts_with("354"));
        assert!(client.say("Subject: once\r\n\r\ntext\r\n.").await.starts_with("250"));
    }
    assert_eq!(texts(&bob.node, SpecialUse::Inbox).len(), 1);
    bob.close().await;
}

#[tokio::test]
async fn a_lost_reply_does_not_make_two_messages() {
    let bob = TestServer::open(TestNode::new("bob").await, MailConfig::default()).await;
    // In the clear, so that the line can break exactly when bob has promised to keep the message.
    let line = link::open(
        bob.addresses.smtp,
        Box::new(|number, side, bytes| {
            let promised = number == 0
                && side == Side::Server
                && bytes.windows(7).any(|window| window == b"kept as");
            (!promised).then(|| link::replaced(bytes, "STARTTLS", "XTARTTLS"))
        }),
    )
    .await;
    let alice = TestServer::open(TestNode::new("alice").await, route("bob.example", line)).await;
    assert!(submit(&alice, &["bob@bob.example"], "Subject: once\r\n\r\n").await.starts_with("250"));
    until(&alice.node, || in_queue(&alice.node) == 1 && first(&alice.node).attempts == 1).await;
    assert_eq!(texts(&bob.node, SpecialUse::Inbox).len(), 1);
    assert!(first(&alice.node).last_reply.starts_with("451 4.4.2"), "{:?}", first(&alice.node));
    later(&alice, 1000);
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert_eq!(texts(&bob.node, SpecialUse::Inbox).len(), 1);
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn a_next_hop_that_can_not_encrypt_gets_the_message_all_the_same() {
    let bob = TestServer::open(TestNode::new("bob").await, MailConfig::default()).await;
    // STARTTLS is offered, taken, and then nothing sensible comes.
    let line = link::open(
        bob.addresses.smtp,
        Box::new(|_, side, bytes| match side {
            Side::Client if bytes.starts_with(b"STARTTLS") => None,
            _ => Some(bytes.to_vec()),
        }),
    )
    .await;
    let alice = TestServer::open(TestNode::new("alice").await, route("bob.example", line)).await;
    assert!(submit(&alice, &["bob@bob.example"], "Subject: open\r\n\r\n").await.starts_with("250"));
    until(&bob.node, || texts(&bob.node, SpecialUse::Inbox).len() == 1).await;
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert!(texts(&bob.node, SpecialUse::Inbox)[0].contains("with ESMTP id"));
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn what_is_queued_survives_a_restart_and_ends_after_two_days() {
    let alice =
        TestServer::open(TestNode::new("alice").await, route("bob.example", nobody_there().await))
            .await;
    assert!(
        submit(&alice, &["bob@bob.example"], "Subject: patience\r\n\r\n").await.starts_with("250")
    );
    until(&alice.node, || first(&alice.node).attempts == 1).await;
    let TestServer { node, mail, .. } = alice;
    mail.shutdown().await;
    assert_eq!(in_queue(&node), 1);
    node.clock.advance(49 * 60 * 60 * 1000);
    // Another start finds it due at once.
    let alice = TestServer::open(node, route("bob.example", nobody_there().await)).await;
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    let report = texts(&alice.node, SpecialUse::Inbox).pop().unwrap();
    assert!(
        report.contains("Final-Recipient: rfc822; bob@bob.example")
            && report.contains("tried for 48 hours"),
        "{report}"
    );
    alice.close().await;
}

#[tokio::test]
async fn a_route_that_is_gone_is_an_end_and_not_a_way_into_the_world() {
    let alice =
        TestServer::open(TestNode::new("alice").await, route("bob.example", nobody_there().await))
            .await;
    assert!(submit(&alice, &["bob@bob.example"], "Subject: stay\r\n\r\n").await.starts_with("250"));
    until(&alice.node, || first(&alice.node).attempts == 1).await;
    let TestServer { node, mail, .. } = alice;
    mail.shutdown().await;
    node.clock.advance(1000);
    let alice = TestServer::open(node, MailConfig::default()).await;
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert!(
        texts(&alice.node, SpecialUse::Inbox)[0]
            .contains("this node does not send to the world yet")
    );
    alice.close().await;
}
