//! Several messages for one next hop: over one connection, over new ones where the next hop closes
//! it, and without a try of their own where it does not answer.

use std::sync::{Arc, Mutex};

use freehold_core::mailbox::queue::queued;
use freehold_core::mailbox::{SpecialUse, due};
use freehold_core::testing::TestNode;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::imap::TIMEOUT;
use crate::next_hop::emptied;
use crate::queue::{ClosedPort, advance, first, in_queue, route, submit};
use crate::server::{TestServer, texts, until};

/// When the next hop ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Never.
    Endless,
    /// It closes the connection after the reply to a message.
    OneMessage,
    /// It replies to MAIL of the second message with 421 and closes the connection.
    OneMail,
    /// It replies to MAIL on its first connection with 451.
    Later,
    /// It closes the connection when the text of the second message has begun.
    OneText,
}

/// The subject of each message that a next hop has accepted, with the number of its connection.
type Accepted = Arc<Mutex<Vec<(usize, String)>>>;

/// Plays a next hop until the test ends.
async fn play(listener: TcpListener, patience: Patience, accepted: Accepted) {
    for number in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, patience, number, Arc::clone(&accepted)));
    }
}

/// One connection. `None` when it ends.
async fn converse(
    stream: TcpStream,
    patience: Patience,
    number: usize,
    accepted: Accepted,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"220 hop.test\r\n").await.ok()?;
    let (mut messages, mut subject, mut is_text) = (0, String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if is_text && line != "." {
            if messages == 1 && patience == Patience::OneText {
                return None;
            }
            subject = line.strip_prefix("Subject: ").map_or(subject, str::to_owned);
            continue;
        }
        let reply = match line.split(' ').next().unwrap_or_default() {
            "MAIL" if messages == 1 && patience == Patience::OneMail => "421 enough\r\n",
            "MAIL" if number == 0 && patience == Patience::Later => "451 come later\r\n",
            "DATA" => "354 go on\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        if is_text {
            accepted.lock().unwrap().push((number, subject.clone()));
            messages += 1;
        }
        is_text = reply.starts_with("354");
        stream.get_mut().write_all(reply.as_bytes()).await.ok()?;
        let is_over = messages == 1 && patience == Patience::OneMessage;
        if is_over || reply.starts_with("421") || reply.starts_with("221") {
            return None;
        }
    }
}

/// Sends seven messages to a next hop that is ready when all are queued. Returns the messages that
/// it got, in order, and the number of its connections.
async fn send_seven(patience: Patience) -> (Vec<String>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = route("hop.test", listener.local_addr().unwrap());
    let alice = TestServer::open(TestNode::new("alice").await, config.clone()).await;
    for number in 0..7 {
        let text = format!("Subject: {number}\r\n\r\nhello");
        assert!(submit(&alice, &["bob@hop.test"], &text).await.starts_with("250"));
    }
    // A node that starts finds all of them at once.
    let TestServer { node, mail, .. } = alice;
    mail.shutdown(TIMEOUT).await;
    let alice = TestServer::open(node, config).await;
    let accepted = Accepted::default();
    let playing = tokio::spawn(play(listener, patience, Arc::clone(&accepted)));
    if patience == Patience::OneText {
        // The connection failed in the middle of a message, which waits for its next attempt.
        until(&alice.node, || first(&alice.node).attempts == 1).await;
        let waiting = first(&alice.node);
        assert!(waiting.last_reply.starts_with("451 4.4.2"), "{waiting:?}");
        let none_is_due = || due(&alice.node, alice.node.clock.now(), 1).unwrap().is_empty();
        while in_queue(&alice.node) > 0 {
            advance(&alice, 60_000);
            until(&alice.node, none_is_due).await;
        }
    }
    emptied(&alice.node).await;
    assert_eq!(texts(&alice.node, SpecialUse::Inbox), Vec::<String>::new());
    alice.close().await;
    playing.abort();
    let mut accepted = accepted.lock().unwrap().clone();
    let mut connections: Vec<usize> = accepted.iter().map(|(number, _)| *number).collect();
    connections.sort_unstable();
    connections.dedup();
    accepted.sort_by(|one, other| one.1.cmp(&other.1));
    (accepted.into_iter().map(|(_, subject)| subject).collect(), connections.len())
}

#[tokio::test]
async fn messages_for_one_next_hop_share_connections() {
    let (messages, connections) = send_seven(Patience::Endless).await;
    assert_eq!(messages, ["0", "1", "2", "3", "4", "5", "6"]);
    assert!(connections <= 2, "{connections} connections");
}

