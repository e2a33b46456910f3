//! Decisions by a client's address: this machine, guesses of recipients, block lists.

use std::net::Ipv4Addr;

use freehold_core::mailbox::SpecialUse;
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;

use crate::authentication::{CLIENT, HELLO, STRANGER, only, send, server, zone};
use crate::dns::{self, Answer};
use crate::limits::proxied;
use crate::server::{TestServer, texts};

#[tokio::test]
async fn client_on_this_machine_is_not_checked() {
    let config =
        MailConfig { dns_servers: vec![dns::serve(zone("reject")).await], ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let mut client = crate::server::Client::connect(alice.addresses.smtp).await;
    client.command("EHLO localhost").await;
    client.command("MAIL FROM:<bob@bob.example>").await;
    client.command("RCPT TO:<alice@alice.example>").await;
    client.command("DATA").await;
    client.send(HELLO.as_bytes()).await;
    assert!(client.command(".").await.starts_with("250 "));
    assert!(!only(&alice, SpecialUse::Inbox).contains("Authentication-Results"));
    alice.close().await;
}

#[tokio::test]
async fn blocked_sender_on_this_machine_is_kept_out() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let listing = freehold_core::mailbox::Listing::Blocked;
    freehold_core::mailbox::list_sender(&alice.node, "bob.example", listing).await.unwrap();
    let mut client = crate::server::Client::connect(alice.addresses.smtp).await;
    client.command("EHLO localhost").await;
    client.command("MAIL FROM:<x@mallory.example>").await;
    client.command("RCPT TO:<alice@alice.example>").await;
    client.command("DATA").await;
    client.send(HELLO.as_bytes()).await;
    assert!(client.command(".").await.starts_with("250 "));
    only(&alice, SpecialUse::Junk);
    alice.close().await;
}

#[tokio::test]
async fn network_that_guesses_recipients_is_closed_out() {
    let alice = server(zone("none")).await;
    // Each connection ends before its own limit.
    for (host, count) in [(STRANGER, 34), (STRANGER + 1, 33), (STRANGER, 33)] {
        let mut client = proxied(alice.addresses.smtp, host).await;
        client.reply().await;
        client.command("EHLO mx.mallory.example").await;
        client.command("MAIL FROM:<m@mallory.example>").await;
        for n in 0..count {
            let reply = client.command(&format!("RCPT TO:<guess{n}@alice.example>")).await;
            assert!(reply.starts_with("550 5.1.1 "), "{reply}");
        }
    }
    let mut client = proxied(alice.addresses.smtp, STRANGER + 2).await;
    client.reply().await;
    client.command("EHLO mx.mallory.example").await;
    client.command("MAIL FROM:<m@mallory.example>").await;
    let reply = client.command("RCPT TO:<alice@alice.example>").await;
    assert!(reply.starts_with("421 4.7.1 "), "no answer tells who exists: {reply}");
    alice.node.clock.advance(60 * 60 * 1000);
    let reply = send(&alice, STRANGER, "m@mallory.example", HELLO).await;
    assert!(reply.starts_with("250 "), "{reply}");
    alice.close().await;
}

#[tokio::test]
async fn server_on_a_block_list_brings_junk() {
    let zone = zone("none")
        .with("66.113.0.203.bl.example", Answer::Address(Ipv4Addr::new(127, 0, 0, 2)))
        .with("9.113.0.203.bl.example", Answer::Address(Ipv4Addr::new(127, 255, 255, 254)))
        .with("66.113.0.203.failing.example", Answer::Failure);
    let config = MailConfig {
        dns_servers: vec![dns::serve(zone).await],
        proxy_protocol_from: vec!["127.0.0.1".parse().unwrap()],
        block_lists: vec!["bl.example".into(), "failing.example".into()],
        ..MailConfig::default()
    };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    for client in [STRANGER, CLIENT] {
        assert!(send(&alice, client, "bob@bob.example", HELLO).await.starts_with("250 "));
    }
    let junk = texts(&alice.node, SpecialUse::Junk);
    assert!(junk.len() == 1 && junk[0].contains("203.0.113.66"), "{junk:?}");
    // The list refuses to answer about the other.
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 1);
    alice.close().await;
}
