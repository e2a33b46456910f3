//! Imports from an account at another provider: from a server of this crate, and from servers that
//! a script plays.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use std::time::Duration;

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{self, Flags, SpecialUse};
use freehold_core::node::{ImapSecurity, ImapSource, Node};
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use freehold_mail::imap_import::{ImportEnd, import_paced};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::server::{TestServer, until};

/// Imports from `source` without pauses.
pub(crate) async fn import(node: &Node, source: &ImapSource, roots: &str) -> ImportEnd {
    let (never, pause) = (std::future::pending(), Duration::ZERO);
    let on_read = Box::new(|_, _| ());
    Box::pin(import_paced(node.clone(), source.clone(), roots, on_read, never, pause)).await
}

fn source(port: u16, security: ImapSecurity, password: &str) -> ImapSource {
    ImapSource::new("localhost", Some(port), security, "alice", password).unwrap()
}

/// The flags, dates and texts of a folder's messages.
fn listed(node: &Node, name: &str) -> Vec<(Flags, Timestamp, String)> {
    let folder = mailbox::folder_named(node, name).unwrap().unwrap();
    let messages = mailbox::messages(node, folder.id, 1, u32::MAX, 1000).unwrap();
    let text = |message| {
        let bytes = mailbox::body(node, message).unwrap().read_all(1_000_000).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    messages.iter().map(|m| (m.flags.clone(), m.internal_date, text(m))).collect()
}

async fn store(node: &Node, folder: &str, count: u64) {
    if mailbox::folder_named(node, folder).unwrap().is_none() {
        mailbox::create_folder(node, folder).await.unwrap();
    }
    let folder = mailbox::folder_named(node, folder).unwrap().unwrap();
    let mut prepared = Vec::new();
    for n in 0..count {
        let text = format!("Subject: {n} in {}\r\n\r\nline {n}\r\n", folder.name);
        let keywords = if n % 3 == 0 { vec!["$Forwarded".to_owned()] } else { Vec::new() };
        let bits = [0, Flags::SEEN, Flags::SEEN | Flags::FLAGGED, Flags::ANSWERED][n as usize % 4];
        let message = mailbox::Import {
            text: text.as_bytes(),
            internal_date: Timestamp((1_600_000_000 + n) * 1000),
            flags: Flags { bits, keywords },
            restores: false,
        };
        let mailbox::Preparation::New(new) =
            mailbox::prepare_import(node, &folder, message).unwrap()
        else {
            panic!("it is there")
        };
        prepared.push(*new);
        if prepared.len() == 32 {
            mailbox::commit_imports(node, std::mem::take(&mut prepared)).await.unwrap();
        }
    }
    mailbox::commit_imports(node, prepared).await.unwrap();
}

#[tokio::test]
async fn import_keeps_folders_flags_and_dates() {
    let alice = TestNode::new("alice").await;
    for (folder, count) in [("INBOX", 300), ("Sent", 3), ("Grüße/\"a b\"", 2), ("Empty", 0)] {
        store(&alice, folder, count).await;
    }
    let alice = TestServer::open(alice, MailConfig::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, pem(&alice.certificate)).unwrap();
    let roots = roots.to_str().unwrap();
    let bob = TestNode::new("bob").await;
    for security in [ImapSecurity::Tls, ImapSecurity::StartTls, ImapSecurity::PlainOnLoopback] {
        let addresses = alice.addresses;
        let port = match security {
            ImapSecurity::Tls => addresses.imaps.port(),
            _ => addresses.imap.port(),
        };
        let account = source(port, security, &alice.app_password);
        let first = import(&bob, &account, roots).await;
        assert!(first.error.is_none(), "{:?}", first.error);
        let expected = if security == ImapSecurity::Tls { 305 } else { 0 };
        assert_eq!((first.report.outcome.stored, first.report.left_out.count), (expected, 0));
        let again = import(&bob, &account, roots).await;
        assert!(again.error.is_none());
        assert_eq!((again.report.outcome.stored, again.report.outcome.present), (0, 0));
    }
    for folder in ["INBOX", "Sent", "Grüße/\"a b\"", "Empty"] {
        assert_eq!(listed(&bob, folder), listed(&alice.node, folder), "{folder}");
    }
    // A message that comes later is the only one that is read.
    store(&alice.node, "Lists", 1).await;
    let account = source(alice.addresses.imaps.port(), ImapSecurity::Tls, &alice.app_password);
    let later = import(&bob, &account, roots).await;
    assert_eq!((later.report.outcome.stored, later.report.outcome.present), (1, 0));
    assert_eq!(later.report.folders.get("Lists"), Some(&1));
    assert_eq!(mailbox::check(&bob).unwrap(), Vec::<String>::new());
    alice.close().await;
}

fn pem(certificate: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn wrong_certificate_and_wrong_password_are_told() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    let bob = TestNode::new("bob").await;
    let tls = source(alice.addresses.imaps.port(), ImapSecurity::Tls, &alice.app_password);
    let refused = import(&bob, &tls, "").await.error.unwrap().to_string();
    assert!(refused.contains("no verified TLS with localhost"), "{refused}");
    let plain = source(alice.addresses.imap.port(), ImapSecurity::PlainOnLoopback, "wrong");
    let refused = import(&bob, &plain, "").await.error.unwrap();
    assert!(matches!(refused, freehold_mail::files::FilesError::Login(_)), "{refused}");
    let nobody = source(1, ImapSecurity::PlainOnLoopback, "x");
    let refused = import(&bob, &nobody, "").await.error.unwrap().to_string();
    assert!(refused.contains("can't reach localhost:1"), "{refused}");
    alice.close().await;
}

#[tokio::test]
async fn named_folder_alone_is_imported() {
    let alice = TestNode::new("alice").await;
    for folder in ["INBOX", "Lists/rust"] {
        store(&alice, folder, 2).await;
    }
    let alice = TestServer::open(alice, MailConfig::default()).await;
    let bob = TestNode::new("bob").await;
    let port = alice.addresses.imap.port();
    let account = source(port, ImapSecurity::PlainOnLoopback, &alice.app_password);
    let lists = ImapSource { folders: vec!["lists".to_owned()], ..account.clone() };
    assert_eq!(import(&bob, &lists, "").await.report.outcome.stored, 2);
    assert!(listed(&bob, "INBOX").is_empty());
    let none = ImapSource { folders: vec!["None".to_owned()], ..account };
    assert!(import(&bob, &none, "").await.error.unwrap().to_string().contains("None"));
    alice.close().await;
}

#[tokio::test]
async fn import_of_the_browser_runs_in_mail() {
    use freehold_core::node::ImportPhase;

    let alice = TestNode::new("alice").await;
    store(&alice, "INBOX", 3).await;
    let alice = TestServer::open(alice, MailConfig::default()).await;
    let bob = TestServer::open(TestNode::new("bob").await, MailConfig::default()).await;
    let port = alice.addresses.imap.port();
    let account = source(port, ImapSecurity::PlainOnLoopback, &alice.app_password);
    assert!(bob.node.mail_import.start(account));
    let stored = || listed(&bob.node, "INBOX").len() == 3;
    until(&bob.node, stored).await;
    let result = loop {
        match bob.node.mail_import.status().unwrap().phase {
            ImportPhase::Running(..) => tokio::task::yield_now().await,
            ImportPhase::Ended(result) => break result,
        }
    };
    assert_eq!((result.stored, result.fault), (3, None));
    alice.close().await;
    bob.close().await;
}

/// Plays servers one after the other, one for each connection. A step is the beginning of a
/// command, and the output that follows, in which `TAG` is the command's tag; an output that ends
/// with `!` closes the connection instead of `TAG OK`.
pub(crate) fn play(
    listener: TcpListener,
    connections: Vec<Vec<(&'static str, String)>>,
) -> JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut commands = Vec::new();
        for steps in connections {
            let (stream, _) = listener.accept().await.unwrap();
            talk(BufReader::new(stream), steps, &mut commands).await;
        }
        commands
    })
}

