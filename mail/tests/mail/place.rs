//! A node with its mail running on ports of its own, and a plain client to talk to it with.

use std::net::SocketAddr;
use std::sync::Arc;

use data_encoding::BASE64;
use freehold_core::mailbox::{self, Message, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_core::{events::Event, logins};
use freehold_mail::{Mail, MailAddresses, MailConfig, MailListeners};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A certificate of this test's own, for localhost.
pub fn tls() -> Arc<ServerConfig> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    Arc::new(config)
}

/// Somebody's node and mail.
pub struct Place {
    pub node: TestNode,
    pub mail: Mail,
    pub addresses: MailAddresses,
    pub app_password: String,
}

impl Place {
    /// Opens `node`'s mail, as `config` says.
    pub async fn open(node: TestNode, config: MailConfig) -> Self {
        Self::open_on(node, config, "127.0.0.1:0".parse().unwrap()).await
    }

    /// The same, with mail from other servers coming in at `smtp`.
    pub async fn open_on(node: TestNode, config: MailConfig, smtp: SocketAddr) -> Self {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let listeners = MailListeners {
            smtp: TcpListener::bind(smtp).await.unwrap(),
            submission: bind().await.unwrap(),
            smtps: bind().await.unwrap(),
            imap: bind().await.unwrap(),
            imaps: bind().await.unwrap(),
        };
        let tls = tls();
        let (_, app_password) = logins::create_app_password(&node, "test").await.unwrap();
        let mail = Mail::start(Node::clone(&node), config, listeners, tls).unwrap();
        let addresses = mail.addresses();
        Self { node, mail, addresses, app_password }
    }

    /// Closes the mail, and the node with it.
    pub async fn close(self) {
        self.mail.shutdown().await;
    }
}

/// The messages of a special folder and their texts.
pub fn texts(node: &Node, special: SpecialUse) -> Vec<String> {
    let folder = mailbox::special_folder(node, special).unwrap().unwrap();
    let messages = mailbox::messages(node, folder.id, 1, u32::MAX, 10_000).unwrap();
    messages.iter().map(|message| text(node, message)).collect()
}

/// One message's text.
pub fn text(node: &Node, message: &Message) -> String {
    String::from_utf8_lossy(&mailbox::body(node, message).unwrap().read_all(100_000_000).unwrap()).into_owned()
}

/// Waits until `what` holds, looking again at every hint from `node`.
pub async fn until(node: &Node, what: impl Fn() -> bool) {
    let mut hints = node.events.subscribe();
    let waiting = async {
        while !what() {
            let _: Result<Event, _> = hints.recv().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("it never came to be");
}

/// A client that says lines and reads replies.
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects and reads the greeting.
    pub async fn connect(to: SocketAddr) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(to).await.unwrap()));
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    /// Sends `line` and its CR LF and reads the reply.
    pub async fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// Logs in with AUTH PLAIN.
    pub async fn login(&mut self, user: &str, password: &str) {
        let response = BASE64.encode(format!("\0{user}\0{password}").as_bytes());
        assert!(self.say(&format!("AUTH PLAIN {response}")).await.starts_with("235"));
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    /// Reads one whole reply; empty at the end of the connection.
    pub async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.unwrap() == 0 || line.as_bytes().get(3) == Some(&b' ') {
                reply.push_str(&line);
                return reply;
            }
            reply.push_str(&line);
        }
    }
}
