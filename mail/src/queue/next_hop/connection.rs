//! A connection to a next hop, and the transactions over it (RFC 5321 3.3).

use std::time::Duration;

use freehold_core::blocking::{blocking_future, try_blocking};
use freehold_core::mailbox::QueuedMessage;
use freehold_core::mta_sts::{self, Mode};
use freehold_core::store::StoreError;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::destination::{Destination, Encryption};
use super::extensions::Extensions;
use super::reply::Reply;
use super::stream::{LastReply, NextHopStream};
use super::text::Text;
use super::{Failure, QUIT_TIMEOUT, broken, hello, no_reply};
use crate::dkim;
use crate::queue::abort::AbortHandle;
use crate::queue::result::AttemptResult;
use crate::queue::route::NextHop;
use crate::smtp::address::Mailbox;
use crate::state::MailState;

/// RFC 5321 4.5.3.2.2, 4.5.3.2.3: MAIL and RCPT.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// RFC 5321 4.5.3.2.4.
const DATA_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// RFC 5321 4.5.3.2.6, for the reply to the whole message. The time for the text itself is added.
const END_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The slowest accepted transfer, in bytes a second.
const RATE_MIN: u64 = 2 * 1024;
/// The recipients of one transaction: every server accepts as many (RFC 5321 4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct NoConnection {
    pub(super) result: AttemptResult,
    /// Another message would have none either.
    pub(super) is_general: bool,
}

/// A connection to a next hop that was greeted.
pub(crate) struct Connection {
    /// `None` after a transfer that did not come to its end.
    smtp: Option<AsyncSmtpConnection>,
    abort: AbortHandle,
    last_reply: LastReply,
    pub(super) extensions: Extensions,
    to: Destination,
    /// How the connection is encrypted, for the log.
    tls: &'static str,
    /// The messages for which it was used.
    pub(super) messages: usize,
    /// The next hop has accepted MAIL of the last message.
    pub(super) has_begun: bool,
    /// The last message was refused in the middle of its transaction.
    pub(super) needs_reset: bool,
}

