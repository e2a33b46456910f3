//! Request and response bodies of slow clients. A request body that stalls longer than its
//! [`StallBudget`] ends with an error; a connection counts as being served until its response body
//! is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use freehold_listen::{Permit, Serving, StallBudget};
use hyper::body::{Body, Frame, SizeHint};

/// Why a request body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client stalled longer than its budget.
    #[error("the body came too slowly")]
    TooSlow,
    /// The connection.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
}

/// A request body that the client must send within its stall budget.
pub(crate) struct DeadlineBody<B> {
    body: B,
    budget: StallBudget,
    permit: Arc<Permit>,
}

impl<B> DeadlineBody<B> {
    /// Allows the client to stall for `full` in all.
    pub(crate) fn new(body: B, full: Duration, permit: Arc<Permit>) -> Self {
        Self { body, budget: StallBudget::new(full), permit }
    }
}

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Body for DeadlineBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { body, budget, permit } = self.get_mut();
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                permit.progressed();
                if let Some(Ok(frame)) = &frame {
                    budget.moved(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
            }
            Poll::Pending => {
                permit.waiting();
                budget.poll_spent(cx).map(|()| Some(Err(BodyError::TooSlow)))
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

/// A response body; the connection counts as being served until this is dropped.
pub(crate) struct ServingBody<B> {
    body: B,
    _serving: Serving,
}

impl<B> ServingBody<B> {
    pub(crate) fn new(body: B, serving: Serving) -> Self {
        Self { body, _serving: serving }
    }
}

impl<B: Body + Unpin> Body for ServingBody<B> {
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
