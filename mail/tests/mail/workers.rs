//! Blocking work leaves the async workers free: while file system calls on behalf of two sessions
//! are held, a server with two workers answers a third.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use freehold_core::clock::Clock;
use freehold_core::mailbox::{self, IdempotencyKey, Submission};
use freehold_core::node::Node;
use freehold_core::random::Random;
use freehold_core::testing::hooked_fs::{Action, FsCall};
use freehold_core::testing::{START, profile_of};
use freehold_core::{logins, publish};
use freehold_mail::{Mail, MailConfig};
use tokio::runtime::Runtime;

use crate::imap::{TIMEOUT, deliver};
use crate::server::serve;

/// Longer than a blob that is kept in memory until a checkpoint, in bytes.
const LARGE_LEN: usize = 300 * 1024;

/// Holds calls of the file system while it is closed.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    /// The calls that are held; none while the gate is open.
    holds: Option<fn(FsCall) -> bool>,
    held: usize,
    /// Files opened since the last [`Gate::take_opened`].
    opened: usize,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap()
    }

    /// Holds the calls for which `holds` is true from now on.
    fn close(&self, holds: fn(FsCall) -> bool) {
        let mut state = self.state();
        state.holds = Some(holds);
    }

    /// The number of files opened since the last call.
    fn take_opened(&self) -> usize {
        std::mem::take(&mut self.state().opened)
    }

    fn open(&self) {
        self.state().holds = None;
        self.changed.notify_all();
    }

    /// The hook in front of the file system.
    fn pass(&self, what: FsCall) {
        let mut state = self.state();
        state.opened += usize::from(what == FsCall::Open);
        if !state.holds.is_some_and(|holds| holds(what)) {
            return;
        }
        state.held += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| state.holds.is_some()).unwrap();
        state.held -= 1;
    }

    /// Waits until `count` calls are held.
    fn wait_until_held(&self, count: usize) {
        let waiting =
            self.changed.wait_timeout_while(self.state(), TIMEOUT, |state| state.held < count);
        assert!(!waiting.unwrap().1.timed_out(), "{count} calls should be held");
    }
}

/// A server on a runtime of two workers, with a gate in front of its blobs.
struct Server {
    gate: Arc<Gate>,
    runtime: Runtime,
    node: Node,
    password: String,
}

impl Server {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let gate = Arc::new(Gate::default());
        let hooked = Arc::clone(&gate);
        let hook = move |what: FsCall, path: &Path| {
            if path.components().any(|part| part.as_os_str() == "blobs") {
                hooked.pass(what);
            }
            Action::Proceed
        };
        let node = Node::in_memory_hooked(hook, Clock::manual(START), Random::seeded(1)).unwrap();
        let password = runtime.block_on(async {
            mailbox::initialise(&node).await.unwrap();
            publish::profile(&node, profile_of("alice")).await.unwrap();
            logins::create_app_password(&node, "test").await.unwrap().1
        });
        Self { gate, runtime, node, password }
    }

    fn start(&self) -> Mail {
        self.start_with(MailConfig::default())
    }

    fn start_with(&self, config: MailConfig) -> Mail {
        let smtp = "127.0.0.1:0".parse().unwrap();
        self.runtime.block_on(serve(self.node.clone(), config, smtp)).0
    }

    /// A client with the inbox selected.
    fn inbox(&self, mail: &Mail) -> Client {
        let mut client = Client::connect(mail.addresses().imap);
        client.line();
        client.send(&format!("t LOGIN alice {}\r\nt SELECT INBOX\r\n", self.password));
        client.assert_completes("t OK");
        client.assert_completes("t OK");
        client
    }
}

/// Releases the held threads when a test fails, so that the runtime can end.
impl Drop for Server {
    fn drop(&mut self) {
        self.gate.open();
    }
}

/// A client on a thread of the test, outside the server's runtime.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(to: SocketAddr) -> Self {
        let socket = TcpStream::connect(to).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self(BufReader::new(socket))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the server should answer");
        line
    }

    /// Reads up to the line that begins with `completion`, and returns the lines before it.
    fn assert_completes(&mut self, completion: &str) -> String {
        let mut lines = String::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "closed before {completion}, after {lines}");
            if line.starts_with(completion) {
                return lines;
            }
            lines.push_str(&line);
        }
    }
}

