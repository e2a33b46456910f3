//! SMTP: the transcripts, and tests over real connections.

use std::path::Path;
use std::sync::Arc;

use freehold_core::blobs::Blobs;
use freehold_core::clock::Clock;
use freehold_core::fs::MemoryFs;
use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::node::Node;
use freehold_core::publish;
use freehold_core::random::Random;
use freehold_core::space::{FreeSpace, Margins, StrangersMargin};
use freehold_core::testing::{START, TestNode, profile_of};
use freehold_core::vault::{Unlock, Vault};
use freehold_mail::MailConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::imap::TIMEOUT;
use crate::server::{Client, TestServer, bodies, serve, texts};
use crate::transcript::Transcript;

#[allow(clippy::disallowed_methods, reason = "a test may block")]
#[tokio::test]
async fn smtp_transcripts_pass_at_every_cut() {
    let folder = format!("{}/tests/mail/transcripts/smtp", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Names the file when the test fails.
        eprintln!("{}", path.display());
        Transcript::read(&std::fs::read_to_string(path).unwrap()).play().await;
    }
}

/// Sends MAIL and RCPT for a message to alice.
async fn envelope<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>) {
    assert!(client.command("MAIL FROM:<bob@bob.example>").await.starts_with("250"));
    assert!(client.command("RCPT TO:<alice@alice.example>").await.starts_with("250"));
}

#[tokio::test]
async fn connection_over_the_limit_gets_421() {
    let config = MailConfig { smtp_connections_max: 1, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let first = Client::connect(alice.addresses.smtp).await;
    let mut second = Client::raw(alice.addresses.smtp).await;
    assert!(second.reply().await.starts_with("421 4.7.0 "));
    // The owner's programs have a limit of their own.
    let own = Client::connect(alice.addresses.submission).await;
    drop((first, own));
    alice.close().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn largest_network_is_evicted_but_no_authenticated_client() {
    let config = MailConfig { smtp_connections_max: 2, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let mut crowding =
        [Client::connect(alice.addresses.smtp).await, Client::connect(alice.addresses.smtp).await];
    let _other = Client::connect_from("127.0.0.2", alice.addresses.smtp).await;
    assert!(crowding[0].reply().await.starts_with("421 4.3.2 "));
    assert!(crowding[1].command("NOOP").await.starts_with("250"));

    let mut own = [
        Client::connect(alice.addresses.submission).await,
        Client::connect(alice.addresses.submission).await,
    ];
    own[0].command("EHLO laptop.test").await;
    own[0].login("alice", &alice.app_password).await;
    let _other = Client::connect_from("127.0.0.2", alice.addresses.submission).await;
    assert!(own[1].reply().await.starts_with("421 "));
    assert!(own[0].command("NOOP").await.starts_with("250"));
    alice.close().await;
}

#[tokio::test]
async fn idle_client_gets_421() {
    let config = MailConfig { smtp_idle_timeout_secs: 0, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let mut client = Client::connect(alice.addresses.smtp).await;
    assert!(client.reply().await.starts_with("421 4.4.2 "));
    assert_eq!(client.reply().await, "");
    alice.close().await;
}

#[tokio::test]
async fn early_talker_gets_554() {
    let config = MailConfig { greeting_delay_ms: 60_000, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let mut client = Client::raw(alice.addresses.smtp).await;
    client.send(b"EHLO hasty.test\r\n").await;
    assert!(client.reply().await.starts_with("554 5.5.0 "));
    alice.close().await;
}

#[tokio::test]
async fn shutdown_finishes_the_message_in_progress() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut idle = Client::connect(alice.addresses.smtp).await;
    let mut busy = Client::connect(alice.addresses.smtp).await;
    busy.command("EHLO bob.example").await;
    envelope(&mut busy).await;
    assert!(busy.command("DATA").await.starts_with("354"));
    let TestServer { node, mail, .. } = alice;
    let stopping = tokio::spawn(mail.shutdown(TIMEOUT));
    assert!(idle.reply().await.starts_with("421 4.3.2 "));
    assert!(busy.command("Subject: last\r\n\r\n.").await.starts_with("250"));
    assert!(busy.reply().await.starts_with("421 4.3.2"));
    stopping.await.unwrap();
    assert_eq!(texts(&node, SpecialUse::Inbox).len(), 1);
}

#[tokio::test]
async fn shutdown_in_the_middle_of_a_message_gets_421() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.smtp).await;
    client.command("EHLO bob.example").await;
    envelope(&mut client).await;
    assert!(client.command("DATA").await.starts_with("354"));
    client.send(b"Subject: half\r\n\r\nhal").await;
    let TestServer { node, mail, .. } = alice;
    let stopping = tokio::spawn(mail.shutdown(TIMEOUT));
    assert!(client.reply().await.starts_with("421 4.3.2 "));
    assert_eq!(client.reply().await, "");
    stopping.await.unwrap();
    assert_eq!(texts(&node, SpecialUse::Inbox).len(), 0);
}

#[tokio::test]
async fn interrupted_message_is_not_stored() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.smtp).await;
    client.command("HELO bob.example").await;
    envelope(&mut client).await;
    assert!(client.command("DATA").await.starts_with("354"));
    client.send(b"Subject: half\r\n\r\nhal").await;
    drop(client);
    let TestServer { node, mail, .. } = alice;
    mail.shutdown(TIMEOUT).await;
    assert_eq!(texts(&node, SpecialUse::Inbox).len(), 0);
}

