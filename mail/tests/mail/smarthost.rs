//! Mail for the world goes by the smarthost.

use data_encoding::BASE64;
use freehold_core::mailbox::SpecialUse;
use freehold_core::smarthost::{self, Smarthost};
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use tokio::net::TcpListener;

use crate::next_hop::{Replies, emptied, next_hop};
use crate::queue::{advance, first, in_queue, submit};
use crate::server::{Client, TestServer, texts, until};

const TEXT: &str = "Subject: hello\r\n\r\nhello";
const OFFER: &[u8] = b"250-smarthost\r\n250 AUTH PLAIN\r\n";

/// Alice's server, with a smarthost on this machine.
async fn server() -> (TestServer, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let node = TestNode::new("alice").await.allowing_queued_mail();
    let alice = TestServer::open(node, MailConfig::default()).await;
    let smarthost = Smarthost::new(&server, "alice", "open sesame").unwrap();
    smarthost::set(&alice.node, smarthost).await.unwrap();
    (alice, listener)
}

fn tried(server: &TestServer) -> Option<Option<String>> {
    smarthost::get(&server.node).unwrap().unwrap().tried.map(|tried| tried.fault)
}

#[tokio::test]
async fn message_for_the_world_goes_by_the_smarthost() {
    let (alice, listener) = server().await;
    let playing = tokio::spawn(next_hop(listener, &[("EHLO", OFFER), ("AUTH", b"235 ok\r\n")]));
    until(&alice.node, || tried(&alice) == Some(None)).await;
    assert!(
        submit(&alice, &["bob@far.example", "dora@away.example"], TEXT).await.starts_with("250")
    );
    emptied(&alice.node).await;
    assert!(texts(&alice.node, SpecialUse::Inbox).is_empty());
    alice.close().await;
    let commands = playing.await.unwrap();
    let login = format!("AUTH PLAIN {}", BASE64.encode(b"\0alice\0open sesame"));
    let expected = [
        "EHLO alice.example",
        &login,
        "QUIT",
        "EHLO alice.example",
        &login,
        "MAIL FROM:<alice@alice.example>",
        "RCPT TO:<bob@far.example>",
        "RCPT TO:<dora@away.example>",
        "DATA",
    ];
    assert_eq!(commands[..expected.len()], expected);
}

#[tokio::test]
async fn refused_login_keeps_the_message_and_is_told() {
    let (alice, listener) = server().await;
    const REPLIES: Replies = &[("EHLO", OFFER), ("AUTH", b"535 5.7.8 who are you\r\n")];
    let playing = tokio::spawn(next_hop(listener, REPLIES));
    until(&alice.node, || tried(&alice).is_some()).await;
    let fault = tried(&alice).flatten().unwrap();
    assert_eq!(fault, "the smarthost refused the login: 535 5.7.8 who are you");
    assert!(submit(&alice, &["bob@far.example"], TEXT).await.starts_with("250"));
    until(&alice.node, || first(&alice.node).attempts == 1).await;
    assert_eq!(in_queue(&alice.node), 1);
    playing.abort();
    // Without a smarthost no other domain is reached.
    smarthost::remove(&alice.node).await.unwrap();
    let mut client = Client::connect(alice.addresses.submission).await;
    client.command("EHLO laptop.test").await;
    client.login("alice", &alice.app_password).await;
    client.command("MAIL FROM:<alice@alice.example>").await;
    assert!(client.command("RCPT TO:<bob@far.example>").await.starts_with("550 5.1.2 "));
    alice.close().await;
}

#[tokio::test]
async fn login_that_is_refused_later_is_told() {
    let (alice, listener) = server().await;
    let server = listener.local_addr().unwrap();
    let playing = tokio::spawn(next_hop(listener, &[("EHLO", OFFER), ("AUTH", b"235 ok\r\n")]));
    until(&alice.node, || tried(&alice) == Some(None)).await;
    playing.abort();
    let _ = playing.await;
    assert!(submit(&alice, &["bob@far.example"], TEXT).await.starts_with("250"));
    until(&alice.node, || first(&alice.node).attempts == 1).await;
    let fault = tried(&alice).flatten().unwrap();
    assert!(fault.contains(" is unreachable: "), "{fault}");
    let listener = TcpListener::bind(server).await.unwrap();
    let playing = tokio::spawn(next_hop(listener, &[("EHLO", OFFER), ("AUTH", b"235 ok\r\n")]));
    advance(&alice, 1000);
    until(&alice.node, || tried(&alice) == Some(None)).await;
    emptied(&alice.node).await;
    playing.abort();
    alice.close().await;
}

#[tokio::test]
async fn wanted_report_goes_to_no_stranger_by_the_smarthost() {
    let (alice, listener) = server().await;
    let playing = tokio::spawn(next_hop(listener, &[("EHLO", OFFER), ("AUTH", b"235 ok\r\n")]));
    until(&alice.node, || tried(&alice) == Some(None)).await;
    let mut stranger = Client::connect(alice.addresses.smtp).await;
    stranger.command("EHLO other.test").await;
    stranger.command("MAIL FROM:<forged@victim.example>").await;
    stranger.command("RCPT TO:<alice@alice.example> NOTIFY=SUCCESS").await;
    stranger.command("DATA").await;
    assert!(stranger.command(&format!("{TEXT}\r\n.")).await.starts_with("250"));
    assert_eq!((texts(&alice.node, SpecialUse::Inbox).len(), in_queue(&alice.node)), (1, 0));
    playing.abort();
    alice.close().await;
}
