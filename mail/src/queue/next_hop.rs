//! Sends one message to one next hop, command by command, so that every recipient has a result of
//! their own (RFC 5321 3.3, 4.2).
//!
//! lettre is only the connection; the commands, their timeouts and the meaning of the replies are
//! decided here.

use std::time::Duration;

use freehold_core::blocking::{blocking_future, try_blocking};
use freehold_core::mailbox::QueuedMessage;
use freehold_core::mailbox::queue::{Notify, xtext_encoded};
use freehold_core::smarthost::Smarthost;
use freehold_core::store::StoreError;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::abort::AbortHandle;
use super::result::AttemptResult;
use super::route::NextHop;
use crate::dkim;
use crate::smtp::address::Mailbox;
use crate::state::MailState;

mod destination;
mod extensions;
mod hello;
mod login;
mod mail_servers;
mod reply;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod tls;

use destination::Destination;
use extensions::Extensions;
use reply::Reply;
use stream::{LastReply, NextHopStream};
use text::Text;

/// RFC 5321 4.5.3.2.2, 4.5.3.2.3: MAIL and RCPT.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// RFC 5321 4.5.3.2.4.
const DATA_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// RFC 5321 4.5.3.2.6, for the reply to the whole message. The time for the text itself is added.
const END_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The slowest accepted transfer, in bytes a second.
const RATE_MIN: u64 = 2 * 1024;
/// How long QUIT may take.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// The recipients of one transaction: every server accepts as many (RFC 5321 4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;

/// Sends `item` to `addresses` through `hop` and returns the result of each.
pub(super) async fn send(
    state: &MailState,
    hop: &NextHop,
    item: &QueuedMessage,
    addresses: Vec<String>,
) -> Vec<(String, AttemptResult)> {
    let mut results = Vec::with_capacity(addresses.len());
    let opened = Connection::open(state, hop).await;
    if *hop == NextHop::Smarthost {
        let fault = opened.as_ref().err().map(|result| reason(result.clone()));
        crate::smarthost::record(state, fault).await;
    }
    let failed = match opened {
        Ok(connection) => {
            connection.transactions(state, item, &addresses, &mut results).await.err()
        }
        Err(result) => Some(result),
    };
    if let Some(result) = failed {
        // Recipients without a result of their own share this one.
        let open: Vec<String> = addresses
            .into_iter()
            .filter(|address| !results.iter().any(|(done, _)| done == address))
            .collect();
        results.extend(open.into_iter().map(|address| (address, result.clone())));
    }
    results
}

/// Logs in to the smarthost and leaves. Returns the reason of a failure.
pub(crate) async fn try_smarthost(state: &MailState, smarthost: &Smarthost) -> Result<(), String> {
    let (to, name) = (Destination::smarthost(smarthost), state.hostname().await);
    match hello::open(&to, &name, &state.config.trusted_roots).await {
        Ok((mut stream, _)) => {
            let _ = timeout(QUIT_TIMEOUT, stream.command("QUIT\r\n")).await;
            Ok(())
        }
        Err(result) => Err(reason(result)),
    }
}

/// The reply of a failed attempt without its code and enhanced code, which are for programs.
fn reason(result: AttemptResult) -> String {
    let reply = result.into_reply();
    let text = match reply.split_once(' ') {
        Some((code, text)) if code.len() == 3 => text,
        _ => &reply,
    };
    let is_enhanced = |word: &str| {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        word.split('.').count() == 3 && word.split('.').all(is_number)
    };
    match text.split_once(' ') {
        Some((word, text)) if is_enhanced(word) => text.to_owned(),
        _ => text.to_owned(),
    }
}

/// Why a command failed.
enum Failure {
    /// The next hop refused; the transaction can go on.
    Refused(AttemptResult),
    /// The connection failed.
    Broken(AttemptResult),
}

impl From<Failure> for AttemptResult {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(result) | Failure::Broken(result) => result,
        }
    }
}

struct Connection {
    smtp: AsyncSmtpConnection,
    abort: AbortHandle,
    last_reply: LastReply,
    extensions: Extensions,
}

