//! The octets of a connection, compressed (RFC 4978) or not.

use std::io;
use std::time::Duration;

use freehold_listen::{Permit, TlsConfig};

use super::deflate::{DamagedInput, Deflate};
use super::session::Session;
use crate::sasl::ScramOffer;
use crate::state::MailState;
use crate::stream::{Stream, StreamError};

/// See the module's text.
pub(crate) struct Wire {
    stream: Stream,
    deflate: Option<Box<Deflate>>,
}

impl From<DamagedInput> for StreamError {
    fn from(error: DamagedInput) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error).into()
    }
}

impl Wire {
    /// A connection that is not compressed.
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, deflate: None }
    }

    /// From here on both directions are compressed.
    pub(crate) fn start_compression(&mut self) {
        self.deflate = Some(Box::new(Deflate::new()));
    }

    /// As [`Stream::start_tls`].
    pub(crate) async fn start_tls(
        &mut self,
        config: &TlsConfig,
        permit: &Permit,
    ) -> Result<(), StreamError> {
        self.stream.start_tls(config, permit).await
    }

    /// The SCRAM mechanisms of the connection.
    pub(crate) async fn scram(&self, state: &MailState) -> ScramOffer {
        ScramOffer::on(state, &self.stream).await
    }

    /// Sends the session's output.
    pub(crate) async fn send(
        &mut self,
        session: &mut Session,
        wait: Duration,
    ) -> Result<(), StreamError> {
        let output = session.take_output();
        match &mut self.deflate {
            // An empty flush would cost octets.
            _ if output.is_empty() => Ok(()),
            None => self.stream.write(&output, wait).await,
            Some(deflate) => self.stream.write(&deflate.deflate(&output)?, wait).await,
        }
    }

    /// As [`Stream::fill`].
    pub(crate) async fn fill(&mut self, wait: Duration) -> Result<usize, StreamError> {
        self.stream.fill(wait).await
    }

    /// True if input was read that the session has not been handed yet.
    pub(crate) fn has_input(&self) -> bool {
        let is_behind = self.deflate.as_ref().is_some_and(|deflate| deflate.is_behind());
        is_behind || !self.stream.input().is_empty()
    }

    /// Hands the session input that was read: all of it, or one piece if it is compressed.
    pub(crate) fn hand_over(&mut self, session: &mut Session) -> Result<(), StreamError> {
        match &mut self.deflate {
            None => {
                session.receive(self.stream.input());
                self.stream.consume(usize::MAX);
            }
            Some(deflate) => {
                let (piece, taken) = deflate.inflate(self.stream.input())?;
                self.stream.consume(taken);
                session.receive(&piece);
            }
        }
        Ok(())
    }

    /// As [`Stream::is_reset`].
    pub(crate) fn is_reset(&self) -> bool {
        self.stream.is_reset()
    }

    /// As [`Stream::close`].
    pub(crate) async fn close(self) {
        self.stream.close().await;
    }
}
