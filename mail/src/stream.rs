//! One accepted connection, plain or TLS, with the input that is read but not yet consumed.
//!
//! SMTP and IMAP sessions use this type. Every wait has a limit, and an upgrade to TLS drops all
//! input that the client sent before the handshake (RFC 3207 4.2, RFC 9051 6.2.1): a command
//! injected in the clear never runs in the encrypted session.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use freehold_listen::{Accepted, Permit, TlsConfig};
use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// How much one read asks for, in bytes.
const READ_LEN: usize = 16 * 1024;
/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the TLS close_notify or TCP FIN of a closing connection may take to be sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a connection can't go on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The client sent or accepted no byte for too long.
    #[error("the other side was silent for too long")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// The properties of a TLS session that a trace header records (RFC 8314 4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSummary {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
}

/// The label of the exported keying material (RFC 9266 section 2).
const BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The channel binding of a TLS connection, of type `tls-exporter` (RFC 9266): both sides compute
/// it, and nobody between them has the same on both connections. Its `Debug` is empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChannelBinding(pub(crate) [u8; 32]);

impl std::fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChannelBinding")
    }
}

/// A connection and its unread input.
#[derive(Debug)]
pub struct Stream {
    io: Io,
    peer: SocketAddr,
    is_local: bool,
    input: Vec<u8>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Closed,
}

impl Stream {
    /// A connection that begins without TLS.
    pub fn plain(accepted: Accepted) -> Self {
        let is_local = accepted.is_local();
        let Accepted { stream, peer, .. } = accepted;
        // Sessions gather their replies, so Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        Self { io: Io::Plain(stream), peer, is_local, input: Vec::new() }
    }

    /// A connection that begins with the TLS handshake (implicit TLS, RFC 8314 3).
    ///
    /// # Errors
    /// When the handshake fails or takes too long, or the permit is revoked during the handshake.
    pub async fn tls(accepted: Accepted, config: &TlsConfig) -> Result<Self, StreamError> {
        let permit = accepted.permit.clone();
        let mut stream = Self::plain(accepted);
        stream.start_tls(config, &permit).await?;
        Ok(stream)
    }

    /// Upgrades to TLS and drops all input that was read before the handshake. Does not change a
    /// connection that has TLS already.
    ///
    /// # Errors
    /// When the handshake fails or takes too long, or the permit is revoked during the handshake.
    /// The connection is then closed.
    pub async fn start_tls(
        &mut self,
        config: &TlsConfig,
        permit: &Permit,
    ) -> Result<(), StreamError> {
        self.input.clear();
        match std::mem::replace(&mut self.io, Io::Closed) {
            Io::Plain(socket) => {
                match config.handshake(socket, HANDSHAKE_TIMEOUT, permit).await {
                    Ok(stream) => self.io = Io::Tls(Box::new(stream)),
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        return Err(StreamError::Timeout);
                    }
                    Err(error) => return Err(error.into()),
                }
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

    /// The channel binding. A connection has one with TLS 1.3: in earlier versions it would be
    /// unique only with an extension (RFC 9266 section 4.2).
    pub fn channel_binding(&self) -> Option<ChannelBinding> {
        let Io::Tls(stream) = &self.io else { return None };
        let (_, session) = stream.get_ref();
        if session.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return None;
        }
        session.export_keying_material([0; 32], BINDING_LABEL, None).ok().map(ChannelBinding)
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.io, Io::Tls(_))
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether the client is on this machine, so that no network carries its password. A client
    /// behind a proxy is not.
    pub fn is_loopback(&self) -> bool {
        self.is_local
    }

    /// Whether the client has reset the connection. A client that closed it does so in reply to
    /// bytes sent to it.
    pub fn is_reset(&self) -> bool {
        let error = match &self.io {
            Io::Plain(socket) => socket.take_error(),
            Io::Tls(stream) => stream.get_ref().0.take_error(),
            Io::Closed => return true,
        };
        !matches!(error, Ok(None))
    }

    /// The input that is read and not yet consumed.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Drops the first `len` bytes of the input.
    pub fn consume(&mut self, len: usize) {
        self.input.drain(..len.min(self.input.len()));
    }

    /// Reads more input and returns how many bytes came; zero is the end. With a `wait` of zero it
    /// reads only what is there. Dropping this future loses no byte.
    ///
    /// # Errors
    /// When no byte came within `wait`, or the connection broke.
    pub async fn fill(&mut self, wait: Duration) -> Result<usize, StreamError> {
        self.input.reserve(READ_LEN);
        let read = async {
            match &mut self.io {
                Io::Plain(socket) => socket.read_buf(&mut self.input).await,
                Io::Tls(stream) => stream.read_buf(&mut self.input).await,
                Io::Closed => Ok(0),
            }
        };
        // A timer takes a millisecond at least.
        let result = match wait.is_zero() {
            true => read.now_or_never(),
            false => timeout(wait, read).await.ok(),
        };
        match result {
            Some(Ok(len)) => {
                self.acknowledge();
                Ok(len)
            }
            // An end without close_notify is an ordinary end: both protocols mark the end of a
            // message themselves, so truncation is not mistaken for one.
            Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Some(Err(error)) => Err(error.into()),
            None => Err(StreamError::Timeout),
        }
    }

    /// Sends the TCP acknowledgement at once. A client that sends a message and its last line in
    /// two writes waits for it (Nagle's algorithm); the kernel delays it by 40 ms, and resets
    /// TCP_QUICKACK after each read.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn acknowledge(&self) {
        let socket = match &self.io {
            Io::Plain(socket) => socket,
            Io::Tls(stream) => stream.get_ref().0,
            Io::Closed => return,
        };
        // A failure costs only time.
        let _ = socket.set_quickack(true);
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn acknowledge(&self) {}

    /// Writes all of `bytes` and flushes them.
    ///
    /// # Errors
    /// When the client did not accept them within `wait`, or the connection broke.
    pub async fn write(&mut self, bytes: &[u8], wait: Duration) -> Result<(), StreamError> {
        let done = match &mut self.io {
            Io::Plain(socket) => timeout(wait, write_all(socket, bytes)).await,
            Io::Tls(stream) => timeout(wait, write_all(stream.as_mut(), bytes)).await,
            Io::Closed => Ok(Err(io::ErrorKind::NotConnected.into())),
        };
        Ok(done.map_err(|_| StreamError::Timeout)??)
    }

    /// Ends the TLS session and closes. Input that is still on its way is dropped.
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
