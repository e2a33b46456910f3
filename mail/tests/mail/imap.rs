//! IMAP over real connections: TLS, several sessions, IDLE, long messages, shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_core::mailbox::{self, Delivery, Flags, IdempotencyKey, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_listen::opportunistic_tls;
use freehold_mail::MailConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::server::{TestServer, channel_binding};

/// Longer than any wait of a test that passes.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// A mail program on a connection.
pub(crate) struct Program<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Program<S> {
    async fn new(socket: S) -> Self {
        let mut program = Self(BufReader::new(socket));
        assert!(program.line().await.starts_with("* OK "));
        program
    }

    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(text.as_ref()).await.unwrap();
        self.0.get_mut().flush().await.unwrap();
    }

    /// The next line; empty at the end of the connection.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        tokio::time::timeout(TIMEOUT, self.0.read_line(&mut line))
            .await
            .expect("no line came")
            .unwrap();
        line
    }

    /// The socket, when nothing was read beyond the last line.
    pub(crate) fn into_socket(self) -> S {
        assert!(self.0.buffer().is_empty());
        self.0.into_inner()
    }

    async fn octets(&mut self, len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        tokio::time::timeout(TIMEOUT, self.0.read_exact(&mut octets))
            .await
            .expect("too few octets came")
            .unwrap();
        octets
    }

    /// Sends a command and reads up to its tagged response.
    pub(crate) async fn run(&mut self, command: &str) -> Vec<String> {
        self.send(format!("t {command}\r\n")).await;
        let mut lines = Vec::new();
        loop {
            lines.push(self.line().await);
            if lines.last().is_some_and(|line| line.starts_with("t ") || line.is_empty()) {
                return lines;
            }
        }
    }

    pub(crate) async fn ok(&mut self, command: &str) -> Vec<String> {
        let lines = self.run(command).await;
        assert!(lines.last().unwrap().starts_with("t OK"), "{command}: {lines:?}");
        lines
    }
}

pub(crate) async fn plain(to: SocketAddr) -> Program<TcpStream> {
    Program::new(TcpStream::connect(to).await.unwrap()).await
}

