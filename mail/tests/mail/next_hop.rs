//! Next hops of every kind: the replies they give, the extensions they offer, and the reports that
//! follow.

use freehold_core::mailbox::SpecialUse;
use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::queue::{ClosedPort, in_queue, route, submit};
use crate::server::{Client, TestServer, texts, until};

/// The replies of a next hop that is played: by the command's name, and `.` for the text.
pub(crate) type Replies = &'static [(&'static str, &'static [u8])];

/// Plays a next hop for one message over as many connections as it takes, until its text was
/// answered; returns the commands it received.
pub(crate) async fn next_hop(listener: TcpListener, replies: Replies) -> Vec<String> {
    let mut commands = Vec::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.get_mut().write_all(b"220-old.test\r\n220 ready\r\n").await.unwrap();
        let mut is_text = false;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap() == 0 {
                break;
            }
            let line = line.trim_end().to_owned();
            let name = line.split(' ').next().unwrap();
            if is_text && line != "." {
                continue;
            }
            let reply = match replies.iter().find(|(known, _)| *known == name) {
                Some((_, reply)) => *reply,
                None if name == "EHLO" => b"250-old.test\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n",
                None if name == "DATA" => b"354 go on\r\n",
                None => b"250 ok\r\n",
            };
            is_text = name == "DATA" && reply.starts_with(b"354");
            commands.push(line.clone());
            stream.get_mut().write_all(reply).await.unwrap();
        }
        // After a refused EHLO the client may connect again.
        if commands.iter().any(|command| command == "DATA") {
            return commands;
        }
    }
}

