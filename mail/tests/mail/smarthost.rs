//! Mail for the world goes by the smarthost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use freehold_core::mailbox::SpecialUse;
use freehold_core::smarthost::{self, Smarthost};
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

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

/// Plays a smarthost that takes one connection at a time, and refuses a second one at `refused_at`,
/// by its greeting (`220`) or a command. The first message is answered when a connection was
/// refused. Returns the subjects of the messages.
async fn takes_one_connection(listener: TcpListener, refused_at: &'static str) -> Vec<String> {
    let subjects = Arc::new(Mutex::new(Vec::new()));
    let refused = Arc::new(Notify::new());
    let open = Arc::new(AtomicUsize::new(0));
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (subjects, refused, open) = (subjects.clone(), refused.clone(), open.clone());
                conversations.spawn(async move {
                    let stream = accepted.unwrap().0;
                    let is_second = open.fetch_add(1, Ordering::SeqCst) > 0;
                    let refused_at = is_second.then_some(refused_at);
                    let _ = converse(stream, refused_at, &refused, &subjects).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
            Some(_) = conversations.join_next() => {
                if subjects.lock().unwrap().len() == 3 {
                    return subjects.lock().unwrap().clone();
                }
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    refused_at: Option<&str>,
    refused: &Notify,
    subjects: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut name, mut is_text) = ("220".to_owned(), false);
    loop {
        let reply: &[u8] = match name.as_str() {
            name if refused_at == Some(name) => b"421 4.7.0 too many connections\r\n",
            "220" => b"220 ready\r\n",
            "EHLO" => OFFER,
            "AUTH" => b"235 ok\r\n",
            "DATA" => b"354 go on\r\n",
            _ => b"250 ok\r\n",
        };
        if name == "." && subjects.lock().unwrap().len() == 1 {
            refused.notified().await;
        }
        stream.get_mut().write_all(reply).await?;
        if reply.starts_with(b"421") {
            // The client has seen it when it leaves.
            while stream.read_line(&mut String::new()).await.is_ok_and(|len| len > 0) {}
            refused.notify_one();
            return Ok(());
        }
        is_text = reply.starts_with(b"354") || is_text && name != ".";
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            if let Some(subject) = line.strip_prefix("Subject: ").filter(|_| is_text) {
                subjects.lock().unwrap().push(subject.to_owned());
            }
            name = line.split(' ').next().unwrap().to_owned();
            if !is_text || name == "." {
                break;
            }
        }
    }
}

#[tokio::test]
async fn refused_second_connection_is_no_fault() {
    for refused_at in ["220", "EHLO", "AUTH", "MAIL"] {
        let (alice, listener) = server().await;
        let playing = tokio::spawn(takes_one_connection(listener, refused_at));
        until(&alice.node, || tried(&alice) == Some(None)).await;
        for number in 0..3 {
            let text = format!("Subject: {number}\r\n\r\nhello");
            assert!(submit(&alice, &["bob@far.example"], &text).await.starts_with("250"));
        }
        emptied(&alice.node).await;
        assert_eq!(tried(&alice), Some(None), "{refused_at}");
        assert_eq!(texts(&alice.node, SpecialUse::Inbox), Vec::<String>::new());
        alice.close().await;
        let mut subjects = playing.await.unwrap();
        subjects.sort_unstable();
        assert_eq!(subjects, ["0", "1", "2"], "{refused_at}");
    }
}
