//! Sends one message to one next hop, command by command, so that every recipient has a result of
//! their own (RFC 5321 3.3, 4.2).
//!
//! lettre is only the connection; the commands, their timeouts and the meaning of the replies are
//! decided here.

use std::time::Duration;

use freehold_core::mailbox::QueuedMessage;
use freehold_core::smarthost::Smarthost;
use freehold_core::store::StoreError;
use tokio::time::timeout;

use super::result::AttemptResult;
use super::route::NextHop;
use super::worker::Worker;
use crate::state::MailState;

mod connection;
mod destination;
mod extensions;
mod hello;
mod login;
mod mail_servers;
mod parameters;
mod reply;
mod stream;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod tls;

pub(super) use connection::Connection;
use connection::NoConnection;
use destination::Destination;
use reply::Reply;
pub(super) use text::Text;

/// How long QUIT may take.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most messages for which one connection is used.
const MESSAGES_MAX: usize = 20;

/// How the sending of a message ended.
pub(super) enum Sent {
    /// With a result for each recipient.
    Results(Vec<(String, AttemptResult)>),
    /// With this result for each, because there is no connection; another message would have none
    /// either.
    NoConnection(Vec<(String, AttemptResult)>),
    /// Nobody was tried: the next hop takes no connection beside another one, or mail stops.
    PutBack,
}

/// Sends `item` to `addresses` through `hop` and returns the result of each. `held` is the
/// connection of earlier messages; the one that can be used for further ones is left there.
pub(super) async fn send(
    state: &MailState,
    worker: &mut Worker,
    hop: &NextHop,
    item: &QueuedMessage,
    addresses: Vec<String>,
    held: &mut Option<Connection>,
) -> Sent {
    let mut results = Vec::with_capacity(addresses.len());
    loop {
        let mut connection = match usable(state, hop, held).await {
            Some(connection) => connection,
            None => match open(state, worker, hop).await {
                Some(Ok(connection)) => connection,
                Some(Err(NoConnection { result, is_general })) => {
                    fill(&mut results, addresses, &result);
                    return match is_general {
                        true => Sent::NoConnection(results),
                        false => Sent::Results(results),
                    };
                }
                None => return Sent::PutBack,
            },
        };
        let is_reused = connection.messages > 0;
        let sending = Box::pin(connection.transactions(state, item, &addresses, &mut results));
        match worker.wait_for(sending).await {
            Ok(()) => *held = Some(connection),
            // The next hop had enough of the connection before it got anything of this message.
            Err(failure) if is_reused && !connection.has_begun => {
                if matches!(failure, Failure::Refused(_)) {
                    connection.quit().await;
                }
                continue;
            }
            Err(failure)
                if !connection.has_begun && is_too_many(&failure) && worker.has_companion() =>
            {
                return Sent::PutBack;
            }
            Err(failure) => {
                if matches!(failure, Failure::Refused(_)) {
                    connection.needs_reset = true;
                    *held = Some(connection);
                }
                fill(&mut results, addresses, &failure.into());
            }
        }
        return Sent::Results(results);
    }
}

/// True for 421: the next hop closes this connection, and has perhaps too many (RFC 5321 3.8).
fn is_too_many(failure: &Failure) -> bool {
    matches!(failure, Failure::Broken(AttemptResult::Deferred(line)) if line.starts_with("421"))
}

/// Recipients without a result of their own share this one.
fn fill(results: &mut Vec<(String, AttemptResult)>, to: Vec<String>, shared: &AttemptResult) {
    let is_open = |address: &String| !results.iter().any(|(done, _)| done == address);
    let open: Vec<String> = to.into_iter().filter(is_open).collect();
    results.extend(open.into_iter().map(|address| (address, shared.clone())));
}

/// The connection of earlier messages, if it can be used for another one.
async fn usable(
    state: &MailState,
    hop: &NextHop,
    held: &mut Option<Connection>,
) -> Option<Connection> {
    let mut connection = held.take()?;
    let is_right = connection.messages < MESSAGES_MAX && connection.is_for(state, hop).await;
    if is_right && connection.reset().await.is_ok() {
        return Some(connection);
    }
    connection.quit().await;
    None
}

/// Opens a connection; `None` if there is none beside that of another worker, or mail stops.
async fn open(
    state: &MailState,
    worker: &mut Worker,
    hop: &NextHop,
) -> Option<Result<Connection, NoConnection>> {
    let opening = Box::pin(Connection::open(state, hop));
    let opened = tokio::select! {
        opened = worker.wait_for(opening) => opened,
        () = state.drain.stopping() => return None,
    };
    // A next hop that delivers over another connection has no fault: it takes fewer.
    if opened.is_err() && worker.has_companion() {
        return None;
    }
    if *hop == NextHop::Smarthost {
        let fault = opened.as_ref().err().map(|failed| reason(failed.result.clone()));
        crate::smarthost::record(state, fault).await;
    }
    if opened.is_ok() {
        worker.shared.unanswered().remove(hop);
        worker.opened();
    }
    Some(opened)
}

/// Logs in to the smarthost and leaves. Returns the reason of a failure.
pub(crate) async fn try_smarthost(state: &MailState, smarthost: &Smarthost) -> Result<(), String> {
    let (to, name) = (Destination::smarthost(smarthost), state.hostname().await);
    match hello::open(&to, &name, &state.config.trusted_roots).await {
        Ok((mut stream, _)) => {
            let _ = timeout(QUIT_TIMEOUT, stream.command("QUIT\r\n")).await;
            Ok(())
        }
        Err(failure) => Err(reason(failure.into())),
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
#[derive(Debug)]
enum Failure {
    /// The next hop refused; the transaction can go on.
    Refused(AttemptResult),
    /// The connection failed.
    Broken(AttemptResult),
    /// There is no connection, no greeting came, or the smarthost refuses the login.
    Unanswered(AttemptResult),
}

impl From<Failure> for AttemptResult {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(result) | Failure::Broken(result) | Failure::Unanswered(result) => {
                result
            }
        }
    }
}

impl From<StoreError> for Failure {
    /// The next hop knows nothing of it.
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
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