async fn talk(
    mut stream: BufReader<TcpStream>,
    steps: Vec<(&'static str, String)>,
    commands: &mut Vec<String>,
) {
    stream.write_all(b"* OK hello\r\n").await.unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        let (tag, command) = line.trim_end().split_once(' ').unwrap();
        commands.push(command.to_owned());
        let output = steps.iter().find(|(part, _)| command.starts_with(part));
        let output = output.map_or("", |(_, output)| output.as_str());
        if let Some(output) = output.strip_suffix('!') {
            let _ = stream.write_all(output.as_bytes()).await;
            return;
        }
        let mut output = output.replace("TAG", tag);
        if !output.contains(tag) {
            output.push_str(&format!("{tag} OK done\r\n"));
        }
        if command.starts_with("LOGIN") {
            stream.write_all(b"+ \r\n").await.unwrap();
            stream.read_line(&mut String::new()).await.unwrap();
            stream.write_all(b"+ \r\n").await.unwrap();
            stream.read_line(&mut String::new()).await.unwrap();
        }
        if stream.write_all(output.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

pub(crate) async fn listener() -> (TcpListener, ImapSource) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = "127.0.0.1";
    let security = ImapSecurity::PlainOnLoopback;
    (listener, ImapSource::new(host, Some(port), security, "alice", "x").unwrap())
}

pub(crate) fn fetch(seq: u32, uid: u32, more: &str, text: &str) -> String {
    let len = text.len();
    format!("* {seq} FETCH (UID {uid} FLAGS (\\Seen) {more}BODY[] {{{len}}}\r\n{text})\r\n")
}

pub(crate) const INBOX: &str = "* LIST () \"/\" INBOX\r\n";

pub(crate) fn examined(exists: u32) -> String {
    format!("* {exists} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 900] x\r\n")
}

#[tokio::test]
async fn gmail_labels_become_folders() {
    let (listener, account) = listener().await;
    let list = "* LIST (\\HasNoChildren) \"/\" \"INBOX\"\r\n\
        * LIST (\\All) \"/\" \"[Gmail]/All Mail\"\r\n* LIST (\\Trash) \"/\" \"[Gmail]/Bin\"\r\n";
    let all = [
        fetch(1, 3, "X-GM-LABELS (\"\\\\Inbox\" Work) ", "Subject: a\r\n\r\n"),
        fetch(2, 5, "X-GM-LABELS () ", "Subject: b\r\n\r\n"),
        fetch(3, 9, "X-GM-LABELS (\\Sent \\Important) ", "Subject: c\r\n\r\n"),
    ];
    let steps = vec![
        ("CAPABILITY", "* CAPABILITY IMAP4rev1 X-GM-EXT-1\r\n".to_owned()),
        ("LIST", list.to_owned()),
        ("EXAMINE \"[Gmail]/All Mail\"", examined(3)),
        ("EXAMINE \"[Gmail]/Bin\"", examined(1)),
        ("FETCH 1:3", all.concat()),
        ("FETCH 1:1", fetch(1, 4, "", "Subject: d\r\n\r\n")),
    ];
    let playing = play(listener, vec![steps]);
    let bob = TestNode::new("bob").await;
    let end = import(&bob, &account, "").await;
    assert!(end.error.is_none(), "{:?}", end.error);
    assert_eq!(end.report.outcome.stored, 5);
    for folder in ["INBOX", "Work", "Archive", "Sent", "Trash"] {
        assert_eq!(listed(&bob, folder).len(), 1, "{folder}");
    }
    let commands = playing.await.unwrap();
    let changes = ["SELECT", "STORE", "EXPUNGE", "CLOSE", "COPY", "MOVE", "APPEND"];
    for command in &commands {
        assert!(!changes.iter().any(|word| command.contains(word)), "{command}");
        assert!(!command.contains("BODY["), "a text is read by PEEK: {command}");
    }
}

#[tokio::test]
async fn lost_connection_is_continued() {
    let (listener, account) = listener().await;
    let steps = |output: String| {
        vec![("LIST", INBOX.to_owned()), ("EXAMINE", examined(3)), ("FETCH 1:3", output)]
    };
    let one = fetch(1, 3, "", "Subject: a\r\n\r\n");
    let half = "* 2 FETCH (UID 5 BODY[] {999}\r\nSubj!";
    let mut second = steps(String::new());
    second.push(("FETCH 2 (UID)", "* 2 FETCH (UID 5)\r\n".to_owned()));
    second.push(("FETCH 1 (UID)", "* 1 FETCH (UID 3)\r\n".to_owned()));
    // After a loss the messages are asked for one by one.
    second.push(("FETCH 2:2", fetch(2, 5, "", "Subject: b\r\n\r\n")));
    second.push(("FETCH 3:3", fetch(3, 6, "", "Subject: c\r\n\r\n")));
    let playing = play(listener, vec![steps(format!("{one}{half}")), second]);
    let bob = TestNode::new("bob").await;
    let end = import(&bob, &account, "").await;
    assert!(end.error.is_none(), "{:?}", end.error);
    assert_eq!((end.report.outcome.stored, end.report.outcome.present), (3, 0));
    assert_eq!(listed(&bob, "INBOX").len(), 3);
    drop(playing.await.unwrap());
}

#[tokio::test]
async fn message_that_breaks_the_connection_is_passed_over() {
    let (listener, account) = listener().await;
    let steps = |more: Vec<(&'static str, String)>| {
        let mut steps = vec![
            ("LIST", INBOX.to_owned()),
            ("EXAMINE", examined(3)),
            ("FETCH 1 (UID)", "* 1 FETCH (UID 3)\r\n".to_owned()),
            ("FETCH 2 (UID)", "* 2 FETCH (UID 5)\r\n".to_owned()),
            ("FETCH 3 (UID)", "* 3 FETCH (UID 6)\r\n".to_owned()),
        ];
        steps.extend(more);
        steps
    };
    let first = fetch(1, 3, "", "Subject: a\r\n\r\n") + "!";
    let third = fetch(3, 6, "", "Subject: c\r\n\r\n");
    let broken = || steps(vec![("FETCH 2:2", "!".to_owned())]);
    let connections = vec![
        steps(vec![("FETCH 1:3", first)]),
        broken(),
        broken(),
        steps(vec![("FETCH 3:3", third)]),
    ];
    let playing = play(listener, connections);
    let bob = TestNode::new("bob").await;
    let end = import(&bob, &account, "").await;
    assert!(end.error.is_none(), "{:?}", end.error);
    assert_eq!((end.report.outcome.stored, end.report.left_out.count), (2, 1));
    assert!(end.report.left_out.named[0].contains("INBOX, UID 5"));
    assert_eq!(listed(&bob, "INBOX").len(), 2);
    drop(playing.await.unwrap());
}

#[tokio::test]
async fn server_that_breaks_at_all_messages_ends_the_import() {
    let (listener, account) = listener().await;
    let steps = || {
        let uids = (1..=9).map(|n| format!("* {n} FETCH (UID {n})\r\n"));
        let asked = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let asked = asked.map(|n| ["FETCH ", n, " (UID)"].concat().leak() as &'static str);
        let mut steps = vec![("LIST", INBOX.to_owned()), ("EXAMINE", examined(9))];
        steps.extend(asked.into_iter().zip(uids));
        steps.push(("FETCH", "!".to_owned()));
        steps
    };
    let playing = play(listener, (0..30).map(|_| steps()).collect());
    let bob = TestNode::new("bob").await;
    let end = import(&bob, &account, "").await;
    assert!(end.error.is_some());
    assert_eq!(end.report.left_out.count, 3);
    playing.abort();
}

#[tokio::test]
async fn server_that_always_breaks_ends_the_import() {
    let (listener, account) = listener().await;
    let steps =
        || vec![("LIST", INBOX.to_owned()), ("EXAMINE", examined(3)), ("FETCH", "!".to_owned())];
    let playing = play(listener, (0..8).map(|_| steps()).collect());
    let bob = TestNode::new("bob").await;
    let end = import(&bob, &account, "").await;
    let error = end.error.unwrap().to_string();
    assert!(error.contains("connection broke"), "{error}");
    drop(playing.await.unwrap());
}

#[tokio::test]
async fn message_that_a_server_withholds_is_named() {
    let (listener, account) = listener().await;
    let steps = vec![
        ("LIST", INBOX.to_owned()),
        ("EXAMINE", examined(3)),
        ("FETCH 1:3", fetch(1, 3, "", "Subject: a\r\n\r\n") + "TAG NO it is damaged\r\n"),
        ("FETCH 2:2", "TAG NO it is damaged\r\n".to_owned()),
        ("FETCH 3:3", fetch(3, 6, "", "Subject: c\r\n\r\n")),
    ];
    let playing = play(listener, vec![steps]);
    let bob = TestNode::new("bob").await;
    let end = import(&bob, &account, "").await;
    assert!(end.error.is_none(), "{:?}", end.error);
    assert_eq!((end.report.outcome.stored, end.report.left_out.count), (2, 1));
    assert!(end.report.left_out.named[0].contains("INBOX, message 2"));
    drop(playing.await.unwrap());
}

#[tokio::test]
async fn bytes_before_tls_are_refused() {
    for (greeting, capabilities, start) in [
        ("* PREAUTH hello\r\n", "", ""),
        ("* OK hello\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\n", "TAG OK go\r\n* OK injected\r\n"),
        ("* OK hello\r\n", "* CAPABILITY IMAP4rev1\r\n", ""),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.write_all(greeting.as_bytes()).await.unwrap();
            let (mut line, mut seen) = (String::new(), String::new());
            while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                let (tag, command) = line.trim_end().split_once(' ').unwrap();
                seen.push_str(command);
                let output = match command {
                    "CAPABILITY" => format!("{capabilities}{tag} OK done\r\n"),
                    _ => start.replace("TAG", tag),
                };
                stream.write_all(output.as_bytes()).await.unwrap();
                line.clear();
            }
            seen
        });
        let bob = TestNode::new("bob").await;
        let account = source(port, ImapSecurity::StartTls, "open sesame");
        assert!(import(&bob, &account, "").await.error.is_some());
        let seen = server.await.unwrap();
        assert!(!seen.contains("LOGIN") && !seen.contains("AUTHENTICATE"), "{seen}");
    }
}

#[tokio::test]
async fn changed_uidvalidity_doubles_nothing() {
    let bob = TestNode::new("bob").await;
    let special = SpecialUse::Inbox.name();
    for validity in [7, 8] {
        let (listener, account) = listener().await;
        // The port is part of the account; the bytes are the same.
        let steps = vec![
            ("LIST", INBOX.to_owned()),
            ("EXAMINE", format!("* 1 EXISTS\r\n* OK [UIDVALIDITY {validity}] x\r\n")),
            ("FETCH 1:1", fetch(1, 3, "", "Subject: a\r\n\r\n")),
        ];
        let playing = play(listener, vec![steps]);
        let end = import(&bob, &account, "").await;
        assert!(end.error.is_none(), "{:?}", end.error);
        drop(playing.await.unwrap());
    }
    assert_eq!(listed(&bob, special).len(), 1);
}
