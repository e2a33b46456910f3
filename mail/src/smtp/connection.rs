//! The connection around a session: reads, writes, waits, and has the session's questions answered.

use std::sync::Arc;
use std::time::Duration;

use freehold_listen::Permit;
use tokio::time::{Instant, sleep, sleep_until};

use super::exchange::{Exchange, ended};
use super::rate::MessageRate;
use super::reply::Reply;
use super::session::{Session, Settings, Step};
use super::trace::Peer;
use super::{Port, Role};
use crate::sasl::ScramOffer;
use crate::state::MailState;
use crate::stream::{Stream, StreamError};

/// How long a client may take to accept a reply.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one connection may last; a sender with more messages reconnects.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(2 * 60 * 60);
/// How long a message in progress may go on when the server stops. It is shorter than the time
/// after which connections are cut off, so that the client gets the 421.
const STOP_GRACE: Duration = Duration::from_millis(1_500);
/// Replies gathered before they are sent, in bytes.
const REPLIES_LEN_MAX: usize = 32 * 1024;

/// Serves one connection until it ends.
pub(super) async fn serve(state: MailState, mut stream: Stream, port: Port, permit: &Arc<Permit>) {
    match converse(&state, &mut stream, port, permit).await {
        Ok(()) => {}
        Err(StreamError::Timeout) => {
            send_last(&mut stream, &Reply::closing("4.4.2", "idle for too long")).await;
        }
        // Clients often disconnect without QUIT.
        Err(StreamError::Io(error)) => tracing::debug!(%error, "smtp: the connection broke"),
    }
    stream.close().await;
}

/// The SCRAM mechanisms of a connection; other servers don't log in.
async fn scram(state: &MailState, stream: &Stream, port: Port) -> ScramOffer {
    match port.role {
        Role::Receive => ScramOffer::default(),
        Role::Submit => ScramOffer::on(state, stream).await,
    }
}

async fn send_last(stream: &mut Stream, reply: &Reply) {
    let mut bytes = Vec::new();
    reply.write_to(&mut bytes);
    // The client may be gone already.
    let _ = stream.write(&bytes, WRITE_TIMEOUT).await;
}

async fn converse(
    state: &MailState,
    stream: &mut Stream,
    port: Port,
    permit: &Arc<Permit>,
) -> Result<(), StreamError> {
    let settings = Settings {
        hostname: state.hostname().await,
        role: port.role,
        tls: stream.is_tls(),
        cleartext_login: stream.is_loopback(),
        scram: scram(state, stream, port).await,
        message_len_max: state.config.message_len_max,
    };
    if port.role == Role::Receive {
        let early = Reply::new(554, "5.5.0", "wait for the greeting before sending");
        let refusal = tokio::select! {
            is_early = talks_early(state, stream) => is_early?.then_some(early),
            () = permit.revoked() => Some(permit_revoked()),
        };
        if let Some(refusal) = refusal {
            send_last(stream, &refusal).await;
            return Ok(());
        }
    }
    let peer = Peer { address: stream.peer().ip(), tls: stream.tls_summary() };
    let mut exchange = Exchange::new(state.clone(), port.role, peer);
    let mut session = Session::new(settings);
    let mut replies = Vec::new();
    let mut message = None;
    let mut rate = MessageRate::new(Duration::from_secs(state.config.smtp_idle_timeout_secs));
    let deadline = Instant::now() + CONNECTION_TIME_MAX;
    let mut stop_deadline = None;
    loop {
        let (used, step) = session.step(stream.input());
        stream.consume(used);
        match step {
            Step::Reply(reply) => {
                Box::pin(exchange.replied(&reply)).await;
                reply.write_to(&mut replies);
                if replies.len() > REPLIES_LEN_MAX {
                    flush(stream, &mut replies).await?;
                }
            }
            Step::Ask(question) => {
                // Boxed: the memory of a delivery is not held by every idle connection.
                let reply = Box::pin(exchange.answer(question)).await;
                session.answer(reply);
                if session.is_logged_in() {
                    permit.authenticate();
                }
            }
            Step::Content(text) => Box::pin(exchange.content(&text)).await,
            Step::Abandon => exchange.abandon(),
            Step::StartTls => {
                flush(stream, &mut replies).await?;
                stream.start_tls(&state.tls, permit).await?;
                session.tls_started();
                session.set_scram(scram(state, stream, port).await);
                exchange.tls_started(stream.tls_summary());
            }
            Step::Close => return flush(stream, &mut replies).await,
            Step::More => {
                flush(stream, &mut replies).await?;
                if session.is_between_messages() {
                    message = None;
                    rate.restart();
                } else if message.is_none() {
                    message = Some(Arc::clone(permit).serve());
                    rate.restart();
                }
                let began = Instant::now();
                let wait = rate.left().min(deadline.saturating_duration_since(began));
                let stopped = stopped(state, message.is_some(), &mut stop_deadline);
                let end = exchange.end_signal();
                let end = async {
                    match &end {
                        Some(end) => end.ended().await,
                        None => std::future::pending().await,
                    }
                };
                let read = tokio::select! {
                    biased;
                    () = stopped => {
                        send_last(stream, &stopping()).await;
                        return Ok(());
                    }
                    () = permit.revoked() => {
                        send_last(stream, &permit_revoked()).await;
                        return Ok(());
                    }
                    () = end => {
                        send_last(stream, &ended()).await;
                        return Ok(());
                    }
                    read = stream.fill(wait) => read?,
                };
                if read == 0 {
                    return Ok(());
                }
                // Before each command, also before those that ask nothing.
                if exchange.is_ended() {
                    send_last(stream, &ended()).await;
                    return Ok(());
                }
                if message.is_none() || rate.received(read, began.elapsed()) {
                    permit.progressed();
                }
            }
        }
    }
}

/// Completes when the connection is to be closed because the server stops: between two messages at
/// once, in the middle of one after [`STOP_GRACE`].
async fn stopped(state: &MailState, is_in_message: bool, deadline: &mut Option<Instant>) {
    state.drain.stopping().await;
    if is_in_message {
        sleep_until(*deadline.get_or_insert_with(|| Instant::now() + STOP_GRACE)).await;
    }
}

/// RFC 5321 3.8: the client learns that the message was not taken, and sends it again.
fn stopping() -> Reply {
    Reply::closing("4.3.2", "this server is shutting down, try again soon")
}

fn permit_revoked() -> Reply {
    Reply::closing("4.3.2", "others need this place, try again later")
}

async fn flush(stream: &mut Stream, replies: &mut Vec<u8>) -> Result<(), StreamError> {
    if !replies.is_empty() {
        stream.write(replies, WRITE_TIMEOUT).await?;
        replies.clear();
    }
    Ok(())
}

/// Waits before the greeting. True for a client that sends during the wait: it violates RFC 5321
/// 4.3.1, as spam programs often do.
async fn talks_early(state: &MailState, stream: &mut Stream) -> Result<bool, StreamError> {
    let delay = Duration::from_millis(state.config.greeting_delay_ms);
    if delay.is_zero() || stream.is_tls() {
        return Ok(false);
    }
    tokio::select! {
        read = stream.fill(delay * 2) => Ok(read? > 0),
        () = sleep(delay) => Ok(false),
    }
}