#[tokio::test]
async fn command_injected_before_starttls_is_dropped() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.smtp).await;
    client.command("EHLO bob.example").await;
    // One segment: the command in the clear arrives together with STARTTLS.
    client.send(b"STARTTLS\r\nMAIL FROM:<injected@evil.test>\r\n").await;
    assert!(client.reply().await.starts_with("220"));
    let mut client = client.encrypt(&alice).await;
    assert!(client.command("RCPT TO:<alice@alice.example>").await.starts_with("503"));
    assert!(!client.command("EHLO bob.example").await.contains("STARTTLS"));
    envelope(&mut client).await;
    assert!(client.command("DATA").await.starts_with("354"));
    assert!(client.command("Subject: sealed\r\n\r\n.").await.starts_with("250"));
    assert!(texts(&alice.node, SpecialUse::Inbox)[0].contains("with ESMTPS id"));
    alice.close().await;
}

#[tokio::test]
async fn implicit_tls_offers_auth() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::raw(alice.addresses.smtps).await.encrypt(&alice).await;
    assert!(client.reply().await.starts_with("220"));
    let offers = client.command("EHLO laptop.test").await;
    assert!(offers.contains("AUTH PLAIN LOGIN") && !offers.contains("STARTTLS"), "{offers}");
    client.login("alice@alice.example", &alice.app_password).await;
    assert!(client.command("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
    alice.close().await;
}

#[tokio::test]
async fn recipient_1001_gets_452() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.smtp).await;
    client.command("EHLO bob.example").await;
    assert!(client.command("MAIL FROM:<bob@bob.example>").await.starts_with("250"));
    let commands: String =
        (0..1001).map(|n| format!("RCPT TO:<alice+{n}@alice.example>\r\n")).collect();
    client.send(commands.as_bytes()).await;
    for _ in 0..1000 {
        assert!(client.reply().await.starts_with("250 2.1.5 "));
    }
    assert!(client.reply().await.starts_with("452 4.5.3"));
    assert!(client.command("DATA").await.starts_with("354"));
    assert!(client.command("Subject: all\r\n\r\n.").await.starts_with("250"));
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 1);
    alice.close().await;
}

#[tokio::test]
async fn full_disk_gets_452_before_the_message() {
    let fs = MemoryFs::new();
    let data = Path::new("/");
    let random = Random::seeded(1);
    let vault =
        Vault::create(Arc::new(fs.clone()), data, &Unlock::KeyFile(data.join("key")), &random)
            .unwrap();
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        data,
        Margins { watermark: 1000, strangers: StrangersMargin::Len(2000), reserve: 0 },
    );
    let blobs =
        Blobs::new(Arc::new(fs.clone()), data, vault.keys(), random.clone(), space).unwrap();
    let node =
        Node { blobs: blobs.clone(), ..Node::in_memory(Clock::manual(START), random).unwrap() };
    mailbox::initialise(&node).await.unwrap();
    publish::profile(&node, profile_of("alice")).await.unwrap();
    let (mail, _) = serve(node, MailConfig::default(), "127.0.0.1:0".parse().unwrap()).await;
    let mut client = Client::connect(mail.addresses().smtp).await;
    client.command("EHLO bob.example").await;
    for free in [999, 1999] {
        fs.set_free(free);
        envelope(&mut client).await;
        assert!(client.command("DATA").await.starts_with("452 4.3.1 "), "{free}");
    }
    assert_eq!(blobs.check_space_for(0), Ok(()), "the owner has more space");
    envelope(&mut client).await;
    client.send(b"BDAT 4\r\nab\r\n").await;
    assert!(client.reply().await.starts_with("452 4.3.1"));
    fs.set_free(1_000_000);
    envelope(&mut client).await;
    assert!(client.command("DATA").await.starts_with("354"));
    mail.shutdown(TIMEOUT).await;
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
#[tokio::test]
async fn hard_messages_are_stored_unchanged() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.smtp).await;
    client.command("EHLO bob.example").await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/messages");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(paths.len() >= 18, "messages are missing");
    paths.sort();
    for path in paths {
        let (text, stuffed) = lines(&std::fs::read(&path).unwrap());
        envelope(&mut client).await;
        assert!(client.command("DATA").await.starts_with("354"));
        client.send(&stuffed).await;
        let reply = client.reply().await;
        assert!(reply.starts_with("250"), "{}: {reply}", path.display());
        let stored = bodies(&alice.node, SpecialUse::Inbox).pop().unwrap();
        assert!(stored.ends_with(&text), "{} was changed", path.display());
        let above = String::from_utf8(stored[..stored.len() - text.len()].to_vec()).unwrap();
        assert!(
            above.starts_with("Return-Path: <bob@bob.example>\r\nReceived: ")
                && above.ends_with(" +0000\r\n"),
            "{above}"
        );
    }
    alice.close().await;
}

