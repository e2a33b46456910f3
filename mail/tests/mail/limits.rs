//! Connection limits and the PROXY protocol over real connections to SMTP and IMAP.

use std::net::SocketAddr;

use freehold_core::mailbox::SpecialUse;
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::dns::{self, Zone};
use crate::server::{Client, TestServer, texts};

/// After so many milliseconds an idle connection without a login gives way to a newcomer.
const IDLE_MS: u64 = freehold_listen::IDLE_MS_MAX;

/// After so many milliseconds without progress a message counts as stalled.
const STALL_MS: u64 = freehold_listen::STALL_MS_MAX;

/// An IMAP client.
struct Imap(BufReader<TcpStream>);

impl Imap {
    async fn connect(to: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(to).await.unwrap()))
    }

    /// The next line; empty at the end of the connection.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line
    }

    /// Sends a command and returns the tagged response.
    async fn command(&mut self, command: &str) -> String {
        self.0.get_mut().write_all(format!("a {command}\r\n").as_bytes()).await.unwrap();
        loop {
            let line = self.line().await;
            if line.is_empty() || line.starts_with("a ") {
                return line;
            }
        }
    }
}

#[tokio::test]
async fn smtp_newcomer_replaces_idle_stranger_from_loopback() {
    let config = MailConfig { smtp_connections_max: 3, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let mut owner = Client::connect(alice.addresses.submission).await;
    owner.command("EHLO laptop.test").await;
    owner.login("alice", &alice.app_password).await;
    let mut oldest = Client::connect(alice.addresses.submission).await;
    alice.node.clock.advance(1);
    let mut younger = Client::connect(alice.addresses.submission).await;
    let mut early = Client::raw(alice.addresses.submission).await;
    assert!(early.reply().await.starts_with("421 4.7.0 "), "a second is no reason to close one");

    alice.node.clock.advance(IDLE_MS - 1);
    let mut newcomer = Client::connect(alice.addresses.submission).await;
    assert!(oldest.reply().await.starts_with("421 4.3.2 "));
    for client in [&mut newcomer, &mut younger, &mut owner] {
        assert!(client.command("NOOP").await.starts_with("250"));
    }
    alice.close().await;
}

#[tokio::test]
async fn smtp_message_under_way_is_not_replaced() {
    let config = MailConfig { smtp_connections_max: 1, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let mut sending = Client::connect(alice.addresses.smtp).await;
    sending.command("EHLO bob.example").await;
    assert!(sending.command("MAIL FROM:<bob@bob.example>").await.starts_with("250"));
    assert!(sending.command("RCPT TO:<alice@alice.example>").await.starts_with("250"));
    assert!(sending.command("DATA").await.starts_with("354"));
    alice.node.clock.advance(IDLE_MS);
    let mut newcomer = Client::raw(alice.addresses.smtp).await;
    assert!(newcomer.reply().await.starts_with("421 4.7.0 "));
    assert!(sending.command("Subject: slow\r\n\r\n.").await.starts_with("250"));
    alice.node.clock.advance(IDLE_MS);
    let _newcomer = Client::connect(alice.addresses.smtp).await;
    assert!(sending.reply().await.starts_with("421 4.3.2 "));
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 1);
    alice.close().await;
}

/// Sends a chunk of the message in progress (RFC 3030 2).
async fn chunk(client: &mut Client<TcpStream>, len: usize) {
    client.send(format!("BDAT {len}\r\n{}", "x".repeat(len)).as_bytes()).await;
    let reply = client.reply().await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
}

#[tokio::test]
async fn smtp_message_that_trickles_is_replaced() {
    let config = MailConfig { smtp_connections_max: 1, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let mut sending = Client::connect(alice.addresses.smtp).await;
    sending.command("EHLO bob.example").await;
    sending.command("MAIL FROM:<bob@bob.example>").await;
    sending.command("RCPT TO:<alice@alice.example>").await;
    // The reply to a chunk shows that the server has received it.
    chunk(&mut sending, 1).await;
    alice.node.clock.advance(STALL_MS - 1);
    // As many bytes as a slow line carries are progress.
    chunk(&mut sending, 8_000).await;
    alice.node.clock.advance(STALL_MS - 1);
    assert!(Client::raw(alice.addresses.smtp).await.reply().await.starts_with("421 4.7.0 "));
    // One byte is not.
    chunk(&mut sending, 1).await;
    alice.node.clock.advance(1);
    let _newcomer = Client::connect(alice.addresses.smtp).await;
    assert!(sending.reply().await.starts_with("421 4.3.2 "));
    alice.close().await;
}

#[tokio::test]
async fn imap_newcomer_replaces_idle_stranger_from_loopback() {
    let config = MailConfig { imap_connections_max: 3, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let to = alice.addresses.imap;
    let mut owner = Imap::connect(to).await;
    assert!(owner.line().await.starts_with("* OK"));
    let login = format!("LOGIN alice \"{}\"", alice.app_password);
    assert!(owner.command(&login).await.starts_with("a OK"));
    let mut oldest = Imap::connect(to).await;
    assert!(oldest.line().await.starts_with("* OK"));
    alice.node.clock.advance(1);
    let mut younger = Imap::connect(to).await;
    assert!(younger.line().await.starts_with("* OK"));
    assert!(Imap::connect(to).await.line().await.starts_with("* BYE"));

    alice.node.clock.advance(IDLE_MS - 1);
    let mut newcomer = Imap::connect(to).await;
    assert!(newcomer.line().await.starts_with("* OK"));
    assert!(oldest.line().await.starts_with("* BYE"));
    for client in [&mut newcomer, &mut younger, &mut owner] {
        assert!(client.command("NOOP").await.starts_with("a OK"));
    }
    alice.close().await;
}

/// A PROXY header for the client 203.0.113.`host`.
fn proxy_header(host: u8) -> Vec<u8> {
    let addresses = [203, 0, 113, host, 127, 0, 0, 1, 0x12, 0x67, 0, 25];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

fn behind_proxy() -> MailConfig {
    MailConfig {
        proxy_protocol_from: vec!["127.0.0.1".parse().unwrap()],
        smtp_connections_per_address_max: 1,
        ..MailConfig::default()
    }
}

/// A client behind the proxy, at the first byte of its session.
pub async fn proxied(to: SocketAddr, host: u8) -> Client {
    let mut client = Client::raw(to).await;
    client.send(&proxy_header(host)).await;
    client
}

#[tokio::test]
async fn proxied_client_address_reaches_limits_and_trace_header() {
    let dns_servers = vec![dns::serve(Zone::default()).await];
    let config = MailConfig { dns_servers, ..behind_proxy() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let mut sending = proxied(alice.addresses.smtp, 9).await;
    assert!(sending.reply().await.starts_with("220 "));
    let mut second = proxied(alice.addresses.smtp, 9).await;
    assert!(second.reply().await.starts_with("421 4.7.0 "), "one connection for this address");
    let mut other = proxied(alice.addresses.smtp, 10).await;
    assert!(other.reply().await.starts_with("220 "));

    sending.command("EHLO bob.example").await;
    sending.command("MAIL FROM:<bob@bob.example>").await;
    sending.command("RCPT TO:<alice@alice.example>").await;
    sending.command("DATA").await;
    assert!(sending.command("Subject: proxied\r\n\r\n.").await.starts_with("250"));
    let texts = texts(&alice.node, SpecialUse::Inbox);
    assert!(texts[0].contains("[203.0.113.9]"), "{texts:?}");
    alice.close().await;
}

#[tokio::test]
async fn proxied_client_must_encrypt_before_its_login() {
    let alice = TestServer::open(TestNode::new("alice").await, behind_proxy()).await;
    let mut client = proxied(alice.addresses.submission, 9).await;
    assert!(client.reply().await.starts_with("220 "));
    let offered = client.command("EHLO laptop.test").await;
    assert!(offered.contains("STARTTLS") && !offered.contains("AUTH"), "{offered}");
    assert!(client.command("STARTTLS").await.starts_with("220"));
    let mut client = client.encrypt(&alice).await;
    assert!(client.command("EHLO laptop.test").await.contains("AUTH"));
    client.login("alice", &alice.app_password).await;
    alice.close().await;
}

#[tokio::test]
async fn proxy_header_comes_before_implicit_tls() {
    let alice = TestServer::open(TestNode::new("alice").await, behind_proxy()).await;
    let client = proxied(alice.addresses.smtps, 9).await;
    let mut client = client.encrypt(&alice).await;
    assert!(client.reply().await.starts_with("220 "));
    alice.close().await;
}

#[tokio::test]
async fn trusted_proxy_without_header_is_closed() {
    let alice = TestServer::open(TestNode::new("alice").await, behind_proxy()).await;
    for to in [alice.addresses.smtp, alice.addresses.smtps, alice.addresses.submission] {
        let mut client = Client::raw(to).await;
        client.send(b"EHLO bob.test\r\n").await;
        assert_eq!(client.reply().await, "");
    }
    for to in [alice.addresses.imap, alice.addresses.imaps] {
        assert_eq!(Imap::connect(to).await.command("NOOP").await, "");
    }
    alice.close().await;
}