/// A message too long to be kept in memory.
fn large_message(subject: &str) -> String {
    let line = "A line of text, seventy octets and more of them with its end, for length.\r\n";
    format!("Subject: {subject}\r\n\r\n{}", line.repeat(LARGE_LEN / line.len()))
}

#[test]
fn held_blob_reads_leave_both_workers_free() {
    let server = Server::new();
    for subject in ["one", "two"] {
        let message = large_message(subject);
        server.runtime.block_on(deliver(&server.node, message.as_bytes()));
    }
    let mail = server.start();
    let (mut fetching, mut searching, mut third) =
        (server.inbox(&mail), server.inbox(&mail), server.inbox(&mail));
    server.gate.close(|what| what == FsCall::Open);
    fetching.send("f FETCH 1 BODY.PEEK[1]<0.9>\r\n");
    searching.send("s UID SEARCH UID 2 TEXT seventy\r\n");
    server.gate.wait_until_held(2);
    third.send("n NOOP\r\n");
    third.assert_completes("n OK");
    // New connections are served as well.
    let mut sender = Client::connect(mail.addresses().smtp);
    sender.assert_completes("220 ");
    assert_eq!(server.gate.state().held, 2, "both reads are still in progress");
    server.gate.open();
    assert!(fetching.assert_completes("f OK").contains("A line of"));
    assert_eq!(searching.assert_completes("s OK"), "* SEARCH 2\r\n");
    server.runtime.block_on(mail.shutdown(TIMEOUT));
}

#[test]
fn list_commands_open_no_blob() {
    const COMMANDS: [&str; 9] = [
        "STATUS INBOX (MESSAGES UNSEEN)",
        "FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY)",
        "FETCH 1:* BODY.PEEK[HEADER.FIELDS (From Subject References Content-Type)]",
        "SEARCH FROM bob UNSEEN LARGER 10 SENTSINCE 1-Jan-2000",
        "SEARCH SUBJECT 7 HEADER Message-ID example",
        "STORE 1:* +FLAGS (\\Flagged)",
        "COPY 1:66 Archive",
        "STORE 2:3 +FLAGS (\\Deleted)",
        "EXPUNGE",
    ];
    let server = Server::new();
    // More than a page, so that packed details are read too.
    for number in 0..70 {
        let header = format!(
            "From: bob@bob.example\r\nDate: 1 May 2026 10:00 +0000\r\nMessage-ID: <{number}@a.example>\r\n"
        );
        let message = header + &large_message(&number.to_string());
        server.runtime.block_on(deliver(&server.node, message.as_bytes()));
    }
    let mail = server.start();
    let mut client = server.inbox(&mail);
    server.gate.take_opened();
    for command in COMMANDS {
        client.send(&format!("a {command}\r\n"));
        let lines = client.assert_completes("a OK");
        assert!(!lines.is_empty() || command.starts_with("COPY"), "{command}");
        assert_eq!(server.gate.take_opened(), 0, "{command}");
    }
    client.send("b UID SEARCH SUBJECT 66\r\n");
    assert_eq!(client.assert_completes("b OK"), "* SEARCH 67\r\n");
    server.runtime.block_on(mail.shutdown(TIMEOUT));
}

#[test]
fn search_stops_when_its_client_has_left() {
    const MESSAGES: usize = 60;
    let server = Server::new();
    for number in 0..MESSAGES {
        let message = large_message(&number.to_string());
        server.runtime.block_on(deliver(&server.node, message.as_bytes()));
    }
    let mail = server.start_with(MailConfig { imap_connections_max: 2, ..MailConfig::default() });
    let (mut searching, mut other) = (server.inbox(&mail), server.inbox(&mail));
    server.gate.take_opened();
    other.send("a SEARCH BODY nowhere\r\n");
    other.assert_completes("a OK");
    let of_all = server.gate.take_opened();
    server.gate.close(|what| what == FsCall::Open);
    searching.send("s SEARCH BODY nowhere\r\n");
    server.gate.wait_until_held(1);
    drop(searching);
    // The server has seen the end of the one connection when it answers on the other.
    other.send("n NOOP\r\n");
    other.assert_completes("n OK");
    server.gate.open();
    // There is room for a third connection when the search has ended.
    while !Client::connect(mail.addresses().imap).line().starts_with("* OK") {}
    // One slice of 4 MiB before the server sees that the client closed its half of the connection,
    // one before it sees that the client closed the whole.
    let opened = server.gate.take_opened();
    let messages = 2 * (4 * 1024 * 1024 / LARGE_LEN + 1);
    assert!(opened * MESSAGES <= of_all * messages, "{opened} of {of_all} files were opened");
    server.runtime.block_on(mail.shutdown(TIMEOUT));
}