/// The lines of a file with CR LF, and the same with dots stuffed for DATA.
fn lines(file: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut text, mut stuffed) = (Vec::new(), Vec::new());
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let dot: &[u8] = if line.starts_with(b".") { b"." } else { b"" };
        stuffed.extend([dot, line, b"\r\n"].concat());
        text.extend([line, b"\r\n"].concat());
    }
    stuffed.extend(b".\r\n");
    (text, stuffed)
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
#[tokio::test]
async fn strangers_beyond_their_daily_share_get_452() {
    let config = MailConfig { strangers_mib_per_network_day: 1, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await.allowing_queued_mail(), config).await;
    let mut client = Client::connect(alice.addresses.smtp).await;
    client.command("EHLO bob.example").await;
    let long = format!("Subject: long\r\n\r\n{}\r\n.", "0123456789abcdef\r\n".repeat(70_000));
    envelope(&mut client).await;
    assert!(client.command("DATA").await.starts_with("354"));
    assert!(client.command(&long).await.starts_with("250"), "the last one may be longer");
    envelope(&mut client).await;
    assert!(client.command("DATA").await.starts_with("452 4.3.1 "));
    // Once the owner has written to a sender, the share does not matter.
    let submission = mailbox::Submission {
        id: mailbox::IdempotencyKey::new(&alice.node),
        from: "alice@alice.example".to_owned(),
        recipients: vec!["bob@bob.example".to_owned().into()],
        blob: alice.node.blobs.put(b"Subject: hello\r\n\r\n").unwrap(),
        copy_to_sent: false,
        request: mailbox::queue::ReportRequest::default(),
        limits: mailbox::queue::SendLimits::NONE,
        not_before: None,
    };
    mailbox::submit(&alice.node, submission).await.unwrap();
    envelope(&mut client).await;
    assert!(client.command("DATA").await.starts_with("354"));
    assert!(client.command("Subject: hello\r\n\r\n.").await.starts_with("250"));
    assert!(client.command("MAIL FROM:<eve@evil.example>").await.starts_with("250"));
    assert!(client.command("RCPT TO:<alice@alice.example>").await.starts_with("250"));
    assert!(client.command("DATA").await.starts_with("452 4.3.1 "));
    alice.node.clock.advance(24 * 60 * 60 * 1000);
    envelope(&mut client).await;
    assert!(client.command("DATA").await.starts_with("354"));
    drop(client);
    alice.close().await;
}

/// A message of 1.5 MB without the line that ends it.
fn long_message() -> String {
    format!("Subject: long\r\n\r\n{}", "0123456789abcdef\r\n".repeat(85_000))
}

#[tokio::test]
async fn messages_that_arrive_together_stay_within_the_share() {
    let config = MailConfig { strangers_mib_per_network_day: 3, ..MailConfig::default() };
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let orphans = || alice.node.blobs.orphan_paths(&alice.node.store).unwrap();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(alice.addresses.smtp).await;
        client.command("EHLO bob.example").await;
        envelope(&mut client).await;
        assert!(client.command("DATA").await.starts_with("354"));
        client.send(long_message().as_bytes()).await;
        client.send(b".\r").await;
        clients.push(client);
    }
    let mut replies = Vec::new();
    for client in &mut clients {
        client.send(b"\n").await;
        replies.push(client.reply().await);
    }
    replies.sort();
    assert!(replies[0].starts_with("250") && replies[2].starts_with("452 4.3.1 "), "{replies:?}");
    assert_eq!(orphans(), Vec::<std::path::PathBuf>::new());
    drop(clients);
    alice.close().await;
}

#[tokio::test]
async fn repeated_delivery_leaves_no_file() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let mut client = Client::connect(alice.addresses.smtp).await;
    client.command("EHLO bob.example").await;
    for _ in 0..3 {
        client.command("MAIL FROM:<bob@bob.example> ENVID=e1").await;
        client.command("RCPT TO:<alice@alice.example>").await;
        assert!(client.command("DATA").await.starts_with("354"));
        assert!(client.command(&format!("{}.", long_message())).await.starts_with("250"));
    }
    let orphans = alice.node.blobs.orphan_paths(&alice.node.store).unwrap();
    assert_eq!(orphans, Vec::<std::path::PathBuf>::new());
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 1);
    drop(client);
    alice.close().await;
}