/// A connection with this version of TLS, and its channel binding.
pub(crate) async fn secure(
    server: &TestServer,
    version: &'static rustls::SupportedProtocolVersion,
) -> (Program<TlsStream<TcpStream>>, [u8; 32]) {
    let mut known = rustls::RootCertStore::empty();
    known.add(server.certificate.clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(known)
        .with_no_client_auth();
    let socket = TcpStream::connect(server.addresses.imaps).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect("localhost".try_into().unwrap(), socket).await.unwrap();
    let binding = channel_binding(&stream);
    (Program::new(stream).await, binding)
}

pub(crate) async fn inbox(server: &TestServer) -> Program<TcpStream> {
    let mut program = plain(server.addresses.imap).await;
    program.ok(&format!("LOGIN alice {}", server.app_password)).await;
    program.ok("SELECT INBOX").await;
    program
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
pub(crate) async fn deliver(node: &Node, message: &[u8]) {
    let folder = mailbox::special_folder(node, SpecialUse::Inbox).unwrap().unwrap().id;
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

async fn encrypt(socket: TcpStream) -> TlsStream<TcpStream> {
    TlsConnector::from(Arc::new(opportunistic_tls().unwrap()))
        .connect("localhost".try_into().unwrap(), socket)
        .await
        .unwrap()
}

pub(crate) async fn open() -> TestServer {
    TestServer::open(TestNode::new("alice").await, MailConfig::default()).await
}

#[tokio::test]
async fn implicit_tls_and_starttls_open_the_inbox() {
    let server = open().await;
    let mut program =
        Program::new(encrypt(TcpStream::connect(server.addresses.imaps).await.unwrap()).await)
            .await;
    assert!(!program.ok("CAPABILITY").await[0].contains("STARTTLS"));
    program.ok(&format!("LOGIN alice@alice.example {}", server.app_password)).await;
    program.ok("SELECT INBOX").await;

    let mut program = plain(server.addresses.imap).await;
    // A command injected after STARTTLS, before the handshake, is never run.
    program.send("t STARTTLS\r\nx CREATE Injected\r\nt LOGOUT\r\n").await;
    assert!(program.line().await.starts_with("t OK"));
    let mut program = Program(BufReader::new(encrypt(program.0.into_inner()).await));
    assert!(program.ok("CAPABILITY").await[0].contains("AUTH=PLAIN"));
    program.ok(&format!("LOGIN alice {}", server.app_password)).await;
    assert!(!program.ok("LIST \"\" *").await.iter().any(|line| line.contains("Injected")));
    server.close().await;
}

#[tokio::test]
async fn idle_reports_deliveries_and_other_sessions() {
    let server = open().await;
    let (mut one, mut two) = (inbox(&server).await, inbox(&server).await);
    one.send("i IDLE\r\n").await;
    assert!(one.line().await.starts_with("+ "));
    deliver(&server.node, b"Subject: hello\r\n\r\nbody\r\n").await;
    assert_eq!(one.line().await, "* 1 EXISTS\r\n");
    assert_eq!(one.line().await, "* 1 RECENT\r\n");
    two.ok("NOOP").await;
    two.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(one.line().await, "* 1 FETCH (UID 1 FLAGS (\\Recent \\Deleted))\r\n");
    two.ok("EXPUNGE").await;
    assert_eq!(one.line().await, "* 1 EXPUNGE\r\n");
    assert_eq!(one.line().await, "* 0 RECENT\r\n");
    one.send("DONE\r\n").await;
    assert!(one.line().await.starts_with("i OK "));
    server.close().await;
}

#[tokio::test]
async fn forgotten_expunges_are_still_reported() {
    let server = open().await;
    for n in 0..4 {
        deliver(&server.node, format!("Subject: {n}\r\n\r\nbody\r\n").as_bytes()).await;
    }
    let (mut silent, mut busy) = (inbox(&server).await, inbox(&server).await);
    busy.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)").await;
    busy.ok("EXPUNGE").await;
    // After so many changes the store no longer has the expunges; the last two changes are real
    // ones.
    let folder = mailbox::folder_named(&server.node, "INBOX").unwrap().unwrap().id;
    server.node.advance_modseq(folder, mailbox::EXPUNGES_REMEMBERED - 2).await;
    busy.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await;
    busy.ok("STORE 1 +FLAGS.SILENT (\\Flagged)").await;
    let changes = mailbox::changes_since(&server.node, folder, 5).unwrap();
    assert_eq!((changes.vanished.len(), changes.is_incomplete), (0, true));
    let reported = silent.ok("NOOP").await;
    assert_eq!(reported[..2], ["* 3 EXPUNGE\r\n", "* 2 EXPUNGE\r\n"]);
    assert_eq!(reported[2], "* 2 RECENT\r\n");
    assert!(
        reported[3].contains(" FETCH (UID 1 FLAGS (\\Recent \\Flagged \\Seen)"),
        "{reported:?}"
    );
    assert_eq!(silent.ok("NOOP").await.len(), 1, "no change is reported twice");
    server.close().await;
}

#[tokio::test]
async fn too_many_ranges_are_over_a_limit() {
    let server = open().await;
    let mut program = inbox(&server).await;
    let most = vec!["1"; 8_192].join(",");
    for command in ["FETCH # FLAGS", "UID STORE # +FLAGS (\\Seen)", "SEARCH #", "UID COPY # Trash"]
    {
        let refused = program.run(&command.replace('#', &format!("{most},1"))).await;
        assert!(refused.last().unwrap().starts_with("t NO [LIMIT] "), "{command}: {refused:?}");
    }
    program.ok(&format!("UID FETCH {most} FLAGS")).await;
    server.close().await;
}

#[tokio::test]
async fn long_message_is_fetched_unchanged() {
    let server = open().await;
    let mut program = inbox(&server).await;
    let mut message =
        b"Subject: long\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n".to_vec();
    let part: Vec<u8> = (0..3_000_000u32).map(|at| b'a' + (at % 23) as u8).collect();
    message.extend_from_slice(&part);
    message.extend_from_slice(b"\r\n--b--\r\n");
    program.send(format!("a APPEND INBOX {{{}+}}\r\n", message.len())).await;
    program.send(&message).await;
    program.send("\r\n").await;
    assert_eq!(program.line().await, "* 1 EXISTS\r\n");
    assert_eq!(program.line().await, "* 1 RECENT\r\n");
    assert!(program.line().await.starts_with("a OK [APPENDUID "));
    for (section, wanted) in [
        ("BODY.PEEK[]", message.as_slice()),
        ("BODY.PEEK[1]", &part),
        ("BODY.PEEK[1]<1000000.5000>", &part[1_000_000..1_005_000]),
    ] {
        program.send(format!("f FETCH 1 {section}\r\n")).await;
        assert!(program.line().await.ends_with(&format!(" {{{}}}\r\n", wanted.len())));
        assert!(program.octets(wanted.len()).await == wanted, "{section}");
        assert_eq!(program.line().await, ")\r\n");
        assert!(program.line().await.starts_with("f OK"));
    }
    server.close().await;
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let server = open().await;
    let mut program = inbox(&server).await;
    for number in 0..300 {
        deliver(&server.node, format!("Subject: {number}\r\n\r\n{number}\r\n").as_bytes()).await;
    }
    program.ok("NOOP").await;
    program.send("a FETCH 1:* (UID FLAGS)\r\nb SEARCH ALL\r\nc NOOP\r\n").await;
    let mut answers = Vec::new();
    let mut fetched = 0;
    while answers.len() < 3 {
        let line = program.line().await;
        fetched += usize::from(line.contains(" FETCH "));
        if !line.starts_with('*') {
            answers.push(line.chars().next().unwrap());
        }
    }
    assert_eq!((answers, fetched), (vec!['a', 'b', 'c'], 300));
    server.close().await;
}

#[tokio::test]
async fn shutdown_sends_bye() {
    let server = open().await;
    let mut program = inbox(&server).await;
    let mut idle = inbox(&server).await;
    idle.send("i IDLE\r\n").await;
    assert!(idle.line().await.starts_with("+ "));
    server.close().await;
    assert!(program.line().await.starts_with("* BYE "));
    assert!(idle.line().await.starts_with("* BYE "));
    assert_eq!(idle.line().await, "");
}

#[tokio::test]
async fn connection_over_the_limit_gets_bye() {
    let config = MailConfig { imap_connections_max: 1, ..MailConfig::default() };
    let server = TestServer::open(TestNode::new("alice").await, config).await;
    let mut first = plain(server.addresses.imap).await;
    let mut second =
        Program(BufReader::new(TcpStream::connect(server.addresses.imap).await.unwrap()));
    assert!(second.line().await.starts_with("* BYE "));
    first.ok("LOGOUT").await;
    server.close().await;
}

#[tokio::test]
async fn header_of_any_length_is_fetched_whole() {
    let server = open().await;
    for fields in [10, 10_000, 70_000] {
        let field = "X-Long: 0123456789abcdef0123456789\r\n";
        let header = format!("Subject: long\r\n{}To: a\r\n\r\n", field.repeat(fields));
        deliver(&server.node, format!("{header}the text\r\n").as_bytes()).await;
        let mut program = inbox(&server).await;
        for (section, wanted) in [
            ("BODY.PEEK[HEADER]", header.as_str()),
            ("BODY.PEEK[HEADER]<30.40>", &header[30..70]),
            ("BODY.PEEK[TEXT]", "the text\r\n"),
            ("RFC822.HEADER", &header),
        ] {
            program.send(format!("f FETCH * {section}\r\n")).await;
            let line = program.line().await;
            assert!(line.ends_with(&format!(" {{{}}}\r\n", wanted.len())), "{section}: {line}");
            assert!(program.octets(wanted.len()).await == wanted.as_bytes(), "{section}");
            assert_eq!(program.line().await, ")\r\n");
            assert!(program.line().await.starts_with("f OK"));
        }
        program.ok("LOGOUT").await;
    }
    server.close().await;
}

#[tokio::test]
async fn folder_with_all_keywords_offers_no_new_ones() {
    let server = open().await;
    deliver(&server.node, b"Subject: a\r\n\r\n").await;
    let mut program = inbox(&server).await;
    let offers = async |program: &mut Program<TcpStream>| {
        let lines = program.ok("SELECT INBOX").await;
        let permanent = lines.iter().find(|line| line.contains("PERMANENTFLAGS")).unwrap();
        permanent.contains("\\*")
    };
    let keywords = |count: u32| (0..count).map(|n| format!("k{n} ")).collect::<String>();
    program.ok(&format!("STORE 1 +FLAGS ({})", keywords(49).trim())).await;
    assert!(offers(&mut program).await);
    program.ok("STORE 1 +FLAGS (k49)").await;
    assert!(!offers(&mut program).await);
    // A keyword that no message has any more makes room for another.
    program.ok("STORE 1 -FLAGS (k7)").await;
    assert!(offers(&mut program).await);
    program.ok("STORE 1 +FLAGS (other)").await;
    assert!(!offers(&mut program).await);
    server.close().await;
}