impl Connection {
    async fn open(state: &MailState, hop: &NextHop) -> Result<Self, AttemptResult> {
        let (servers, name) = (Destination::of(state, hop).await?, state.hostname().await);
        let (mut stream, extensions) = Self::first(state, &servers, &name).await?;
        let (abort, last_reply) = stream.ready();
        let name = ClientId::Domain(name);
        let smtp = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &name)
            .await
            .map_err(|error| AttemptResult::from(broken(&error)))?;
        Ok(Self { smtp, abort, last_reply, extensions })
    }

    /// The first of the servers that takes the connection. If none does, the message waits, unless
    /// all of them refuse it for good.
    async fn first(
        state: &MailState,
        servers: &[Destination],
        name: &str,
    ) -> Result<(NextHopStream, Extensions), AttemptResult> {
        let mut fault = None;
        for to in servers {
            match hello::open(to, name, &state.config.trusted_roots).await {
                Ok(opened) => return Ok(opened),
                Err(result) => match fault {
                    Some(AttemptResult::Deferred(_)) => {}
                    _ => fault = Some(result),
                },
            }
        }
        let nothing = || AttemptResult::Deferred("451 4.4.4 there is no next hop".to_owned());
        Err(fault.unwrap_or_else(nothing))
    }

    /// Sends a command whose reply must have `class` as its first digit.
    async fn command(
        &mut self,
        wait: Duration,
        command: impl std::fmt::Display,
        class: u16,
    ) -> Result<Reply, Failure> {
        let sent = timeout(wait, self.smtp.command(command)).await;
        reply(sent, &self.last_reply, class)
    }

    /// Sends the message to all recipients in transactions of at most `RECIPIENTS_MAX`.
    async fn transactions(
        mut self,
        state: &MailState,
        item: &QueuedMessage,
        to: &[String],
        results: &mut Vec<(String, AttemptResult)>,
    ) -> Result<(), AttemptResult> {
        for some in to.chunks(RECIPIENTS_MAX) {
            self = self.transaction(state, item, some, results).await?;
        }
        // The message is delivered; a failed QUIT changes nothing.
        let _ = timeout(QUIT_TIMEOUT, self.smtp.quit()).await;
        Ok(())
    }

    /// One transaction (RFC 5321 3.3). An error is the result of every recipient without one of
    /// their own.
    async fn transaction(
        mut self,
        state: &MailState,
        item: &QueuedMessage,
        to: &[String],
        results: &mut Vec<(String, AttemptResult)>,
    ) -> Result<Self, AttemptResult> {
        let (blobs, blob, examine_body) =
            (state.node.blobs.clone(), item.blob, !self.extensions.eight_bit);
        let signers = dkim::signers(state).await?;
        let (text, signatures) = try_blocking(move || {
            let text = Text::open(&blobs, &blob, examine_body)?;
            let signatures = text.signatures(&signers)?;
            Ok::<_, StoreError>((text, signatures))
        })
        .await?;
        let size = item.size.saturating_add(signatures.len() as u64);
        let mail = self.mail(item, size, to, &text)?;
        self.command(COMMAND_TIMEOUT, mail, 2).await?;
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
                Err(Failure::Refused(result)) => results.push((address.clone(), result)),
                Err(Failure::Broken(result)) => return Err(result),
            }
        }
        if accepted.is_empty() {
            self.command(COMMAND_TIMEOUT, "RSET\r\n", 2).await?;
            return Ok(self);
        }
        self.command(DATA_TIMEOUT, "DATA\r\n", 3).await?;
        let wait = END_TIMEOUT + Duration::from_secs(item.size / RATE_MIN);
        let (connection, reply) = self.transfer(state, signatures, text, wait).await?;
        let result = match connection.extensions.dsn {
            true => AttemptResult::PassedOn(reply),
            false => AttemptResult::Relayed(reply),
        };
        results.extend(accepted.into_iter().map(|address| (address.clone(), result.clone())));
        Ok(connection)
    }

    /// Sends the text and returns the reply. lettre reads the pieces between its writes, so the
    /// whole transfer runs on a thread that may block; there are at most `SENDING_MAX` of them.
    async fn transfer(
        mut self,
        state: &MailState,
        signatures: String,
        text: Text,
        wait: Duration,
    ) -> Result<(Self, String), AttemptResult> {
        let drain = state.drain.clone();
        let work = async move {
            let pieces = text.pieces(signatures, self.abort.clone());
            let sent = tokio::select! {
                sent = timeout(wait, self.smtp.message_iter(pieces)) => {
                    reply(sent, &self.last_reply, 2)
                }
                () = drain.halted() => Err(Failure::Broken(AttemptResult::Deferred(
                    "451 4.3.2 this node is shutting down".to_owned(),
                ))),
            };
            (self, sent)
        };
        let (connection, sent) = blocking_future(work).await.map_err(StoreError::from)?;
        Ok((connection, sent?.line()))
    }

    /// MAIL with the parameters that the next hop supports (RFC 1870, 6152, 6531, 3461). ENVID is
    /// the same at every attempt.
    fn mail(
        &self,
        item: &QueuedMessage,
        size: u64,
        to: &[String],
        text: &Text,
    ) -> Result<String, AttemptResult> {
        let refused = |reply: &str| AttemptResult::Refused(reply.to_owned());
        let from = match item.from.as_str() {
            "" => None,
            from => {
                let from = Mailbox::parse(from).map(Mailbox::with_ascii_domain);
                Some(from.ok_or_else(|| refused("553 5.1.7 not a valid address"))?)
            }
        };
        let mut mail =
            format!("MAIL FROM:<{}>", from.as_ref().map(Mailbox::to_string).unwrap_or_default());
        if let Some(len_max) = self.extensions.size {
            if len_max > 0 && size > len_max {
                return Err(AttemptResult::Refused(format!(
                    "552 5.3.4 the next hop accepts messages of at most {len_max} bytes"
                )));
            }
            mail.push_str(&format!(" SIZE={size}"));
        }
        if self.extensions.eight_bit {
            mail.push_str(" BODY=8BITMIME");
        } else if text.is_eight_bit {
            return Err(refused("554 5.6.3 the next hop does not accept 8-bit messages"));
        }
        let international = from.is_some_and(|from| from.is_international())
            || to.iter().any(|to| needs_smtputf8(to))
            || text.is_international;
        if international && self.extensions.international {
            mail.push_str(" SMTPUTF8");
        } else if international {
            return Err(refused(
                "553 5.6.7 the next hop does not accept non-ASCII addresses or headers",
            ));
        }
        if self.extensions.dsn {
            let ret = if item.request.return_full { "FULL" } else { "HDRS" };
            let own_id = item.id.to_string();
            let id = item.request.envelope_id.as_deref().unwrap_or(&own_id);
            mail.push_str(&format!(" RET={ret} ENVID={}", xtext_encoded(id)));
        }
        mail.push_str("\r\n");
        Ok(mail)
    }

    /// NOTIFY and ORCPT as the sender gave them (RFC 3461 5.2.1).
    fn report_parameters(&self, item: &QueuedMessage, address: &str) -> String {
        let recipient = item.recipients.iter().find(|recipient| recipient.address == address);
        let Some(recipient) = recipient.filter(|_| self.extensions.dsn) else {
            return String::new();
        };
        let mut parameters = String::new();
        if let Some(Notify { success, failure, delay }) = recipient.notify {
            let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
            let words: Vec<&str> =
                words.iter().filter(|(wanted, _)| *wanted).map(|(_, word)| *word).collect();
            let notify = if words.is_empty() { "NEVER".to_owned() } else { words.join(",") };
            parameters.push_str(&format!(" NOTIFY={notify}"));
        }
        let original = recipient.original.as_ref();
        if let Some(original) = original.filter(|o| o.is_ascii() || self.extensions.international) {
            parameters.push_str(&format!(" ORCPT={original}"));
        }
        parameters
    }
}

