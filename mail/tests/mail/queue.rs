//! Mail between two nodes over real connections: submission, queue, SMTP, inbox.

use std::net::SocketAddr;

use freehold_core::clock::Timestamp;
use freehold_core::events::Event;
use freehold_core::mailbox::{self, Recipient, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use tokio::net::TcpSocket;

use crate::imap::TIMEOUT;
use crate::link::{self, Side};
use crate::server::{Client, TestServer, texts, until};

/// A configuration with a route for `domain`.
pub(crate) fn route(domain: &str, server: SocketAddr) -> MailConfig {
    MailConfig { routes: [(domain.to_owned(), server.to_string())].into(), ..MailConfig::default() }
}

/// Submits a message as the owner of `server`.
pub(crate) async fn submit(server: &TestServer, to: &[&str], text: &str) -> String {
    let mut client = Client::connect(server.addresses.submission).await;
    assert!(
        client.command("EHLO laptop.test").await.contains("AUTH PLAIN LOGIN"),
        "AUTH is offered in the clear on loopback"
    );
    client.login("alice", &server.app_password).await;
    assert!(client.command("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
    for address in to {
        assert!(
            client.command(&format!("RCPT TO:<{address}>")).await.starts_with("250"),
            "{address}"
        );
    }
    assert!(client.command("DATA").await.starts_with("354"));
    client.command(&format!("{text}\r\n.")).await
}

pub(crate) fn in_queue(node: &Node) -> usize {
    mailbox::due(node, Timestamp(u64::MAX), 100).unwrap().len()
}

/// The first recipient in the queue.
pub(crate) fn first(node: &Node) -> Recipient {
    mailbox::due(node, Timestamp(u64::MAX), 1).unwrap()[0].recipients[0].clone()
}

/// An address without a listener. Until it is dropped, no other socket gets its port unasked.
pub(crate) struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // A test may listen there later (SO_REUSEADDR of both sockets).
        socket.set_reuseaddr(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// Advances the clock of `server` by `millis` and wakes its queue.
pub(crate) fn advance(server: &TestServer, millis: u64) {
    server.node.clock.advance(millis);
    server.node.events.send(Event::Queue);
}

#[tokio::test]
async fn message_is_relayed_to_the_next_node() {
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
        "TLS between the nodes: {got}"
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
async fn unreachable_next_hop_is_retried() {
    let closed = ClosedPort::new();
    let server = closed.address();
    let alice = TestServer::open(TestNode::new("alice").await, route("bob.example", server)).await;
    assert!(
        submit(&alice, &["bob@bob.example"], "Subject: patience\r\n\r\n").await.starts_with("250")
    );
    until(&alice.node, || first(&alice.node).attempts == 1).await;
    let bob = TestServer::open_on(TestNode::new("bob").await, MailConfig::default(), server).await;
    advance(&alice, 1000);
    until(&bob.node, || texts(&bob.node, SpecialUse::Inbox).len() == 1).await;
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn refused_recipient_is_reported_and_others_are_delivered() {
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
    // The parts are 8bit, so the whole is (RFC 2045 6.4).
    let header = report.split("\r\n\r\n").next().unwrap_or_default();
    assert!(header.contains("\r\nContent-Transfer-Encoding: 8bit"), "{header}");
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn recipient_without_route_gets_550() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.submission).await;
    client.command("EHLO laptop.test").await;
    client.login("alice@alice.example", &alice.app_password).await;
    assert!(client.command("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
    let reply = client.command("RCPT TO:<someone@gmail.com>").await;
    assert!(reply.starts_with("550 5.1.2 "), "{reply}");
    assert!(client.command("RCPT TO:<nobody@alice.example>").await.starts_with("550 5.1.1"));
    alice.close().await;
}

#[tokio::test]
async fn submission_with_a_foreign_author_gets_550() {
    let routes = [("bob.example".to_owned(), "127.0.0.1:9".to_owned())].into();
    let alice = TestServer::open(
        TestNode::new("alice").await,
        MailConfig { routes, ..MailConfig::default() },
    )
    .await;
    let mut client = Client::connect(alice.addresses.submission).await;
    client.command("EHLO laptop.test").await;
    client.login("alice", &alice.app_password).await;
    assert!(client.command("MAIL FROM:<bob@bob.example>").await.starts_with("553 5.7.1"));
    for (header, code) in [
        ("From: bob@bob.example", "550 5.7.1"),
        ("From: alice@alice.example, bob@bob.example", "550 5.7.1"),
        ("From: alice@alice.example\r\nSender: bob@bob.example", "550 5.7.1"),
        ("From: alice@alice.example\r\nFrom: bob@bob.example", "550 5.6.0"),
        ("From: undisclosed", "550 5.7.1"),
        ("From: Friends: alice@alice.example;", "250 2.0.0"),
        ("From: \"bob@bob.example\" <alice+shop@alice.example>", "250 2.0.0"),
    ] {
        assert!(client.command("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
        assert!(client.command("RCPT TO:<alice@alice.example>").await.starts_with("250"));
        if code.starts_with('5') {
            assert!(client.command("RCPT TO:<bob@bob.example>").await.starts_with("250"));
        }
        assert!(client.command("DATA").await.starts_with("354"));
        let reply = client.command(&format!("{header}\r\n\r\ntext\r\n.")).await;
        assert!(reply.starts_with(code), "{header}: {reply}");
    }
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 2);
    alice.close().await;
}

#[tokio::test]
async fn message_to_owner_may_have_a_foreign_author() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.submission).await;
    client.command("EHLO laptop.test").await;
    client.login("alice", &alice.app_password).await;
    assert!(client.command("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
    assert!(client.command("RCPT TO:<alice+forwarded@alice.example>").await.starts_with("250"));
    assert!(client.command("DATA").await.starts_with("354"));
    assert!(
        client
            .command("From: bob@bob.example\r\n\r\nforwarded to myself\r\n.")
            .await
            .starts_with("250")
    );
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 1);
    alice.close().await;
}

#[tokio::test]
async fn message_repeated_after_a_crash_is_stored_once() {
    let bob = TestServer::open(TestNode::new("bob").await, MailConfig::default()).await;
    // After a crash between the reply 250 and its record, the queue sends the same text with the
    // same envelope identifier.
    let mut client = Client::connect(bob.addresses.smtp).await;
    client.command("EHLO alice.example").await;
    for _ in 0..2 {
        assert!(
            client
                .command("MAIL FROM:<alice@alice.example> ENVID=0123456789abcdef")
                .await
                .starts_with("250")
        );
        assert!(client.command("RCPT TO:<bob@bob.example>").await.starts_with("250"));
        assert!(client.command("DATA").await.starts_with("354"));
        assert!(client.command("Subject: once\r\n\r\ntext\r\n.").await.starts_with("250"));
    }
    assert_eq!(texts(&bob.node, SpecialUse::Inbox).len(), 1);
    bob.close().await;
}

#[tokio::test]
async fn lost_reply_does_not_duplicate_the_message() {
    let bob = TestServer::open(TestNode::new("bob").await, MailConfig::default()).await;
    // In the clear, so that the connection can be cut exactly at the 250 after the message.
    let line = link::open(
        bob.addresses.smtp,
        Box::new(|number, side, bytes| {
            let accepted = number == 0 && side == Side::Server && bytes.starts_with(b"250 2.0.0 ");
            (!accepted).then(|| link::replaced(bytes, "STARTTLS", "XTARTTLS"))
        }),
    )
    .await;
    let alice = TestServer::open(TestNode::new("alice").await, route("bob.example", line)).await;
    assert!(submit(&alice, &["bob@bob.example"], "Subject: once\r\n\r\n").await.starts_with("250"));
    until(&alice.node, || in_queue(&alice.node) == 1 && first(&alice.node).attempts == 1).await;
    assert_eq!(texts(&bob.node, SpecialUse::Inbox).len(), 1);
    assert!(first(&alice.node).last_reply.starts_with("451 4.4.2"), "{:?}", first(&alice.node));
    advance(&alice, 1000);
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert_eq!(texts(&bob.node, SpecialUse::Inbox).len(), 1);
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn failed_starttls_falls_back_to_cleartext() {
    let bob = TestServer::open(TestNode::new("bob").await, MailConfig::default()).await;
    // STARTTLS is offered, and the connection is cut when the client sends it.
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
async fn queued_message_survives_a_restart_and_expires() {
    let closed = ClosedPort::new();
    let config = route("bob.example", closed.address());
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    assert!(
        submit(&alice, &["bob@bob.example"], "Subject: patience\r\n\r\n").await.starts_with("250")
    );
    until(&alice.node, || first(&alice.node).attempts == 1).await;
    let TestServer { node, mail, .. } = alice;
    mail.shutdown(TIMEOUT).await;
    assert_eq!(in_queue(&node), 1);
    node.clock.advance(49 * 60 * 60 * 1000);
    // After the restart it is due at once. The clock may be wrong, so a few attempts are made.
    let alice = TestServer::open(node, route("bob.example", closed.address())).await;
    for attempts in 2..=8 {
        until(&alice.node, || first(&alice.node).attempts == attempts).await;
        let id = mailbox::due(&alice.node, Timestamp(u64::MAX), 1).unwrap()[0].id;
        mailbox::queue::retry(&alice.node, id).await.unwrap();
    }
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    let report = texts(&alice.node, SpecialUse::Inbox).pop().unwrap();
    assert!(
        report.contains("Final-Recipient: rfc822; bob@bob.example")
            && report.contains("Action: failed"),
        "{report}"
    );
    alice.close().await;
}

#[tokio::test]
async fn removed_route_fails_the_message() {
    let closed = ClosedPort::new();
    let config = route("bob.example", closed.address());
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    assert!(submit(&alice, &["bob@bob.example"], "Subject: stay\r\n\r\n").await.starts_with("250"));
    until(&alice.node, || first(&alice.node).attempts == 1).await;
    let TestServer { node, mail, .. } = alice;
    mail.shutdown(TIMEOUT).await;
    node.clock.advance(1000);
    let alice = TestServer::open(node, MailConfig::default()).await;
    until(&alice.node, || in_queue(&alice.node) == 0).await;
    assert!(texts(&alice.node, SpecialUse::Inbox)[0].contains("550 5.1.2 "));
    alice.close().await;
}
