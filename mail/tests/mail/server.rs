//! A test's mail server on its own ports, and an SMTP client.

use std::net::SocketAddr;
use std::sync::Arc;

use data_encoding::BASE64;
use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;
use freehold_core::{events::Event, logins};
use freehold_mail::{Mail, MailAddresses, MailConfig, MailListeners};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::imap::TIMEOUT;

/// A self-signed certificate for localhost, and the configuration that uses it.
pub fn tls() -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.key_pair.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (Arc::new(config), certificate)
}

/// Starts `node`'s mail, with the SMTP port at `smtp`.
pub async fn serve(
    node: Node,
    config: MailConfig,
    smtp: SocketAddr,
) -> (Mail, CertificateDer<'static>) {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let listeners = MailListeners {
        smtp: TcpListener::bind(smtp).await.unwrap(),
        submission: bind().await.unwrap(),
        smtps: bind().await.unwrap(),
        imap: bind().await.unwrap(),
        imaps: bind().await.unwrap(),
    };
    let (tls, certificate) = tls();
    (Mail::start(node, config, listeners, tls).unwrap(), certificate)
}

/// A node with its running mail.
pub struct TestServer {
    pub node: TestNode,
    pub mail: Mail,
    pub addresses: MailAddresses,
    pub app_password: String,
    pub certificate: CertificateDer<'static>,
}

impl TestServer {
    /// Starts `node`'s mail with `config`.
    pub async fn open(node: TestNode, config: MailConfig) -> Self {
        Self::open_on(node, config, "127.0.0.1:0".parse().unwrap()).await
    }

    /// The same, with the SMTP port at `smtp`.
    pub async fn open_on(node: TestNode, config: MailConfig, smtp: SocketAddr) -> Self {
        let (_, app_password) = logins::create_app_password(&node, "test").await.unwrap();
        let (mail, certificate) = serve(Node::clone(&node), config, smtp).await;
        let addresses = mail.addresses();
        Self { node, mail, addresses, app_password, certificate }
    }

    /// Stops the mail and drops the node.
    pub async fn close(self) {
        self.mail.shutdown(TIMEOUT).await;
    }
}

/// The messages of a special folder, as stored.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
pub fn bodies(node: &Node, special: SpecialUse) -> Vec<Vec<u8>> {
    let folder = mailbox::special_folder(node, special).unwrap().unwrap();
    let messages = mailbox::messages(node, folder.id, 1, u32::MAX, 10_000).unwrap();
    messages
        .iter()
        .map(|message| mailbox::body(node, message).unwrap().read_all(100_000_000).unwrap())
        .collect()
}

/// The messages of a special folder as text.
pub fn texts(node: &Node, special: SpecialUse) -> Vec<String> {
    bodies(node, special).iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect()
}

/// Waits until `condition` holds; checks it after every event of `node`.
pub async fn until(node: &Node, condition: impl Fn() -> bool) {
    let mut events = node.events.subscribe();
    let waiting = async {
        while !condition() {
            let _: Result<Event, _> = events.recv().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting)
        .await
        .expect("the condition did not hold in time");
}

/// A client that sends lines and reads replies.
pub struct Client<S = TcpStream>(BufReader<S>);

impl Client {
    /// Connects.
    pub async fn raw(to: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(to).await.unwrap()))
    }

    /// A client at another address than `127.0.0.1`: on Linux all of `127.0.0.0/8` is this machine.
    #[cfg(target_os = "linux")]
    pub async fn connect_from(from: &str, to: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let mut client = Self(BufReader::new(socket.connect(to).await.unwrap()));
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    /// Connects and reads the greeting.
    pub async fn connect(to: SocketAddr) -> Self {
        let mut client = Self::raw(to).await;
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    /// Performs a TLS handshake that trusts `server`'s certificate alone.
    pub async fn encrypt(self, server: &TestServer) -> Client<TlsStream<TcpStream>> {
        assert!(self.0.buffer().is_empty(), "the server sent bytes before the handshake");
        let mut known = RootCertStore::empty();
        known.add(server.certificate.clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(known).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        Client(BufReader::new(connector.connect(name, self.0.into_inner()).await.unwrap()))
    }
}

impl Client<TlsStream<TcpStream>> {
    /// The channel binding of type tls-exporter (RFC 9266).
    pub fn channel_binding(&self) -> [u8; 32] {
        channel_binding(self.0.get_ref())
    }
}

/// The channel binding of type tls-exporter (RFC 9266) of a client's connection.
pub fn channel_binding(stream: &TlsStream<TcpStream>) -> [u8; 32] {
    let (_, session) = stream.get_ref();
    session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).unwrap()
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends `line` and its CR LF and reads the reply.
    pub async fn command(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// Logs in with AUTH PLAIN.
    pub async fn login(&mut self, user: &str, password: &str) {
        let response = BASE64.encode(format!("\0{user}\0{password}").as_bytes());
        assert!(self.command(&format!("AUTH PLAIN {response}")).await.starts_with("235"));
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
            if self.0.read_line(&mut line).await.unwrap() == 0
                || line.as_bytes().get(3) == Some(&b' ')
            {
                reply.push_str(&line);
                return reply;
            }
            reply.push_str(&line);
        }
    }
}
