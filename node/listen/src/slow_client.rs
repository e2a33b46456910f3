//! Slow clients: a budget of waiting time that a client uses up while nothing moves and earns back
//! with every byte it moves.
//!
//! A client that stalls is closed after half a minute, one that trickles single bytes as soon as
//! the budget is used up; a slow but honest line is served to the end. The budget covers the
//! request bodies that come in and the bytes that go out; a request's head has a timeout of its
//! own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::limiter::Permit;

/// How long a client may keep the node waiting within one body or response.
pub const STALL_BUDGET: Duration = Duration::from_secs(30);
/// The slowest line, in bytes per second: each byte moved earns back this part of a second.
const RATE_MIN: u32 = 1024;

/// The waiting time that one client has left.
#[derive(Debug)]
pub struct StallBudget {
    full: Duration,
    left: Duration,
    /// Since when the node waits.
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl StallBudget {
    /// A budget of `full`, unused.
    pub fn new(full: Duration) -> Self {
        Self { full, left: full, waiting_since: None, timer: None }
    }

    /// To be called while nothing moves; ready when the budget is used up.
    pub fn poll_spent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = *self.waiting_since.get_or_insert_with(Instant::now) + self.left;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if timer.deadline() != end {
            timer.as_mut().reset(end);
        }
        timer.as_mut().poll(cx)
    }

    /// `len` bytes moved.
    pub fn moved(&mut self, len: usize) {
        if let Some(since) = self.waiting_since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let earned = Duration::from_secs(len as u64) / RATE_MIN;
        self.left = self.left.saturating_add(earned).min(self.full);
    }
}

/// A connection whose client must read the response within its [`StallBudget`].
pub struct DeadlineStream<S> {
    stream: S,
    budget: StallBudget,
    permit: Arc<Permit>,
}

impl<S> DeadlineStream<S> {
    /// Allows the client of `stream` to stall for `full`.
    pub fn new(stream: S, full: Duration, permit: Arc<Permit>) -> Self {
        Self { stream, budget: StallBudget::new(full), permit }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for DeadlineStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A pending read is no stall by itself: between requests nothing is due. The layer that
        // knows what is due limits reading.
        Pin::new(&mut self.get_mut().stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> DeadlineStream<S> {
    fn limited<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
        len: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match done {
            Poll::Ready(result) => {
                let len = result.as_ref().map_or(0, len);
                if len > 0 {
                    self.permit.progressed();
                }
                self.budget.moved(len);
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.permit.waiting();
                self.budget.poll_spent(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for DeadlineStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.limited(cx, done, |len| *len)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.limited(cx, done, |len| *len)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_flush(cx);
        this.limited(cx, done, |()| 0)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.limited(cx, done, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stall_budget_shrinks_while_nothing_moves() {
        let mut budget = StallBudget::new(STALL_BUDGET);
        let waited = |budget: &mut StallBudget, seconds: u64| {
            budget.waiting_since = Instant::now().checked_sub(Duration::from_secs(seconds));
        };
        waited(&mut budget, 20);
        budget.moved(1024);
        assert_eq!(budget.left.as_secs(), 10, "twenty seconds used, one earned");
        for _ in 0..9 {
            waited(&mut budget, 2);
            budget.moved(1);
        }
        assert!(budget.left < Duration::from_millis(10), "a trickle of single bytes uses it up");
        budget.moved(64 * 1024 * 1024);
        assert_eq!(budget.left, STALL_BUDGET, "no budget grows beyond its beginning");
    }
}