/// Whether an address needs SMTPUTF8 in any form of its domain.
fn needs_smtputf8(address: &str) -> bool {
    !address.is_ascii()
        && Mailbox::parse(address)
            .is_none_or(|mailbox| mailbox.with_ascii_domain().is_international())
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

/// The meaning of a reply that is not the wanted one (RFC 5321 4.2.1): 5xx is permanent, everything
/// else temporary. After 421 the next hop closes the connection (RFC 5321 3.8); after a positive
/// reply of another kind the two sides no longer agree about the state.
fn failure(reply: &Reply) -> Failure {
    let line = reply.line();
    match reply.code {
        500..=599 => Failure::Refused(AttemptResult::Refused(line)),
        421 => Failure::Broken(AttemptResult::Deferred(line)),
        400..=499 => Failure::Refused(AttemptResult::Deferred(line)),
        _ => Failure::Broken(AttemptResult::Deferred(format!(
            "451 4.5.0 the next hop gave a reply of another command: {line}"
        ))),
    }
}

fn no_reply() -> Failure {
    let reply = "451 4.4.2 the next hop did not reply in time";
    Failure::Broken(AttemptResult::Deferred(reply.to_owned()))
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Failure {
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    Failure::Broken(AttemptResult::Deferred(format!(
        "451 4.4.2 the connection to the next hop failed: {text}"
    )))
}
