//! Transcripts of SMTP sessions: `C:` is a line from the client, `S:` one from the server, `#` a
//! comment.
//!
//! Every `C:` line ends with CR LF unless escapes say otherwise: `\r`, `\n`, `\0`, `\\`, `\xHH`,
//! and `\` at the very end for no line end. A run of `C:` lines is sent at once. In an `S:` line
//! `*` matches any text, and a line that ends after its code and enhanced status code matches any
//! text after them. `@whole` is for a session whose result depends on the cut of the input; every
//! other session must have the same result with the input cut in two at any byte. `@submit`,
//! `@cleartext`, `@tls` and `@size N` set the parameters. `M:` lines must be in the inbox at the
//! end (in this order, among others), in `@stored N` messages.

use std::sync::Arc;

use freehold_core::mailbox::{self, FlagChange, Flags, SpecialUse};
use freehold_core::node::Node;
use freehold_core::publish;
use freehold_core::testing::{TestNode, profile_of};
use freehold_mail::MailConfig;
use freehold_mail::sasl::ScramOffer;
use freehold_mail::smtp::exchange::Exchange;
use freehold_mail::smtp::session::{Role, Session, Settings, Step};
use freehold_mail::smtp::trace::Peer;
use freehold_mail::state::MailState;

use crate::server::{texts, tls};

/// One session.
pub struct Transcript {
    settings: Settings,
    whole: bool,
    turns: Vec<Turn>,
    stored: Vec<String>,
    stored_count: Option<usize>,
}

/// Lines that the client sends at once, and the expected replies.
#[derive(Default)]
struct Turn {
    input: Vec<u8>,
    replies: Vec<String>,
}

impl Transcript {
    pub fn read(text: &str) -> Self {
        let settings = Settings {
            hostname: "alice.example".into(),
            role: Role::Receive,
            tls: false,
            cleartext_login: false,
            scram: ScramOffer { is_advertised: true, binding: None },
            message_len_max: 100_000,
        };
        let mut transcript = Self {
            settings,
            whole: false,
            turns: vec![Turn::default()],
            stored: Vec::new(),
            stored_count: None,
        };
        for line in text.lines() {
            if let Some(input) = line.strip_prefix("C: ").or(line.strip_prefix("C:")) {
                if transcript.turns.last().is_some_and(|turn| !turn.replies.is_empty()) {
                    transcript.turns.push(Turn::default());
                }
                transcript.turns.last_mut().unwrap().input.extend(unescaped(input));
            } else if let Some(reply) = line.strip_prefix("S: ") {
                transcript.turns.last_mut().unwrap().replies.push(reply.to_owned());
            } else if let Some(stored) = line.strip_prefix("M: ") {
                transcript.stored.push(stored.to_owned());
            } else if let Some(directive) = line.strip_prefix('@') {
                transcript.set(directive);
            } else {
                assert!(
                    line.is_empty() || line.starts_with('#'),
                    "not a line of a transcript: {line}"
                );
            }
        }
        transcript
    }

    fn set(&mut self, directive: &str) {
        match directive.split_once(' ').unwrap_or((directive, "")) {
            ("whole", _) => self.whole = true,
            ("submit", _) => self.settings.role = Role::Submit,
            ("cleartext", _) => self.settings.cleartext_login = true,
            ("tls", _) => self.settings.tls = true,
            ("stored", count) => self.stored_count = Some(count.parse().unwrap()),
            ("size", len) => self.settings.message_len_max = len.parse().unwrap(),
            _ => panic!("unknown directive {directive}"),
        }
    }

    /// The number of bytes that the client sends.
    fn len(&self) -> usize {
        if self.whole { 0 } else { self.turns.iter().map(|turn| turn.input.len()).sum() }
    }

    /// Plays the session whole and then cut in two at every byte, on one node whose inbox is
    /// emptied in between.
    pub async fn play(&self) {
        // Without an owner's password, whose hash takes longer than most sessions.
        let node = TestNode::without_owner("alice").await;
        publish::profile(&node, profile_of("alice")).await.unwrap();
        for cut in 0..self.len().max(1) {
            Box::pin(self.play_cut(&node, cut)).await;
            let inbox = mailbox::special_folder(&node, SpecialUse::Inbox).unwrap().unwrap().id;
            let messages = mailbox::messages(&node, inbox, 1, u32::MAX, 100).unwrap();
            let uids: Vec<u32> = messages.iter().map(|message| message.uid).collect();
            mailbox::store_flags(
                &node,
                inbox,
                &uids,
                FlagChange::Add(Flags::of(Flags::DELETED)),
                None,
            )
            .await
            .unwrap();
            mailbox::expunge(&node, inbox, Some(&uids)).await.unwrap();
            mailbox::remove_expunged(&node).await.unwrap();
            // Lets the throttling of wrong passwords and the duplicate check expire.
            node.clock.advance(15 * 24 * 60 * 60 * 1000);
        }
    }

