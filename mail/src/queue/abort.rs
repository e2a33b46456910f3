//! The connection to a next hop, with a handle that aborts it.
//!
//! lettre writes the end of a message as soon as there are no more pieces. A message that can't be
//! read to its end must not be ended, or the next hop would accept a truncated one. So the stream
//! is aborted first, and the end is never written.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

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

/// A connection that can be aborted.
#[derive(Debug)]
pub(super) struct AbortableStream {
    socket: TcpStream,
    handle: AbortHandle,
}

impl AbortableStream {
    /// A stream over `socket`.
    pub(super) fn new(socket: TcpStream) -> (Self, AbortHandle) {
        let handle = AbortHandle::default();
        (Self { socket, handle: handle.clone() }, handle)
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
        Pin::new(&mut self.socket).poll_read(context, into)
    }
}

impl AsyncWrite for AbortableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.handle.check()?;
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle.check()?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
