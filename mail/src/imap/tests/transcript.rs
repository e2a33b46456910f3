//! Plays a transcript. `C:` is a line from the client, `S:` one from the server; `C2:` and `S2:`
//! are a second session.
//! `C|` lines are a literal's content, whose length stands where `{n}` or `{n+}` is written. `…` stands for anything.
//! `@ deliver FOLDER` with `|` lines puts a message there; `@ link open|loopback|tls` says how sessions come in.
//! `S: <close>` and `S: <tls>` are what the connection does.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use freehold_core::blobs::AtRest;
use freehold_core::logins;
use freehold_core::mailbox::{self, Delivery, Flags, IdempotencyKey};
use freehold_core::node::Node;
use freehold_core::publish;
use freehold_core::testing::{TestNode, profile_of};

use super::oracle;
use crate::imap::context::{Context, Link, Privacy, Shared};
use crate::imap::outlines::Outlines;
use crate::imap::print::Printer;
use crate::imap::session::{Session, Step};

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

struct Seat {
    session: Session,
    /// Lines the server said and the transcript has not come to.
    said: Vec<String>,
}

impl Play {
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
            let who =
                mark.chars().nth(1).and_then(|who| who.to_digit(10)).map_or(1, |who| who as u8);
            match mark.chars().next() {
                Some('C') => {
                    let mut bytes = Vec::new();
                    let mut literal = Vec::new();
                    while let Some(more) = rest.next_if(|line| line.starts_with("C|")) {
                        literal.extend_from_slice(
                            more[2..].strip_prefix(' ').unwrap_or(&more[2..]).as_bytes(),
                        );
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
                    lines.push(Line::Client(who, bytes));
                }
                Some('S') => lines.push(Line::Server(who, line.to_owned())),
                None if line.starts_with("link ") => lines.push(Line::Link(match &line[5..] {
                    "open" => Privacy::Open,
                    "tls" => Privacy::Tls,
                    _ => Privacy::Loopback,
                })),
                None if line.starts_with("deliver ") => {
                    let folder = line[8..].to_owned();
                    let mut message = Vec::new();
                    while let Some(more) = rest.next_if(|line| line.starts_with('|')) {
                        message.extend_from_slice(
                            more[1..].strip_prefix(' ').unwrap_or(&more[1..]).as_bytes(),
                        );
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
        let (node, password) = home().await;
        let mut privacy = Privacy::Loopback;
        let mut seats: BTreeMap<u8, Seat> = BTreeMap::new();
        for line in &self.lines {
            match line {
                Line::Link(link) => privacy = *link,
                Line::Deliver(folder, message) => {
                    deliver(&node, folder, message).await;
                    wake(&mut seats);
                }
                Line::Client(who, bytes) => {
                    let plain = BASE64.encode(format!("\0alice\0{password}").as_bytes());
                    let text = String::from_utf8_lossy(bytes)
                        .replace("$PASSWORD", &password)
                        .replace("$PLAIN", &plain);
                    let seat = seats.entry(*who).or_insert_with(|| Seat::new(&node, privacy));
                    assert!(
                        seat.said.is_empty(),
                        "{}: the server also said {:?}",
                        self.name,
                        seat.said
                    );
                    oracle::command(&text);
                    match feed {
                        Feed::Whole => seat.feed(text.as_bytes()).await,
                        Feed::Bytes => {
                            for byte in text.as_bytes() {
                                seat.feed(&[*byte]).await;
                            }
                        }
                        Feed::Pieces(len) => {
                            for piece in text.as_bytes().chunks(len) {
                                seat.feed(piece).await;
                            }
                        }
                    }
                    wake(&mut seats);
                }
                Line::Server(who, wanted) => {
                    let seat = seats.entry(*who).or_insert_with(|| Seat::new(&node, privacy));
                    if seat.said.is_empty() {
                        panic!("{}: the server said nothing, not {wanted:?}", self.name);
                    }
                    let said = seat.said.remove(0);
                    assert!(
                        matches(wanted, &said),
                        "{}:\nwanted {wanted}\n   got {said}\n  then {:#?}",
                        self.name,
                        seat.said
                    );
                }
            }
        }
        for seat in seats.values() {
            assert!(seat.said.is_empty(), "{}: the server also said {:?}", self.name, seat.said);
        }
    }
}

/// What changed reaches idle sessions as an event would.
fn wake(seats: &mut BTreeMap<u8, Seat>) {
    for seat in seats.values_mut() {
        seat.session.wake();
        seat.listen();
    }
}

impl Seat {
    fn new(node: &Node, privacy: Privacy) -> Self {
        let mut seat = Self { session: session(node, privacy), said: Vec::new() };
        seat.listen();
        seat
    }

    async fn feed(&mut self, bytes: &[u8]) {
        self.session.receive(bytes);
        loop {
            let step = self.session.step().await;
            match step {
                Step::More => {}
                Step::Read => break,
                Step::StartTls => {
                    self.listen();
                    self.said.push("<tls>".to_owned());
                    self.session.tls_started();
                    return;
                }
                Step::Close => {
                    self.listen();
                    self.said.push("<close>".to_owned());
                    return;
                }
            }
        }
        self.listen();
    }

    fn listen(&mut self) {
        let bytes = self.session.take_output();
        oracle::responses(&bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(text) = text.strip_suffix("\r\n") {
            self.said.extend(text.split("\r\n").map(str::to_owned));
        } else {
            assert!(text.is_empty(), "half a line: {text:?}");
        }
    }
}

fn matches(wanted: &str, said: &str) -> bool {
    let mut parts = wanted.split('…');
    let Some(mut rest) = said.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut open = false;
    for part in parts {
        open = true;
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        if !part.is_empty() {
            open = false;
        }
    }
    open || rest.is_empty()
}

async fn home() -> (TestNode, String) {
    let node = TestNode::without_owner("alice").await;
    publish::profile(&node, profile_of("alice")).await.unwrap();
    let (_, password) = logins::create_app_password(&node, "test").await.unwrap();
    (node, password)
}

async fn deliver(node: &Node, folder: &str, message: &[u8]) {
    let folder = mailbox::folder_named(node, folder).unwrap().unwrap().id;
    let blob = node.blobs.put(message, AtRest::Sealed).unwrap();
    let delivery = Delivery {
        folder,
        blob,
        id: IdempotencyKey::new(node),
        internal_date: node.clock.now(),
        flags: Flags::default(),
    };
    mailbox::deliver(node, delivery).await.unwrap();
}

fn session(node: &Node, privacy: Privacy) -> Session {
    let shared = Arc::new(Shared { message_len_max: 1_000_000, outlines: Outlines::default() });
    let link = Link {
        privacy,
        may_start_tls: privacy != Privacy::Tls,
        from: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    Session::new(Context {
        node: node.clone(),
        shared,
        out: Printer::default(),
        link,
        condstore: false,
    })
}

/// Throws bytes at a session; true when it closes.
pub(super) async fn throw(pieces: &[Vec<u8>], logged_in: bool) -> bool {
    let (node, password) = home().await;
    deliver(&node, "INBOX", b"Subject: x\r\n\r\nbody\r\n").await;
    let mut session = session(&node, Privacy::Loopback);
    if logged_in {
        session.receive(format!("l LOGIN alice {password}\r\ns SELECT INBOX\r\n").as_bytes());
    }
    for piece in pieces {
        session.receive(piece);
        loop {
            match session.step().await {
                Step::More => {}
                Step::Read => break,
                Step::StartTls => session.tls_started(),
                Step::Close => return true,
            }
            session.take_output();
        }
    }
    false
}
