//! How slow a client may be: patience runs out while it keeps us waiting and comes back with every
//! byte it moves.
//!
//! Whoever stalls is let go after half a minute, whoever trickles as soon as they have used that
//! up; a slow but honest line is served to the end. Held to it are the bodies that come in and the
//! bytes that go out; a request's head has a time of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use freehold_core::crowd::{Place, Served};

/// How long a client may keep us waiting within a body or an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The slowest line, in bytes per second: each byte moved gives back this part of a second of
/// patience.
const RATE_MIN: u32 = 1024;

/// What patience is left with one client.
struct Patience {
    most: Duration,
    left: Duration,
    /// Since when we wait.
    since: Option<Instant>,
    end: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(most: Duration) -> Self {
        Self { most, left: most, since: None, end: None }
    }

    /// Nothing moves: whether the patience is over.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = *self.since.get_or_insert_with(Instant::now) + self.left;
        let sleep = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if sleep.deadline() != end {
            sleep.as_mut().reset(end);
        }
        sleep.as_mut().poll(cx)
    }

    /// `len` bytes moved.
    fn moved(&mut self, len: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let given_back = Duration::from_secs(len as u64) / RATE_MIN;
        self.left = self.left.saturating_add(given_back).min(self.most);
    }
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenBody {
    /// The client let us wait too long.
    #[error("the body came too slowly")]
    TooSlow,
    /// The connection.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
}

/// A request's body that may not stall.
pub(crate) struct PacedBody<B> {
    body: B,
    patience: Patience,
    place: Arc<Place>,
}

impl<B> PacedBody<B> {
    pub(crate) fn new(body: B, most: Duration, place: Arc<Place>) -> Self {
        Self { body, patience: Patience::new(most), place }
    }
}

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Body for PacedBody<B> {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let Self { body, patience, place } = self.get_mut();
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                place.goes_on();
                if let Some(Ok(frame)) = &frame {
                    patience.moved(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(BrokenBody::from)))
            }
            Poll::Pending => {
                place.waits();
                patience.poll_over(cx).map(|()| Some(Err(BrokenBody::TooSlow)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body; while it is there, the client is being served.
pub(crate) struct ServedBody<B> {
    body: B,
    _served: Served,
}

impl<B> ServedBody<B> {
    pub(crate) fn new(body: B, served: Served) -> Self {
        Self { body, _served: served }
    }
}

impl<B: Body + Unpin> Body for ServedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose other end must take what it asked for.
pub(crate) struct PacedStream<S> {
    stream: S,
    patience: Patience,
    place: Arc<Place>,
}

impl<S> PacedStream<S> {
    pub(crate) fn new(stream: S, most: Duration, place: Arc<Place>) -> Self {
        Self { stream, patience: Patience::new(most), place }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Not every read that waits is one we wait for, so reading is paced where it is known what
        // is due.
        Pin::new(&mut self.get_mut().stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> PacedStream<S> {
    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
        len: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match done {
            Poll::Ready(result) => {
                let len = result.as_ref().map_or(0, len);
                if len > 0 {
                    self.place.goes_on();
                }
                self.patience.moved(len);
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.place.waits();
                self.patience.poll_over(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.paced(cx, done, |len| *len)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.paced(cx, done, |len| *len)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_flush(cx);
        this.paced(cx, done, |()| 0)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.paced(cx, done, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_runs_out_while_nothing_moves_and_comes_back_with_what_does() {
        let mut patience = Patience::new(PATIENCE);
        let waited = |patience: &mut Patience, seconds: u64| {
            patience.since = Instant::now().checked_sub(Duration::from_secs(seconds));
        };
        waited(&mut patience, 20);
        patience.moved(1024);
        assert_eq!(patience.left.as_secs(), 10, "twenty seconds gone, one come back");
        for _ in 0..9 {
            waited(&mut patience, 2);
            patience.moved(1);
        }
        assert!(patience.left < Duration::from_millis(10), "a trickle of single bytes uses it up");
        patience.moved(64 * 1024 * 1024);
        assert_eq!(patience.left, PATIENCE, "nobody saves up more than the whole of it");
    }
}