#[tokio::test]
async fn closed_connection_neither_loses_nor_repeats_a_message() {
    for patience in [Patience::OneMessage, Patience::OneMail, Patience::OneText] {
        let (messages, connections) = send_seven(patience).await;
        assert_eq!(messages, ["0", "1", "2", "3", "4", "5", "6"], "{patience:?}");
        assert_eq!(connections, 7, "{patience:?}");
    }
}

#[tokio::test]
async fn unanswered_next_hop_is_not_tried_for_each_message() {
    let closed = ClosedPort::new();
    let address = closed.address();
    let alice = TestServer::open(TestNode::new("alice").await, route("hop.test", address)).await;
    assert!(submit(&alice, &["bob@hop.test"], "Subject: one\r\n\r\n").await.starts_with("250"));
    until(&alice.node, || first(&alice.node).attempts == 1).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(16).unwrap();
    assert!(submit(&alice, &["bob@hop.test"], "Subject: two\r\n\r\n").await.starts_with("250"));
    let items = || queued(&alice.node, 10).unwrap();
    until(&alice.node, || items().iter().all(|item| item.recipients[0].attempts == 1)).await;
    for item in items() {
        assert!(item.recipients[0].last_reply.contains("is unreachable"), "{item:?}");
    }
    // The next hop answers at the time of the next attempt.
    let accepted = Accepted::default();
    let playing = tokio::spawn(play(listener, Patience::Endless, Arc::clone(&accepted)));
    advance(&alice, 1000);
    emptied(&alice.node).await;
    alice.close().await;
    playing.abort();
    let mut subjects: Vec<String> =
        accepted.lock().unwrap().iter().map(|(_, subject)| subject.clone()).collect();
    subjects.sort();
    assert_eq!(subjects, ["one", "two"]);
}

#[tokio::test]
async fn silent_next_hop_does_not_delay_another() {
    let (silent, answering) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let mut config = route("silent.test", silent.local_addr().unwrap());
    let server = answering.local_addr().unwrap().to_string();
    config.routes.insert("hop.test".to_owned(), server);
    let alice = TestServer::open(TestNode::new("alice").await.allowing_queued_mail(), config).await;
    for _ in 0..20 {
        let text = "Subject: x\r\n\r\n";
        assert!(submit(&alice, &["bob@silent.test"], text).await.starts_with("250"));
    }
    // One message for both: each has a result of its own.
    let text = "Subject: both\r\n\r\n";
    assert!(submit(&alice, &["a@silent.test", "b@hop.test"], text).await.starts_with("250"));
    let accepted = Accepted::default();
    let playing = tokio::spawn(play(answering, Patience::Endless, Arc::clone(&accepted)));
    let is_delivered = || {
        let items = queued(&alice.node, 100).unwrap();
        items.iter().any(|item| item.recipients.iter().any(|to| to.attempts == 1))
    };
    until(&alice.node, is_delivered).await;
    assert_eq!(accepted.lock().unwrap().clone(), [(0, "both".to_owned())]);
    alice.close().await;
    playing.abort();
}

#[tokio::test]
async fn retry_does_not_wait_for_another_recipient() {
    let (silent, answering) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let mut config = route("silent.test", silent.local_addr().unwrap());
    let server = answering.local_addr().unwrap();
    config.routes.insert("hop.test".to_owned(), server.to_string());
    let alice = TestServer::open(TestNode::new("alice").await.allowing_queued_mail(), config).await;
    let accepted = Accepted::default();
    let playing = tokio::spawn(play(answering, Patience::Later, Arc::clone(&accepted)));
    let text = "Subject: both\r\n\r\n";
    assert!(submit(&alice, &["a@silent.test", "b@hop.test"], text).await.starts_with("250"));
    let attempts = |address: &str| {
        let item = queued(&alice.node, 1).unwrap().remove(0);
        item.recipients.iter().find(|to| to.address == address).unwrap().attempts
    };
    until(&alice.node, || attempts("b@hop.test") == 1).await;
    assert_eq!(accepted.lock().unwrap().len(), 0, "it was told to come later");
    advance(&alice, 60_000);
    until(&alice.node, || attempts("b@hop.test") == 2).await;
    assert_eq!(accepted.lock().unwrap().len(), 1);
    assert_eq!(attempts("a@silent.test"), 0, "the other attempt is still running");
    alice.close().await;
    playing.abort();
}