#[test]
fn search_ends_with_bye_at_a_stop() {
    let server = Server::new();
    for number in 0..45 {
        let message = large_message(&number.to_string());
        server.runtime.block_on(deliver(&server.node, message.as_bytes()));
    }
    let mail = server.start();
    let (mut searching, mut other) = (server.inbox(&mail), server.inbox(&mail));
    server.gate.close(|what| what == FsCall::Open);
    searching.send("s SEARCH BODY nowhere\r\n");
    server.gate.wait_until_held(1);
    let stopping = server.runtime.spawn(mail.shutdown(TIMEOUT));
    other.assert_completes("* BYE");
    server.gate.open();
    assert!(searching.line().starts_with("* BYE"));
    server.runtime.block_on(stopping).unwrap();
}

#[test]
fn search_result_reaches_a_half_closed_client() {
    let server = Server::new();
    for number in 0..45 {
        let message = large_message(&number.to_string());
        server.runtime.block_on(deliver(&server.node, message.as_bytes()));
    }
    let mail = server.start();
    let mut searching = server.inbox(&mail);
    searching.send("s SEARCH BODY nowhere\r\n");
    searching.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert!(searching.assert_completes("s OK").ends_with("* SEARCH\r\n"));
    server.runtime.block_on(mail.shutdown(TIMEOUT));
}

#[test]
fn held_spool_writes_leave_both_workers_free() {
    let server = Server::new();
    let mail = server.start();
    let (mut appending, mut third) = (server.inbox(&mail), server.inbox(&mail));
    let mut sender = Client::connect(mail.addresses().smtp);
    sender.send(
        "HELO bob.example\r\nMAIL FROM:<bob@bob.example>\r\nRCPT TO:<alice@alice.example>\r\n",
    );
    sender.assert_completes("250 2.1.5 ");
    sender.send("DATA\r\n");
    sender.assert_completes("354 ");
    server.gate.close(|what| matches!(what, FsCall::Create | FsCall::Write));
    let message = large_message("spooled");
    sender.send(&message);
    appending.send(&format!("a APPEND INBOX {{{}+}}\r\n{message}", message.len()));
    server.gate.wait_until_held(2);
    third.send("n NOOP\r\n");
    third.assert_completes("n OK");
    assert_eq!(server.gate.state().held, 2, "both writes are still in progress");
    server.gate.open();
    sender.send(".\r\n");
    sender.assert_completes("250 2.0.0 ");
    appending.send("\r\n");
    appending.assert_completes("a OK [APPENDUID ");
    server.runtime.block_on(mail.shutdown(TIMEOUT));
}

#[test]
fn held_queue_reads_leave_both_workers_free() {
    let server = Server::new();
    for subject in ["one", "two"] {
        let text = large_message(subject);
        server.runtime.block_on(submit(&server.node, text.as_bytes()));
    }
    server.gate.close(|what| what == FsCall::Open);
    let mail = server.start();
    server.gate.wait_until_held(2);
    let mut client = server.inbox(&mail);
    assert_eq!(server.gate.state().held, 2, "both deliveries are still in progress");
    client.send("i IDLE\r\n");
    client.assert_completes("+ ");
    server.gate.open();
    client.assert_completes("* 2 EXISTS");
    server.runtime.block_on(mail.shutdown(TIMEOUT));
}

/// Queues a message from alice to herself.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
async fn submit(node: &Node, text: &[u8]) {
    let submission = Submission {
        request: Default::default(),
        id: IdempotencyKey::new(node),
        from: "alice@alice.example".to_owned(),
        recipients: vec!["alice@alice.example".to_owned().into()],
        blob: node.blobs.put(text).unwrap(),
        copy_to_sent: false,
        limits: mailbox::queue::SendLimits::NONE,
        not_before: None,
    };
    mailbox::submit(node, submission).await.unwrap();
}
