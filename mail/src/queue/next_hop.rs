//! Sends one message to one next hop, command by command, so that every recipient has a result of
//! their own (RFC 5321 3.3, 4.2).
//!
//! lettre is only the connection; the commands, their timeouts and the meaning of the replies are
//! decided here. TLS is used whenever the next hop offers it, without checking its certificate (RFC
//! 7435): the alternative is to send in the clear.

use std::time::Duration;

use freehold_core::blocking::{blocking_future, try_blocking};
use freehold_core::mailbox::QueuedMessage;
use freehold_core::store::StoreError;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::abort::HelloCommand::{self, Ehlo, Helo};
use super::abort::{AbortHandle, AbortableStream, Opening};
use super::result::AttemptResult;
use crate::smtp::address::Mailbox;
use crate::state::MailState;

mod extensions;
mod text;

use extensions::Extensions;
use text::Text;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// RFC 5321 4.5.3.2.1 to 4.5.3.2.3: the greeting, MAIL and RCPT.
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

/// Sends `item` to `addresses` through `server` and returns the result of each.
pub(super) async fn send(
    state: &MailState,
    server: &str,
    item: &QueuedMessage,
    addresses: Vec<String>,
) -> Vec<(String, AttemptResult)> {
    let mut results = Vec::with_capacity(addresses.len());
    let failed = match Connection::open(state, server).await {
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
    extensions: Extensions,
}

impl Connection {
    /// Connects, greets, and starts TLS if that is offered. When the handshake fails, connects
    /// again without TLS (RFC 7435 3).
    async fn open(state: &MailState, server: &str) -> Result<Self, AttemptResult> {
        let hello = ClientId::Domain(state.hostname().await);
        let Greeted { mut smtp, mut abort, opening } = match greet(server, &hello, Ehlo).await {
            // RFC 5321 3.2: a server that does not know EHLO may know HELO.
            Err((Failure::Refused(AttemptResult::Refused(_)), true)) => {
                greet(server, &hello, Helo).await
            }
            greeted => greeted,
        }
        .map_err(|(failure, _)| failure)?;
        let mut announced = opening.hello();
        if smtp.can_starttls() {
            let name =
                server.rsplit_once(':').map_or(server, |(host, _)| host).trim_matches(['[', ']']);
            let parameters = TlsParameters::builder(name.to_owned())
                .dangerous_accept_invalid_certs(true)
                .dangerous_accept_invalid_hostnames(true)
                .build()
                .map_err(|error| failure(&error))?;
            if within(COMMAND_TIMEOUT, smtp.starttls(parameters, &hello)).await.is_err() {
                tracing::info!("the TLS handshake with a next hop failed; sending in the clear");
                let greeted = greet(server, &hello, Ehlo).await.map_err(|(failure, _)| failure)?;
                announced = greeted.opening.hello();
                (smtp, abort) = (greeted.smtp, greeted.abort);
            } else {
                announced = None;
            }
        }
        let extensions = match announced {
            Some(lines) => Extensions::parse(lines.iter().map(String::as_str)),
            // lettre keeps only some of the extensions of its own EHLO inside TLS.
            None => {
                let ehlo = smtp.command(format!("EHLO {hello}\r\n"));
                Extensions::parse(within(COMMAND_TIMEOUT, ehlo).await?.message())
            }
        };
        Ok(Self { smtp, abort, extensions })
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
        let text = try_blocking(move || Text::open(&blobs, &blob, examine_body)).await?;
        let mail = self.mail(item, to, &text)?;
        within(COMMAND_TIMEOUT, self.smtp.command(mail)).await?;
        let mut accepted = Vec::new();
        for address in to {
            // The address was validated when it was queued. It is parsed again, because an invalid
            // one could inject a command.
            let Some(mailbox) = Mailbox::parse(address) else {
                results.push((
                    address.clone(),
                    AttemptResult::Refused("501 5.1.3 not a valid address".to_owned()),
                ));
                continue;
            };
            let rcpt = self.smtp.command(format!("RCPT TO:<{mailbox}>\r\n"));
            match within(COMMAND_TIMEOUT, rcpt).await {
                Ok(_) => accepted.push(address),
                Err(Failure::Refused(result)) => results.push((address.clone(), result)),
                Err(Failure::Broken(result)) => return Err(result),
            }
        }
        if accepted.is_empty() {
            within(COMMAND_TIMEOUT, self.smtp.command("RSET\r\n")).await?;
            return Ok(self);
        }
        within(DATA_TIMEOUT, self.smtp.command("DATA\r\n")).await?;
        let wait = END_TIMEOUT + Duration::from_secs(item.size / RATE_MIN);
        let (connection, reply) = self.transfer(state, text, wait).await?;
        results.extend(
            accepted
                .into_iter()
                .map(|address| (address.clone(), AttemptResult::Delivered(reply.clone()))),
        );
        Ok(connection)
    }

    /// Sends the text and returns the reply. lettre reads the pieces between its writes, so the
    /// whole transfer runs on a thread that may block; there are at most `SENDING_MAX` of them.
    async fn transfer(
        mut self,
        state: &MailState,
        text: Text,
        wait: Duration,
    ) -> Result<(Self, String), AttemptResult> {
        let drain = state.drain.clone();
        let work = async move {
            let pieces = text.pieces(self.abort.clone());
            let sent = tokio::select! {
                sent = within(wait, self.smtp.message_iter(pieces)) => sent,
                () = drain.halted() => Err(Failure::Broken(AttemptResult::Deferred(
                    "451 4.3.2 this node is shutting down".to_owned(),
                ))),
            };
            (self, sent)
        };
        let (connection, sent) = blocking_future(work).await.map_err(StoreError::from)?;
        Ok((connection, reply_line(&sent?)))
    }

    /// MAIL with the parameters that the next hop supports (RFC 1870, 6152, 6531, 3461). ENVID is
    /// the same at every attempt.
    fn mail(
        &self,
        item: &QueuedMessage,
        to: &[String],
        text: &Text,
    ) -> Result<String, AttemptResult> {
        let refused = |reply: &str| AttemptResult::Refused(reply.to_owned());
        let from = match item.from.as_str() {
            "" => None,
            from => {
                Some(Mailbox::parse(from).ok_or_else(|| refused("553 5.1.7 not a valid address"))?)
            }
        };
        let mut mail =
            format!("MAIL FROM:<{}>", from.as_ref().map(Mailbox::to_string).unwrap_or_default());
        if let Some(len_max) = self.extensions.size {
            if len_max > 0 && item.size > len_max {
                return Err(AttemptResult::Refused(format!(
                    "552 5.3.4 the next hop accepts messages of at most {len_max} bytes"
                )));
            }
            mail.push_str(&format!(" SIZE={}", item.size));
        }
        if self.extensions.eight_bit {
            mail.push_str(" BODY=8BITMIME");
        } else if text.is_eight_bit {
            return Err(refused("554 5.6.3 the next hop does not accept 8-bit messages"));
        }
        let international = from.is_some_and(|from| from.is_international())
            || to.iter().any(|to| !to.is_ascii())
            || text.is_international;
        if international && self.extensions.international {
            mail.push_str(" SMTPUTF8");
        } else if international {
            return Err(refused(
                "553 5.6.7 the next hop does not accept non-ASCII addresses or headers",
            ));
        }
        if self.extensions.dsn {
            mail.push_str(&format!(" RET=HDRS ENVID={}", item.id));
        }
        mail.push_str("\r\n");
        Ok(mail)
    }
}

/// A connection after the greeting and EHLO or HELO.
struct Greeted {
    smtp: AsyncSmtpConnection,
    abort: AbortHandle,
    opening: Opening,
}

/// Connects and greets by `command`. A failure says whether the server had greeted before it.
async fn greet(
    server: &str,
    hello: &ClientId,
    command: HelloCommand,
) -> Result<Greeted, (Failure, bool)> {
    let unreachable = |reason: String| {
        let reply = format!("451 4.4.1 the next hop is unreachable: {reason}");
        (Failure::Broken(AttemptResult::Deferred(reply)), false)
    };
    let socket = match timeout(CONNECT_TIMEOUT, TcpStream::connect(server)).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("connecting timed out".to_owned())),
    };
    let _ = socket.set_nodelay(true);
    let (stream, abort, opening) = AbortableStream::new(socket, command);
    let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello);
    match within(COMMAND_TIMEOUT, greeting).await {
        Ok(smtp) => Ok(Greeted { smtp, abort, opening }),
        Err(failure) => Err((failure, opening.is_greeted())),
    }
}

async fn within<T>(
    wait: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    match timeout(wait, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(failure(&error)),
        Err(_) => Err(Failure::Broken(AttemptResult::Deferred(
            "451 4.4.2 the next hop did not reply in time".to_owned(),
        ))),
    }
}

/// The meaning of an error (RFC 5321 4.2.1): 5xx is permanent, everything else temporary.
fn failure(error: &Error) -> Failure {
    let text =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    match error.status() {
        Some(code) if error.is_permanent() => {
            Failure::Refused(AttemptResult::Refused(format!("{code} {text}")))
        }
        Some(code) => Failure::Refused(AttemptResult::Deferred(format!("{code} {text}"))),
        None => Failure::Broken(AttemptResult::Deferred(format!(
            "451 4.4.2 the connection to the next hop failed: {text}"
        ))),
    }
}

fn reply_line(reply: &Response) -> String {
    let lines: Vec<&str> = reply.message().collect();
    format!("{} {}", reply.code(), lines.join(" "))
}