/// Waits until the queue is empty: the removal after the last reply has no event.
pub(crate) async fn emptied(node: &Node) {
    let removed = async {
        while in_queue(node) > 0 {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, removed).await.expect("the message left the queue");
}

/// Sends one message to a next hop that gives these replies; returns the commands and what is in
/// the inbox afterwards.
async fn send_to(replies: Replies) -> (Vec<String>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = route("old.test", listener.local_addr().unwrap());
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let text = "Subject: hello\r\n\r\nhello";
    assert!(submit(&alice, &["bob@old.test"], text).await.starts_with("250"));
    let playing = tokio::spawn(next_hop(listener, replies));
    emptied(&alice.node).await;
    let reports = texts(&alice.node, SpecialUse::Inbox);
    alice.close().await;
    let limit = std::time::Duration::from_secs(20);
    (tokio::time::timeout(limit, playing).await.unwrap().unwrap(), reports)
}

#[tokio::test]
async fn accepted_message_is_not_sent_again_whatever_the_text() {
    for reply in [
        &b"250\r\n"[..],
        b"250 \xc4\xe3\xba\xc3\r\n",
        b"250-queued\r\n250\r\n",
        b"299 2.999.999 whatever\r\n",
        b"250 no CR\n",
    ] {
        let (commands, reports) = send_to(Box::leak(Box::new([(".", reply)]))).await;
        assert_eq!(commands.iter().filter(|line| *line == ".").count(), 1, "{commands:?}");
        assert_eq!(reports, Vec::<String>::new(), "{reply:?}");
    }
}

#[tokio::test]
async fn replies_without_text_to_every_command_are_understood() {
    let (commands, reports) = send_to(&[
        ("EHLO", b"250\r\n"),
        ("MAIL", b"250\r\n"),
        ("RCPT", b"251\r\n"),
        ("DATA", b"354\r\n"),
        (".", b"250\r\n"),
        ("QUIT", b"221\r\n"),
    ])
    .await;
    assert_eq!((commands.len(), reports.len()), (6, 0), "{commands:?}");
}

#[tokio::test]
async fn refusal_in_any_charset_is_reported_at_once() {
    for (reply, shown) in [
        (&b"550 bo\xeete inconnue\r\n"[..], "550 boîte inconnue"),
        (b"550\r\n", "smtp; 550\r\n"),
        (b"571 5.7.1 not from you\r\n", "Status: 5.7.1"),
    ] {
        let (_, reports) = send_to(Box::leak(Box::new([("DATA", reply)]))).await;
        assert_eq!(reports.len(), 1, "{reply:?}");
        assert!(reports[0].contains(shown), "{shown} in {}", reports[0]);
    }
}

#[tokio::test]
async fn reports_are_requested_from_a_server_that_offers_dsn() {
    for (hello, is_offered) in
        [(&b"250-old.test\r\n250 DSN\r\n"[..], true), (b"250 old.test\r\n", false)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = route("old.test", listener.local_addr().unwrap());
        let alice = TestServer::open(TestNode::new("alice").await, config).await;
        let mut client = Client::connect(alice.addresses.submission).await;
        client.command("EHLO laptop.test").await;
        client.login("alice", &alice.app_password).await;
        client.command("MAIL FROM:<alice@alice.example> RET=FULL ENVID=QQ+2B7").await;
        let rcpt = "RCPT TO:<bob@old.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob+2Bx@old.test";
        assert!(client.command(rcpt).await.starts_with("250"));
        assert!(client.command("DATA").await.starts_with("354"));
        assert!(client.command("Subject: hello\r\n\r\nhello\r\n.").await.starts_with("250"));
        let replies: Replies = Box::leak(Box::new([("EHLO", hello)]));
        let playing = tokio::spawn(next_hop(listener, replies));
        emptied(&alice.node).await;
        let reports = texts(&alice.node, SpecialUse::Inbox);
        alice.close().await;
        let commands = playing.await.unwrap();
        let sent = |start: &str| commands.iter().find(|line| line.starts_with(start)).unwrap();
        if is_offered {
            assert!(sent("MAIL").ends_with(" RET=FULL ENVID=QQ+2B7"), "{commands:?}");
            assert_eq!(*sent("RCPT"), rcpt);
            assert_eq!(reports.len(), 0, "the next hop reports");
        } else {
            assert_eq!(sent("RCPT"), "RCPT TO:<bob@old.test>");
            for part in [
                "Original-Envelope-Id: QQ+7\r\n",
                "Original-Recipient: rfc822; bob+x@old.test\r\n",
                "Action: relayed\r\n",
            ] {
                assert!(reports[0].contains(part), "{part} in {}", reports[0]);
            }
        }
    }
}

#[tokio::test]
async fn wanted_success_is_reported_across_nodes() {
    let closed = ClosedPort::new();
    let port = closed.address();
    let bob = TestServer::open(TestNode::new("bob").await, route("alice.example", port)).await;
    let config = route("bob.example", bob.addresses.smtp);
    let alice = TestServer::open_on(TestNode::new("alice").await, config, port).await;
    let mut client = Client::connect(alice.addresses.submission).await;
    client.command("EHLO laptop.test").await;
    client.login("alice", &alice.app_password).await;
    client.command("MAIL FROM:<alice@alice.example>").await;
    client.command("RCPT TO:<bob@bob.example> NOTIFY=SUCCESS").await;
    client.command("DATA").await;
    assert!(client.command("Subject: hello\r\n\r\nhello\r\n.").await.starts_with("250"));
    until(&alice.node, || texts(&alice.node, SpecialUse::Inbox).len() == 1).await;
    let report = texts(&alice.node, SpecialUse::Inbox).pop().unwrap();
    assert!(report.starts_with("Return-Path: <>\r\n"), "{report}");
    assert!(report.contains("rfc822; bob@bob.example\r\nAction: delivered\r\n"), "{report}");
    // A message without a wish, and one from a sender without a route, are not reported.
    let mut stranger = Client::connect(bob.addresses.smtp).await;
    stranger.command("EHLO other.test").await;
    for sender in ["stranger@other.test", ""] {
        stranger.command(&format!("MAIL FROM:<{sender}>")).await;
        stranger.command("RCPT TO:<bob@bob.example> NOTIFY=SUCCESS").await;
        stranger.command("DATA").await;
        assert!(stranger.command("Subject: x\r\n\r\ny\r\n.").await.starts_with("250"));
    }
    emptied(&bob.node).await;
    alice.close().await;
    bob.close().await;
}

#[tokio::test]
async fn refused_ehlo_is_followed_by_helo() {
    let refusal: Replies = &[("EHLO", b"502 unknown\r\n")];
    for replies in [&[][..], refusal] {
        let refuses_ehlo = !replies.is_empty();
        let (commands, _) = send_to(replies).await;
        let hellos: Vec<&str> =
            commands.iter().filter_map(|line| line.strip_suffix(" alice.example")).collect();
        let mail = commands.iter().find(|line| line.starts_with("MAIL")).unwrap();
        if refuses_ehlo {
            assert_eq!(hellos, ["EHLO", "HELO"], "{commands:?}");
            assert_eq!(mail, "MAIL FROM:<alice@alice.example>");
        } else {
            assert_eq!(hellos, ["EHLO"], "EHLO is sent once: {commands:?}");
            assert!(mail.contains(" SIZE=") && mail.contains(" BODY=8BITMIME"), "{mail}");
        }
    }
}

#[tokio::test]
async fn raw_subject_reaches_a_server_without_smtputf8() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = route("old.test", listener.local_addr().unwrap());
    let alice = TestServer::open(TestNode::new("alice").await, config).await;
    let text = "From: Älice <alice@alice.example>\r\nSubject: Grüße\r\n\r\nGrüße";
    assert!(submit(&alice, &["bob@old.test"], text).await.starts_with("250"));
    let playing = tokio::spawn(next_hop(listener, &[]));
    emptied(&alice.node).await;
    assert_eq!(texts(&alice.node, SpecialUse::Inbox), Vec::<String>::new(), "no report");
    let sent = texts(&alice.node, SpecialUse::Sent).concat();
    let (header, body) = sent.split_once("\r\n\r\n").unwrap();
    assert!(header.is_ascii() && header.contains("Subject: =?utf-8?B?"), "{header}");
    assert_eq!(body, "Grüße\r\n");
    alice.close().await;
    let limit = std::time::Duration::from_secs(20);
    let commands = tokio::time::timeout(limit, playing).await.unwrap().unwrap();
    let mail = commands.iter().find(|line| line.starts_with("MAIL")).unwrap();
    assert!(!mail.contains("SMTPUTF8") && mail.contains("BODY=8BITMIME"), "{mail}");
}