impl Connection {
    pub(super) async fn open(state: &MailState, hop: &NextHop) -> Result<Self, NoConnection> {
        let servers = Destination::of(state, hop).await.map_err(|result| {
            // The domain's DNS is the same for all its messages.
            let is_general =
                matches!((hop, &result), (NextHop::Direct(_), AttemptResult::Deferred(_)));
            NoConnection { result, is_general }
        })?;
        let name = state.hostname().await;
        let (to, mut stream, extensions) = Self::first(state, servers, &name).await?;
        let (abort, last_reply) = stream.ready();
        let tls = match (stream.is_tls(), &to.policy_of, to.encryption) {
            (false, ..) => "none",
            (true, _, Encryption::IfOffered) => "not verified",
            (true, Some(_), _) => "verified by MTA-STS",
            (true, None, _) => "verified",
        };
        let name = ClientId::Domain(name);
        let smtp = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &name)
            .await
            .map_err(|error| NoConnection { result: broken(&error).into(), is_general: false })?;
        Ok(Self {
            smtp: Some(smtp),
            abort,
            last_reply,
            extensions,
            to,
            tls,
            messages: 0,
            has_begun: false,
            needs_reset: false,
        })
    }

    /// The first of the servers that takes the connection. If none does, the message waits, unless
    /// all of them refuse it for good.
    async fn first(
        state: &MailState,
        servers: Vec<Destination>,
        name: &str,
    ) -> Result<(Destination, NextHopStream, Extensions), NoConnection> {
        let (mut fault, mut is_general) = (None, true);
        for to in servers {
            match hello::open(&to, name, &state.config.trusted_roots).await {
                Ok((stream, extensions)) => return Ok((to, stream, extensions)),
                Err(failure) => {
                    is_general &= matches!(failure, Failure::Unanswered(_));
                    match fault {
                        Some(AttemptResult::Deferred(_)) => {}
                        _ => fault = Some(failure.into()),
                    }
                }
            }
        }
        let nothing = || AttemptResult::Deferred("451 4.4.4 there is no next hop".to_owned());
        Err(NoConnection { result: fault.unwrap_or_else(nothing), is_general })
    }

    /// False if the owner has changed the smarthost since the connection was opened, or if the
    /// domain's policy (MTA-STS) has come to demand verified TLS.
    pub(super) async fn is_for(&self, state: &MailState, hop: &NextHop) -> bool {
        match hop {
            NextHop::Smarthost => Destination::of(state, hop)
                .await
                .is_ok_and(|current| current.first() == Some(&self.to)),
            NextHop::Direct(domain) if self.to.policy_of.is_none() => {
                let (node, domain) = (state.node.clone(), domain.clone());
                let known = try_blocking(move || mta_sts::get(&node, &domain)).await;
                known
                    .is_ok_and(|known| known.is_none_or(|known| known.policy.mode != Mode::Enforce))
            }
            NextHop::Configured(_) | NextHop::Direct(_) => true,
        }
    }

    /// Ends a transaction that was refused (RFC 5321 4.1.1.5).
    pub(super) async fn reset(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.needs_reset) {
            self.command(COMMAND_TIMEOUT, "RSET\r\n", 2).await?;
        }
        Ok(())
    }

    /// Leaves. The messages are delivered; a failed QUIT changes nothing.
    pub(crate) async fn quit(mut self) {
        if let Some(smtp) = &mut self.smtp {
            let _ = timeout(QUIT_TIMEOUT, smtp.quit()).await;
        }
    }

    /// Sends a command whose reply must have `class` as its first digit.
    async fn command(
        &mut self,
        wait: Duration,
        command: impl std::fmt::Display,
        class: u16,
    ) -> Result<Reply, Failure> {
        let Some(smtp) = &mut self.smtp else { return Err(no_reply()) };
        let sent = timeout(wait, smtp.command(command)).await;
        reply(sent, &self.last_reply, class)
    }

    /// Sends the message to all recipients in transactions of at most `RECIPIENTS_MAX`. An error is
    /// the result of every recipient without one of their own.
    pub(super) async fn transactions(
        &mut self,
        state: &MailState,
        item: &QueuedMessage,
        to: &[String],
        results: &mut Vec<(String, AttemptResult)>,
    ) -> Result<(), Failure> {
        (self.has_begun, self.messages) = (false, self.messages + 1);
        for some in to.chunks(RECIPIENTS_MAX) {
            self.transaction(state, item, some, results).await?;
        }
        Ok(())
    }

    /// One transaction (RFC 5321 3.3).
    async fn transaction(
        &mut self,
        state: &MailState,
        item: &QueuedMessage,
        to: &[String],
        results: &mut Vec<(String, AttemptResult)>,
    ) -> Result<(), Failure> {
        let (blobs, blob, examine_body) =
            (state.node.blobs.clone(), item.blob, !self.extensions.eight_bit);
        // A friend's message has the signature of the friend's domain.
        let (signers, trace) = match item.on_behalf {
            None => (dkim::signers(state).await?, String::new()),
            Some(_) => (Vec::new(), item.prefix.clone()),
        };
        let (text, first) = try_blocking(move || {
            let text = Text::open(&blobs, &blob, examine_body)?;
            let first = trace + &text.signatures(&signers)?;
            Ok::<_, StoreError>((text, first))
        })
        .await?;
        let size = item.size.saturating_add(first.len() as u64);
        let mail = self.mail(item, size, to, &text).map_err(Failure::Refused)?;
        self.command(COMMAND_TIMEOUT, mail, 2).await?;
        self.has_begun = true;
        let mut accepted = Vec::new();
        for address in to {
            // The address was validated when it was queued. It is parsed again, because an invalid
            // one could inject a command.
            let Some(mailbox) = Mailbox::parse(address).map(Mailbox::with_ascii_domain) else {
                results.push((
                    address.clone(),
                    AttemptResult::Refused("501 5.1.3 not a valid address".to_owned()),
                ));
                continue;
            };
            let rcpt = format!("RCPT TO:<{mailbox}>{}\r\n", self.report_parameters(item, address));
            match self.command(COMMAND_TIMEOUT, rcpt, 2).await {
                Ok(_) => accepted.push(address),
                Err(Failure::Refused(result)) => {
                    results.push((address.clone(), too_many_is_temporary(result)));
                }
                Err(failure) => return Err(failure),
            }
        }
        if accepted.is_empty() {
            self.command(COMMAND_TIMEOUT, "RSET\r\n", 2).await?;
            return Ok(());
        }
        self.command(DATA_TIMEOUT, "DATA\r\n", 3).await?;
        let wait = END_TIMEOUT + Duration::from_secs(item.size / RATE_MIN);
        let reply = self.transfer(state, first, text, wait).await?;
        let result = match self.extensions.dsn {
            true => AttemptResult::PassedOn(reply),
            false => AttemptResult::Relayed(reply),
        };
        let (server, tls) = (&self.to.server, self.tls);
        tracing::info!(id = %item.id, server, tls, "a next hop has taken a message");
        results.extend(accepted.into_iter().map(|address| (address.clone(), result.clone())));
        Ok(())
    }

    /// Sends the text and returns the reply. lettre reads the pieces between its writes, so the
    /// whole transfer runs on a thread that may block; there are at most `WORKERS_MAX` of them.
    async fn transfer(
        &mut self,
        state: &MailState,
        first: String,
        text: Text,
        wait: Duration,
    ) -> Result<String, Failure> {
        let Some(mut smtp) = self.smtp.take() else { return Err(no_reply()) };
        let (drain, abort) = (state.drain.clone(), self.abort.clone());
        let last_reply = self.last_reply.clone();
        let work = async move {
            let pieces = text.pieces(first, abort);
            let sent = tokio::select! {
                sent = timeout(wait, smtp.message_iter(pieces)) => reply(sent, &last_reply, 2),
                () = drain.halted() => Err(Failure::Broken(AttemptResult::Deferred(
                    "451 4.3.2 this node is shutting down".to_owned(),
                ))),
            };
            (smtp, sent)
        };
        let (smtp, sent) = blocking_future(work).await.map_err(StoreError::from)?;
        self.smtp = Some(smtp);
        Ok(sent?.line())
    }
}

/// 552 to RCPT is an old form of 452, "too many recipients" (RFC 5321 4.5.3.1.10).
fn too_many_is_temporary(result: AttemptResult) -> AttemptResult {
    match result {
        AttemptResult::Refused(reply) if reply.starts_with("552") => AttemptResult::Deferred(reply),
        result => result,
    }
}

/// The reply to something that was sent through lettre. lettre gives the error of a refusal; what
/// it means is decided by the reply as the next hop sent it.
fn reply(
    sent: Result<Result<Response, Error>, Elapsed>,
    last_reply: &LastReply,
    class: u16,
) -> Result<Reply, Failure> {
    match (sent, last_reply.take()) {
        (Err(_), _) => Err(no_reply()),
        (Ok(_), Some(reply)) => hello::expect(reply, class),
        (Ok(Err(error)), None) => Err(broken(&error)),
        (Ok(Ok(_)), None) => Err(no_reply()),
    }
}
