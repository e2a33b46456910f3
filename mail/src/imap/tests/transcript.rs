//! Plays a transcript. `C:` is a line from the client, `S:` one from the server; `C2:` and `S2:`
//! are a second session.
//!
//! `C|` lines are the content of a literal, whose length is written as `{n}` or `{n+}`; in them and
//! in `|` lines `\0` is an octet of zero. In an `S:` line `…` stands for any text. A status
//! response (OK, NO, BAD, BYE) or `+` that ends after its status and response code leaves the
//! human-readable text free; without a response code there must be none. `@ deliver FOLDER` with
//! `|` lines stores a message in a folder; `@ link cleartext|loopback|tls` sets the privacy of the
//! following sessions. `S: <close>`, `S: <tls>` and `S: <deflate>` are actions of the connection.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use freehold_core::logins;
use freehold_core::mailbox::{self, Delivery, Flags, IdempotencyKey};
use freehold_core::node::Node;
use freehold_core::publish;
use freehold_core::testing::{TestNode, profile_of};

use super::oracle;
use crate::imap::context::Shared;
use crate::imap::exchange::Exchange;
use crate::imap::link::{Link, Privacy};
use crate::imap::session::{Session, Step, Watched};
use crate::sasl::ScramOffer;

/// How input reaches the session.
#[derive(Clone, Copy)]
pub(super) enum Feed {
    Whole,
    Bytes,
    Pieces(usize),
}

enum Line {
    Client(u8, Vec<u8>),
    Server(u8, String),
    Deliver(String, Vec<u8>),
    Link(Privacy),
}

pub(super) struct Play {
    name: String,
    lines: Vec<Line>,
}

struct TestSession {
    session: Session,
    exchange: Exchange,
    /// Lines that the server sent and the transcript has not reached.
    received: Vec<String>,
}

impl Play {
    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    pub(super) fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap();
        let mut lines: Vec<Line> = Vec::new();
        let mut rest = text.lines().peekable();
        while let Some(line) = rest.next() {
            let Some((mark, line)) =
                line.split_once([':', '|', '@']).filter(|_| !line.starts_with('#'))
            else {
                continue;
            };
            let line = line.strip_prefix(' ').unwrap_or(line);
            let number = mark
                .chars()
                .nth(1)
                .and_then(|digit| digit.to_digit(10))
                .map_or(1, |number| number as u8);
            match mark.chars().next() {
                Some('C') => {
                    let mut bytes = Vec::new();
                    let mut literal = Vec::new();
                    while let Some(more) = rest.next_if(|line| line.starts_with("C|")) {
                        literal.extend_from_slice(&unescaped(
                            more[2..].strip_prefix(' ').unwrap_or(&more[2..]),
                        ));
                        literal.extend_from_slice(b"\r\n");
                    }
                    let len = literal.len();
                    bytes.extend_from_slice(
                        line.replace("{n}", &format!("{{{len}}}"))
                            .replace("{n+}", &format!("{{{len}+}}"))
                            .as_bytes(),
                    );
                    bytes.extend_from_slice(b"\r\n");
                    if !literal.is_empty() {
                        bytes.extend_from_slice(&literal);
                        bytes.extend_from_slice(b"\r\n");
                    }
                    lines.push(Line::Client(number, bytes));
                }
                Some('S') => lines.push(Line::Server(number, line.to_owned())),
                None if line.starts_with("link ") => lines.push(Line::Link(match &line[5..] {
                    "cleartext" => Privacy::Cleartext,
                    "tls" => Privacy::Tls,
                    _ => Privacy::Loopback,
                })),
                None if line.starts_with("deliver ") => {
                    let folder = line[8..].to_owned();
                    let mut message = Vec::new();
                    while let Some(more) = rest.next_if(|line| line.starts_with('|')) {
                        message.extend_from_slice(&unescaped(
                            more[1..].strip_prefix(' ').unwrap_or(&more[1..]),
                        ));
                        message.extend_from_slice(b"\r\n");
                    }
                    lines.push(Line::Deliver(folder, message));
                }
                _ => {}
            }
        }
        Self { name: file.file_name().unwrap().to_string_lossy().into_owned(), lines }
    }

    pub(super) async fn run(&self, feed: Feed) {
        let (node, password) = test_node().await;
        let mut privacy = Privacy::Loopback;
        let mut sessions: BTreeMap<u8, TestSession> = BTreeMap::new();
        for line in &self.lines {
            match line {
                Line::Link(link) => privacy = *link,
                Line::Deliver(folder, message) => {
                    deliver(&node, folder, message).await;
                    report_changes(&mut sessions).await;
                }
                Line::Client(number, bytes) => {
                    let plain = BASE64.encode(format!("\0alice\0{password}").as_bytes());
                    let text = String::from_utf8_lossy(bytes)
                        .replace("$PASSWORD", &password)
                        .replace("$UIDVALIDITY", &uid_validity(&node))
                        .replace("$PLAIN", &plain);
                    let session =
                        sessions.entry(*number).or_insert_with(|| TestSession::new(&node, privacy));
                    session.assert_all_expected(&self.name);
                    oracle::assert_same_verdict(&text);
                    match feed {
                        Feed::Whole => session.feed(text.as_bytes()).await,
                        Feed::Bytes => {
                            for byte in text.as_bytes() {
                                session.feed(&[*byte]).await;
                            }
                        }
                        Feed::Pieces(len) => {
                            for piece in text.as_bytes().chunks(len) {
                                session.feed(piece).await;
                            }
                        }
                    }
                    report_changes(&mut sessions).await;
                }
                Line::Server(number, wanted) => {
                    let session =
                        sessions.entry(*number).or_insert_with(|| TestSession::new(&node, privacy));
                    if session.received.is_empty() {
                        panic!("{}: the server sent nothing, not {wanted:?}", self.name);
                    }
                    let line = session.received.remove(0);
                    assert!(
                        matches(wanted, &line),
                        "{}:\nwanted {wanted}\n   got {line}\n  then {:#?}",
                        self.name,
                        session.received
                    );
                }
            }
        }
        for session in sessions.values() {
            session.assert_all_expected(&self.name);
        }
    }
}