    async fn play_cut(&self, node: &Node, cut: usize) {
        let config =
            MailConfig { message_len_max: self.settings.message_len_max, ..MailConfig::default() };
        let state = MailState::new(node.clone(), config, Arc::clone(&tls_config()));
        // DNS is asked about no client of this machine.
        let peer = Peer { address: "127.0.0.1".parse().unwrap(), tls: None };
        let mut server = Server {
            session: Session::new(self.settings.clone()),
            exchange: Exchange::new(state, self.settings.role, peer),
            input: Vec::new(),
            replies: Vec::new(),
            is_closed: false,
        };
        let mut at = 0;
        for turn in &self.turns {
            let here = cut.checked_sub(at).filter(|here| *here <= turn.input.len());
            at += turn.input.len();
            let (one, two) = turn.input.split_at(here.unwrap_or(turn.input.len()));
            server.receive(one).await;
            server.receive(two).await;
            let replies = String::from_utf8(std::mem::take(&mut server.replies)).unwrap();
            let replies: Vec<&str> = replies.lines().collect();
            let same = replies.len() == turn.replies.len()
                && replies.iter().zip(&turn.replies).all(|(reply, wanted)| matches(reply, wanted));
            let input = String::from_utf8_lossy(&turn.input).into_owned();
            assert!(
                same,
                "cut at {cut}, after\n{input}\nthe server sent {replies:#?}\nand not {:#?}",
                turn.replies
            );
        }
        let stored = texts(node, SpecialUse::Inbox);
        assert!(
            self.stored_count.is_none_or(|count| count == stored.len()),
            "cut at {cut}: {} messages were stored",
            stored.len()
        );
        let stored = stored.concat();
        let mut lines = stored.lines();
        for wanted in &self.stored {
            assert!(
                lines.any(|line| matches(line, wanted)),
                "cut at {cut}: {wanted:?} is not in the inbox: {stored}"
            );
        }
        assert!(
            !self.stored.is_empty() || stored.is_empty(),
            "cut at {cut}: unexpected messages in the inbox: {stored}"
        );
    }
}

/// One configuration for all sessions: making a certificate takes longer than most of them.
fn tls_config() -> Arc<rustls::ServerConfig> {
    static CONFIG: std::sync::OnceLock<Arc<rustls::ServerConfig>> = std::sync::OnceLock::new();
    Arc::clone(CONFIG.get_or_init(|| tls().0))
}

/// The server without its sockets.
struct Server {
    session: Session,
    exchange: Exchange,
    input: Vec<u8>,
    replies: Vec<u8>,
    is_closed: bool,
}

impl Server {
    async fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while !self.is_closed {
            let (used, step) = self.session.step(&self.input);
            self.input.drain(..used);
            match step {
                Step::More => return,
                Step::Reply(reply) => reply.write_to(&mut self.replies),
                Step::Ask(question) => {
                    let reply = self.exchange.answer(question).await;
                    self.session.answer(reply);
                }
                Step::Content(text) => self.exchange.content(&text).await,
                Step::Abandon => self.exchange.abandon(),
                Step::StartTls => {
                    self.input.clear();
                    self.session.tls_started();
                    return;
                }
                Step::Close => {
                    self.replies.extend_from_slice(b"(closed)\r\n");
                    self.is_closed = true;
                }
            }
        }
    }
}

fn matches(line: &str, wanted: &str) -> bool {
    if leaves_text_free(wanted) {
        let text = line.strip_prefix(wanted);
        // Without an enhanced status code in the transcript there must be none in the reply.
        return text.is_some_and(|text| {
            let is_enhanced = text.get(1..4).is_some_and(is_enhanced_status);
            text.is_empty() || wanted.ends_with('-') || (text.starts_with(' ') && !is_enhanced)
        });
    }
    match wanted.split_once('*') {
        None => line == wanted,
        Some((start, end)) => {
            line.len() >= start.len() + end.len() && line.starts_with(start) && line.ends_with(end)
        }
    }
}

/// True for a reply line that ends after its code (RFC 5321 4.2) or its enhanced status code (RFC
/// 3463).
fn leaves_text_free(wanted: &str) -> bool {
    let (code, rest) = wanted.split_at(wanted.len().min(3));
    code.len() == 3
        && code.bytes().all(|byte| byte.is_ascii_digit())
        && match rest {
            "" | "-" => true,
            rest => rest.get(1..).is_some_and(is_enhanced_status),
        }
}

/// True for text such as `5.1.1`, or the beginning of one such as `5.1`.
fn is_enhanced_status(text: &str) -> bool {
    text.contains('.') && text.split('.').all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next() {
            None => return bytes,
            Some('r') => bytes.push(b'\r'),
            Some('n') => bytes.push(b'\n'),
            Some('0') => bytes.push(0),
            Some('\\') => bytes.push(b'\\'),
            Some('x') => bytes
                .push(u8::from_str_radix(&chars.by_ref().take(2).collect::<String>(), 16).unwrap()),
            Some(other) => panic!("unknown escape \\{other}"),
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
