//! One accepted connection, plain or TLS, with what has been read but not yet used.
//!
//! SMTP and IMAP sessions share it. Every wait has a limit, and an upgrade to TLS drops whatever
//! the client sent before the handshake (RFC 3207 4.2, RFC 9051 6.2.1): a command injected in front
//! of the encryption never runs behind it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use freehold_core::crowd::Place;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How much one read asks for, in bytes.
const READ_LEN: usize = 16 * 1024;
/// How long a client may take over its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the goodbye of a closing connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a connection can't go on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The other side said or took nothing for too long.
    #[error("the other side was silent for too long")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// What is worth saying about a TLS session in a trace header (RFC 8314 4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSummary {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
}

/// A connection and its unread input.
#[derive(Debug)]
pub struct Stream {
    io: Io,
    peer: SocketAddr,
    input: Vec<u8>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Closed,
}

impl Stream {
    /// A connection that speaks in the clear, at least at first.
    pub fn plain(socket: TcpStream, peer: SocketAddr) -> Self {
        // A reply waits for nothing: sessions gather their replies themselves.
        let _ = socket.set_nodelay(true);
        Self { io: Io::Plain(socket), peer, input: Vec::new() }
    }

    /// A connection that begins with the handshake (implicit TLS, RFC 8314 3).
    ///
    /// # Errors
    /// When the handshake fails, takes too long, or the place is needed meanwhile.
    pub async fn tls(
        socket: TcpStream,
        peer: SocketAddr,
        config: &Arc<ServerConfig>,
        place: &Place,
    ) -> Result<Self, StreamError> {
        let mut stream = Self::plain(socket, peer);
        tokio::select! {
            encrypted = stream.start_tls(config) => encrypted?,
            () = place.is_needed() => return Err(StreamError::Timeout),
        }
        Ok(stream)
    }

    /// Upgrades to TLS, dropping all input that was read before the handshake. A connection that
    /// has TLS already stays as it is.
    ///
    /// # Errors
    /// When the handshake fails or takes too long; the connection is then closed.
    pub async fn start_tls(&mut self, config: &Arc<ServerConfig>) -> Result<(), StreamError> {
        self.input.clear();
        match std::mem::replace(&mut self.io, Io::Closed) {
            Io::Plain(socket) => {
                let acceptor = TlsAcceptor::from(Arc::clone(config));
                let stream = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket))
                    .await
                    .map_err(|_| StreamError::Timeout)??;
                self.io = Io::Tls(Box::new(stream));
                Ok(())
            }
            other => {
                self.io = other;
                Ok(())
            }
        }
    }

    /// The TLS session, if there is one.
    pub fn tls_summary(&self) -> Option<TlsSummary> {
        let Io::Tls(stream) = &self.io else { return None };
        let (_, session) = stream.get_ref();
        let version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
            other => format!("{other:?}"),
        };
        let cipher = session
            .negotiated_cipher_suite()
            .map_or_else(|| "unknown".to_owned(), |suite| format!("{:?}", suite.suite()));
        Some(TlsSummary { version, cipher })
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.io, Io::Tls(_))
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether the client is on this machine, where nobody else can listen in.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.peer.ip())
    }

    /// What has been read and not yet consumed.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Takes the first `len` bytes of the input as used.
    pub fn consume(&mut self, len: usize) {
        self.input.drain(..len.min(self.input.len()));
    }

    /// Reads more input and says how many bytes came; zero is the end. Dropping this future loses
    /// nothing.
    ///
    /// # Errors
    /// When nothing came within `wait`, or the connection broke.
    pub async fn fill(&mut self, wait: Duration) -> Result<usize, StreamError> {
        self.input.reserve(READ_LEN);
        let read = async {
            match &mut self.io {
                Io::Plain(socket) => socket.read_buf(&mut self.input).await,
                Io::Tls(stream) => stream.read_buf(&mut self.input).await,
                Io::Closed => Ok(0),
            }
        };
        match timeout(wait, read).await {
            Ok(Ok(len)) => {
                self.acknowledge();
                Ok(len)
            }
            // A peer that leaves without a TLS goodbye has left: nothing here is trusted because it
            // ended well.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(StreamError::Timeout),
        }
    }

    /// Acknowledges what came at once. A client that sends a message and its last line in two
    /// writes waits for this (Nagle); the kernel would let it wait 40 ms, and forgets the wish
    /// after each read.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn acknowledge(&self) {
        let socket = match &self.io {
            Io::Plain(socket) => socket,
            Io::Tls(stream) => stream.get_ref().0,
            Io::Closed => return,
        };
        // Without it everything works, only later.
        let _ = socket.set_quickack(true);
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn acknowledge(&self) {}

    /// Writes all of `bytes` and flushes them.
    ///
    /// # Errors
    /// When the client did not take them within `wait`, or the connection broke.
    pub async fn write(&mut self, bytes: &[u8], wait: Duration) -> Result<(), StreamError> {
        let done = match &mut self.io {
            Io::Plain(socket) => timeout(wait, write_all(socket, bytes)).await,
            Io::Tls(stream) => timeout(wait, write_all(stream.as_mut(), bytes)).await,
            Io::Closed => Ok(Err(io::ErrorKind::NotConnected.into())),
        };
        Ok(done.map_err(|_| StreamError::Timeout)??)
    }

    /// Says goodbye and closes. Bytes still on their way here are of no interest any more.
    pub async fn close(mut self) {
        match &mut self.io {
            Io::Plain(socket) => drop(timeout(CLOSE_TIMEOUT, socket.shutdown()).await),
            Io::Tls(stream) => drop(timeout(CLOSE_TIMEOUT, stream.shutdown()).await),
            Io::Closed => {}
        }
    }
}

async fn write_all<W: AsyncRead + AsyncWrite + Unpin>(to: &mut W, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Whether `address` is this machine's own, also when written as IPv6.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
