//! Conversations from text files: `C:` is what the client sends, `S:` what the server must say, `#`
//! a comment.
//!
//! Every `C:` line ends with CR LF unless escapes say otherwise: `\r`, `\n`, `\0`, `\\`, `\xHH`,
//! and `\` at the very end for no line end. A run of `C:` lines is sent at once. In an `S:` line
//! `*` stands for anything. `@whole` says that where the input is cut matters; any other
//! conversation must come out the same wherever the input is cut in two. `@submit`, `@clear`,
//! `@tls` and `@size N` set the scene, and `M:` lines are what must have been kept in the inbox at
//! the end (those lines, in this order, among others), in `@kept N` messages.

use std::sync::Arc;

use freehold_core::mailbox::{self, FlagChange, Flags, SpecialUse};
use freehold_core::node::Node;
use freehold_core::publish;
use freehold_core::testing::{TestNode, profile_of};
use freehold_mail::MailConfig;
use freehold_mail::smtp::exchange::Exchange;
use freehold_mail::smtp::session::{Role, Session, Settings, Step};
use freehold_mail::smtp::trace::Peer;
use freehold_mail::state::MailState;

use crate::server::{texts, tls};

/// One conversation.
pub struct Transcript {
    settings: Settings,
    whole: bool,
    turns: Vec<Turn>,
    kept: Vec<String>,
    kept_count: Option<usize>,
}

/// What the client sends at once, and what it hears.
#[derive(Default)]
struct Turn {
    says: Vec<u8>,
    hears: Vec<String>,
}

impl Transcript {
    pub fn read(text: &str) -> Self {
        let settings = Settings {
            hostname: "alice.example".into(),
            role: Role::Receive,
            tls: false,
            clear_login: false,
            message_len_max: 100_000,
        };
        let mut transcript = Self {
            settings,
            whole: false,
            turns: vec![Turn::default()],
            kept: Vec::new(),
            kept_count: None,
        };
        for line in text.lines() {
            if let Some(says) = line.strip_prefix("C: ").or(line.strip_prefix("C:")) {
                if transcript.turns.last().is_some_and(|turn| !turn.hears.is_empty()) {
                    transcript.turns.push(Turn::default());
                }
                transcript.turns.last_mut().unwrap().says.extend(unescaped(says));
            } else if let Some(hears) = line.strip_prefix("S: ") {
                transcript.turns.last_mut().unwrap().hears.push(hears.to_owned());
            } else if let Some(kept) = line.strip_prefix("M: ") {
                transcript.kept.push(kept.to_owned());
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
            ("clear", _) => self.settings.clear_login = true,
            ("tls", _) => self.settings.tls = true,
            ("kept", count) => self.kept_count = Some(count.parse().unwrap()),
            ("size", len) => self.settings.message_len_max = len.parse().unwrap(),
            _ => panic!("unknown directive {directive}"),
        }
    }

    /// How many bytes the client sends in all.
    fn len(&self) -> usize {
        if self.whole { 0 } else { self.turns.iter().map(|turn| turn.says.len()).sum() }
    }

    /// Plays the conversation whole and then cut in two at every byte, on one node whose inbox is
    /// emptied in between.
    pub async fn play(&self) {
        // Set up without a browser's password, which takes longer to make than most conversations
        // last.
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
            // Whoever guessed passwords here is forgiven, and what was sent may be sent again.
            node.clock.advance(15 * 24 * 60 * 60 * 1000);
        }
    }

    async fn play_cut(&self, node: &Node, cut: usize) {
        let config =
            MailConfig { message_len_max: self.settings.message_len_max, ..MailConfig::default() };
        let state = MailState::new(node.clone(), config, Arc::clone(&tls_config()));
        let peer = Peer { address: "192.0.2.7".parse().unwrap(), tls: None };
        let mut server = Server {
            session: Session::new(self.settings.clone()),
            exchange: Exchange::new(state, self.settings.role, peer),
            input: Vec::new(),
            said: Vec::new(),
            over: false,
        };
        let mut at = 0;
        for turn in &self.turns {
            let here = cut.checked_sub(at).filter(|here| *here <= turn.says.len());
            at += turn.says.len();
            let (one, two) = turn.says.split_at(here.unwrap_or(turn.says.len()));
            server.hear(one).await;
            server.hear(two).await;
            let said = String::from_utf8(std::mem::take(&mut server.said)).unwrap();
            let said: Vec<&str> = said.lines().collect();
            let same = said.len() == turn.hears.len()
                && said.iter().zip(&turn.hears).all(|(said, wanted)| matches(said, wanted));
            let says = String::from_utf8_lossy(&turn.says).into_owned();
            assert!(
                same,
                "cut at {cut}, after\n{says}\nthe server said {said:#?}\nand not {:#?}",
                turn.hears
            );
        }
        let kept = texts(node, SpecialUse::Inbox);
        assert!(
            self.kept_count.is_none_or(|count| count == kept.len()),
            "cut at {cut}: {} messages were kept",
            kept.len()
        );
        let kept = kept.concat();
        let mut lines = kept.lines();
        for wanted in &self.kept {
            assert!(
                lines.any(|line| matches(line, wanted)),
                "cut at {cut}: {wanted:?} is not in the inbox: {kept}"
            );
        }
        assert!(
            !self.kept.is_empty() || kept.is_empty(),
            "cut at {cut}: nothing was to be kept, and this was: {kept}"
        );
    }
}

/// One configuration for all: making a certificate takes longer than most conversations.
fn tls_config() -> Arc<rustls::ServerConfig> {
    static CONFIG: std::sync::OnceLock<Arc<rustls::ServerConfig>> = std::sync::OnceLock::new();
    Arc::clone(CONFIG.get_or_init(|| tls().0))
}

/// The server without its sockets.
struct Server {
    session: Session,
    exchange: Exchange,
    input: Vec<u8>,
    said: Vec<u8>,
    over: bool,
}

impl Server {
    async fn hear(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while !self.over {
            let (used, step) = self.session.step(&self.input);
            self.input.drain(..used);
            match step {
                Step::More => return,
                Step::Reply(reply) => reply.write_to(&mut self.said),
                Step::Ask(question) => {
                    let reply = self.exchange.answer(question).await;
                    self.session.answer(reply);
                }
                Step::Content(text) => self.exchange.content(&text),
                Step::Abandon => self.exchange.abandon(),
                Step::StartTls => {
                    self.input.clear();
                    self.session.encrypted();
                    return;
                }
                Step::Close => {
                    self.said.extend_from_slice(b"(closed)\r\n");
                    self.over = true;
                }
            }
        }
    }
}

fn matches(said: &str, wanted: &str) -> bool {
    match wanted.split_once('*') {
        None => said == wanted,
        Some((start, end)) => {
            said.len() >= start.len() + end.len() && said.starts_with(start) && said.ends_with(end)
        }
    }
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
