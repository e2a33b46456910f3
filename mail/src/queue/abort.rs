//! The connection to a next hop, with a handle that aborts it.
//!
//! lettre writes the end of a message as soon as there are no more pieces. A message that can't be
//! read to its end must not be ended, or the next hop would accept a truncated one. So the stream
//! is aborted first, and the end is never written.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The most bytes that are kept of a server's greeting and its reply to EHLO.
const OPENING_LEN_MAX: usize = 16 * 1024;
const HELO: &[u8] = b"HELO";

/// Aborts its stream.
#[derive(Clone, Debug, Default)]
pub(super) struct AbortHandle(Arc<AtomicBool>);

impl AbortHandle {
    /// Every later write fails.
    pub(super) fn abort(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            Err(io::Error::other("the message could not be read"))
        } else {
            Ok(())
        }
    }
}

/// The command that lettre's EHLO is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HelloCommand {
    Ehlo,
    /// For a server that refuses EHLO (RFC 5321 3.2). lettre knows only EHLO, of the same length.
    Helo,
}

/// The first bytes that a server sends: its greeting and its reply to EHLO, of which lettre keeps
/// only a part.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening(Arc<Mutex<Vec<u8>>>);

impl Opening {
    fn extend(&self, bytes: &[u8]) {
        let mut opening = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OPENING_LEN_MAX.saturating_sub(opening.len());
        opening.extend(bytes.iter().take(room));
    }

    /// Whether the server greeted with 220, so that a later refusal is EHLO's.
    pub(super) fn is_greeted(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).starts_with(b"220")
    }

    /// The lines of the reply to EHLO, without codes; `None` if it was too long to be kept whole.
    pub(super) fn hello(&self) -> Option<Vec<String>> {
        let opening = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if opening.len() >= OPENING_LEN_MAX {
            return None;
        }
        let text = String::from_utf8_lossy(&opening);
        // The last line of a reply has no hyphen after the code (RFC 5321 4.2.1).
        let mut lines = text.lines().skip_while(|line| line.as_bytes().get(3) == Some(&b'-'));
        lines.next()?;
        Some(lines.filter_map(|line| line.get(4..).map(str::to_owned)).collect())
    }
}

/// A connection that can be aborted.
#[derive(Debug)]
pub(super) struct AbortableStream {
    socket: TcpStream,
    handle: AbortHandle,
    opening: Opening,
    command: HelloCommand,
    /// How many bytes of the command's name are sent.
    named: usize,
}

impl AbortableStream {
    /// A stream over `socket` that greets by `command`.
    pub(super) fn new(socket: TcpStream, command: HelloCommand) -> (Self, AbortHandle, Opening) {
        let (handle, opening) = (AbortHandle::default(), Opening::default());
        let stream =
            Self { socket, handle: handle.clone(), opening: opening.clone(), command, named: 0 };
        (stream, handle, opening)
    }
}

impl AsyncTokioStream for AbortableStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }
}

impl AsyncRead for AbortableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, into);
        self.opening.extend(into.filled().get(before..).unwrap_or_default());
        read
    }
}

impl AsyncWrite for AbortableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.handle.check()?;
        let rest = HELO.get(self.named..).unwrap_or_default();
        if self.command == HelloCommand::Ehlo || rest.is_empty() {
            return Pin::new(&mut self.socket).poll_write(context, bytes);
        }
        let name = rest.get(..bytes.len()).unwrap_or(rest);
        let written = Pin::new(&mut self.socket).poll_write(context, name);
        if let Poll::Ready(Ok(len)) = written {
            self.named += len;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle.check()?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