/// The octets of a line of a literal or a message.
fn unescaped(line: &str) -> Vec<u8> {
    line.replace("\\0", "\0").into_bytes()
}

/// Reports changes to idle sessions, as an event does.
async fn report_changes(sessions: &mut BTreeMap<u8, TestSession>) {
    for session in sessions.values_mut() {
        session.session.folder_changed();
        if session.session.watched() != Watched::Nothing {
            session.run().await;
        }
    }
}

impl TestSession {
    fn new(node: &Node, privacy: Privacy) -> Self {
        let (session, exchange) = session(node, privacy);
        let mut session = Self { session, exchange, received: Vec::new() };
        session.read_output();
        session
    }

    async fn feed(&mut self, bytes: &[u8]) {
        self.session.receive(bytes);
        self.run().await;
    }

    async fn run(&mut self) {
        let action = match run(&mut self.session, &mut self.exchange).await {
            Step::StartTls => Some("<tls>"),
            Step::Compress => Some("<deflate>"),
            Step::Close => Some("<close>"),
            _ => None,
        };
        self.read_output();
        self.received.extend(action.map(str::to_owned));
        if action == Some("<tls>") {
            self.session.tls_started();
        }
    }

    fn read_output(&mut self) {
        let bytes = self.session.take_output();
        oracle::assert_readable(&bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(text) = text.strip_suffix("\r\n") {
            self.received.extend(text.split("\r\n").map(str::to_owned));
        } else {
            assert!(text.is_empty(), "an incomplete line: {text:?}");
        }
    }

    fn assert_all_expected(&self, transcript: &str) {
        let received = &self.received;
        assert!(received.is_empty(), "{transcript}: the server also sent {received:?}");
    }
}

/// Runs a session until it needs input or ends; drops nothing of its output.
async fn run(session: &mut Session, exchange: &mut Exchange) -> Step {
    loop {
        let mut step = session.step();
        while let Step::Ask(question) = step {
            let (answer, output) = exchange.answer(question).await;
            step = session.answer(answer, output);
        }
        if !matches!(step, Step::More) {
            return step;
        }
    }
}

fn matches(wanted: &str, line: &str) -> bool {
    if leaves_text_free(wanted) {
        let text = line.strip_prefix(wanted);
        return text.is_some_and(|text| {
            text.is_empty() || (text.starts_with(' ') && !text.starts_with(" ["))
        });
    }
    let mut parts = wanted.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut is_open = false;
    for part in parts {
        is_open = true;
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        if !part.is_empty() {
            is_open = false;
        }
    }
    is_open || rest.is_empty()
}

/// True for `+`, and for a status response that ends after its status or its response code.
fn leaves_text_free(wanted: &str) -> bool {
    let mut words = wanted.splitn(3, ' ');
    let (Some(tag), status, code) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let is_status = status.is_some_and(|status| matches!(status, "OK" | "NO" | "BAD" | "BYE"));
    let is_code =
        code.is_none_or(|code| code.starts_with('[') && code.ends_with(']') && !code.contains('…'));
    (is_status && is_code) || (tag == "+" && status.is_none())
}

/// The UIDVALIDITY of INBOX.
fn uid_validity(node: &Node) -> String {
    mailbox::folder_named(node, "INBOX").unwrap().unwrap().uid_validity.to_string()
}

async fn test_node() -> (TestNode, String) {
    let node = TestNode::without_owner("alice").await;
    publish::profile(&node, profile_of("alice")).await.unwrap();
    let (_, password) = logins::create_app_password(&node, "test").await.unwrap();
    (node, password)
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
pub(super) async fn deliver(node: &Node, folder: &str, message: &[u8]) {
    let folder = mailbox::folder_named(node, folder).unwrap().unwrap().id;
    let blob = node.blobs.put(message).unwrap();
    let delivery = Delivery {
        folder,
        blob,
        id: IdempotencyKey::new(node),
        internal_date: node.clock.now(),
        flags: Flags::default(),
    };
    mailbox::deliver(node, delivery).await.unwrap();
}

fn session(node: &Node, privacy: Privacy) -> (Session, Exchange) {
    let message_len_max = 1_000_000;
    let shared = Arc::new(Shared::new(message_len_max));
    let may_start_tls = privacy != Privacy::Tls;
    let scram = ScramOffer { is_advertised: true, binding: None };
    let link = Link { privacy, may_start_tls, scram, is_compressed: false, message_len_max };
    (Session::new(link), Exchange::new(node.clone(), shared, Ipv4Addr::LOCALHOST.into()))
}

/// A client that is logged in, and its node.
pub(super) struct Client {
    pub(super) node: TestNode,
    password: String,
    session: Session,
    exchange: Exchange,
}

impl Client {
    pub(super) async fn start() -> Self {
        let (node, password) = test_node().await;
        let (session, exchange) = session(&node, Privacy::Loopback);
        let mut client = Self { node, password, session, exchange };
        client.log_in().await;
        client
    }

    /// Begins another session.
    pub(super) async fn restart(&mut self) {
        (self.session, self.exchange) = session(&self.node, Privacy::Loopback);
        self.log_in().await;
    }

    async fn log_in(&mut self) {
        let login = format!("l LOGIN alice {}\r\n", self.password);
        assert!(self.send(&login).await.contains("l OK"));
    }

    /// Sends input and returns what the server sends.
    pub(super) async fn send(&mut self, input: &str) -> String {
        self.session.receive(input.as_bytes());
        run(&mut self.session, &mut self.exchange).await;
        String::from_utf8(self.session.take_output()).unwrap()
    }
}

/// All that the server sends to a session that logs in and then sends `input` at once.
pub(super) async fn answers(input: &str) -> String {
    let (node, password) = test_node().await;
    let (mut session, mut exchange) = session(&node, Privacy::Loopback);
    session.receive(format!("l LOGIN alice {password}\r\n{input}").as_bytes());
    run(&mut session, &mut exchange).await;
    String::from_utf8(session.take_output()).unwrap()
}

/// Feeds bytes to a session; true when it closes.
pub(super) async fn feed_all(pieces: &[Vec<u8>], logged_in: bool) -> bool {
    let (node, password) = test_node().await;
    deliver(&node, "INBOX", b"Subject: x\r\n\r\nbody\r\n").await;
    let (mut session, mut exchange) = session(&node, Privacy::Loopback);
    if logged_in {
        session.receive(format!("l LOGIN alice {password}\r\ns SELECT INBOX\r\n").as_bytes());
    }
    for piece in pieces {
        session.receive(piece);
        loop {
            match run(&mut session, &mut exchange).await {
                Step::StartTls => session.tls_started(),
                Step::Close => return true,
                _ => break,
            }
        }
        session.take_output();
    }
    false
}
