//! The stream below lettre: it gives lettre the replies in the form that lettre reads, and keeps
//! the last one as the next hop sent it.
//!
//! The greeting, EHLO or HELO, and STARTTLS are done before lettre gets the stream (`hello`).
//! lettre insists on reading a greeting and sending EHLO, so both are played here and reach nobody.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::reply::{NotAReply, Reply, ReplyReader};
use crate::queue::abort::AbortHandle;

/// Received bytes that are read at one time.
const PIECE_LEN: usize = 4096;

/// The last reply that lettre was given, as the next hop sent it.
#[derive(Clone, Debug, Default)]
pub(super) struct LastReply(Arc<Mutex<Option<Reply>>>);

impl LastReply {
    /// Takes the reply.
    pub(super) fn take(&self) -> Option<Reply> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, reply: Reply) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
    }
}

/// The connection itself.
#[derive(Debug)]
pub(super) enum Socket {
    /// In the clear.
    Plain(TcpStream),
    /// After STARTTLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct NextHopStream {
    socket: Socket,
    abort: AbortHandle,
    reader: ReplyReader,
    replies: VecDeque<Reply>,
    /// The bytes received after `replies` are no reply.
    error: Option<NotAReply>,
    last: LastReply,
    /// Bytes for lettre.
    given: VecDeque<u8>,
    /// lettre's EHLO is still to come, and is dropped.
    drops_hello: bool,
}

impl NextHopStream {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            abort: AbortHandle::default(),
            reader: ReplyReader::default(),
            replies: VecDeque::new(),
            error: None,
            last: LastReply::default(),
            given: VecDeque::new(),
            drops_hello: false,
        }
    }

    /// The connection in the clear, to be encrypted. Replies that came too early are dropped: they
    /// were not protected (RFC 3207 6).
    pub(super) fn into_plain(self) -> io::Result<TcpStream> {
        match self.socket {
            Socket::Plain(socket) => Ok(socket),
            Socket::Tls(_) => Err(io::Error::other("TLS is active already")),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.socket, Socket::Tls(_))
    }

    /// Prepares the stream for lettre; the next hop was greeted already.
    pub(super) fn ready(&mut self) -> (AbortHandle, LastReply) {
        self.given.extend(b"220 ready\r\n");
        self.drops_hello = true;
        (self.abort.clone(), self.last.clone())
    }

    /// Sends a command and reads its reply.
    pub(super) async fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.write_all(line.as_bytes()).await?;
        self.flush().await?;
        self.reply().await
    }

    /// Reads the next reply.
    pub(super) async fn reply(&mut self) -> io::Result<Reply> {
        let reply = std::future::poll_fn(|context| self.poll_reply(context)).await?;
        reply.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The next reply; `None` at the end of the connection.
    fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Reply>>> {
        loop {
            if let Some(reply) = self.replies.pop_front() {
                return Poll::Ready(Ok(Some(reply)));
            }
            if let Some(error) = self.error {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            let mut piece = [0; PIECE_LEN];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(match &mut self.socket {
                Socket::Plain(socket) => Pin::new(socket).poll_read(context, &mut piece),
                Socket::Tls(socket) => Pin::new(socket).poll_read(context, &mut piece),
            })?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(self.reader.end()));
            }
            self.error = self.reader.push(piece.filled(), &mut self.replies).err();
        }
    }
}

impl AsyncTokioStream for NextHopStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Plain(socket) => socket.peer_addr(),
            Socket::Tls(socket) => socket.get_ref().0.peer_addr(),
        }
    }
}

impl AsyncRead for NextHopStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given.is_empty()
            && let Some(reply) = ready!(self.poll_reply(context))?
        {
            self.given.extend(reply.for_lettre());
            self.last.set(reply);
        }
        let len = into.remaining().min(self.given.len());
        for byte in self.given.drain(..len) {
            into.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for NextHopStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.abort.check()?;
        if self.drops_hello {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            if end.is_some() {
                self.drops_hello = false;
                self.given.extend(b"250 ready\r\n");
            }
            return Poll::Ready(Ok(end.map_or(bytes.len(), |end| end + 1)));
        }
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Socket::Tls(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.abort.check()?;
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(context),
            Socket::Tls(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Tls(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}
