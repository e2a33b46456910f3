//! The connection around a session: reads, writes, waits, has the session's questions answered, and
//! reports changes during IDLE. All IO of IMAP is here.

use std::time::Duration;

use freehold_core::events::Event;
use freehold_listen::Permit;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, sleep};

use super::exchange::Exchange;
use super::session::{ENDED, Session, Step, Watched};
use super::wire::Wire;
use crate::state::MailState;
use crate::stream::{Stream, StreamError};

/// How long a client may take to log in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// The inactivity timeout after login (RFC 3501 5.4: at least 30 minutes).
const IDLE_TIMEOUT: Duration = Duration::from_secs(31 * 60);
/// How often a client in IDLE is sent a line: NAT and firewalls drop connections that are silent
/// for longer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(4 * 60);
/// How long a client may take to accept output.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may take to accept the BYE after a timeout.
const BYE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pipelined commands that are received during a SEARCH, in bytes; more waits at the client.
const PIPELINED_LEN_MAX: usize = 64 * 1024;
/// Output gathered before it is sent, in bytes.
const SEND_LEN: usize = 32 * 1024;

/// Why the wait for input ended.
enum Wakeup {
    Received(usize),
    Failed(StreamError),
    /// The watched folder changed.
    Changed,
    KeepAlive,
    /// Another client needs the connection's slot.
    Evicted,
    /// The owner has ended the session.
    Ended,
    Shutdown,
}

/// Serves one connection until it ends.
pub(crate) async fn run(
    state: &MailState,
    stream: Stream,
    mut session: Session,
    mut exchange: Exchange,
    permit: &Permit,
) {
    let mut wire = Wire::new(stream);
    match converse(state, &mut wire, &mut session, &mut exchange, permit).await {
        Ok(()) => {}
        Err(StreamError::Timeout) => {
            session.bye("idle for too long");
            // The client may be gone; nothing depends on its receiving this.
            let _ = wire.send(&mut session, BYE_TIMEOUT).await;
        }
        Err(error) => tracing::debug!(%error, "imap: the connection ended"),
    }
    wire.close().await;
}

async fn converse(
    state: &MailState,
    wire: &mut Wire,
    session: &mut Session,
    exchange: &mut Exchange,
    permit: &Permit,
) -> Result<(), StreamError> {
    // Subscribe before any row is read, so that no change is missed.
    let mut events = state.node.events.subscribe();
    let login_deadline = Instant::now() + LOGIN_TIMEOUT;
    let mut is_half_closed = false;
    loop {
        let mut step = session.step();
        while let Step::Ask(question) = step {
            // Boxed: the size of the largest command is not held by every idle connection.
            let (answer, output) = Box::pin(exchange.answer(question)).await;
            step = session.answer(answer, output);
        }
        if session.is_logged_in() {
            permit.authenticate();
        }
        let must_send = !matches!(step, Step::More) || session.output_len() >= SEND_LEN;
        if must_send && session.output_len() > 0 {
            wire.send(session, WRITE_TIMEOUT).await?;
        }
        match step {
            Step::More | Step::Ask(_) => {
                // Other tasks run between two slices.
                tokio::task::yield_now().await;
                if session.is_searching() {
                    if state.drain.is_stopping() {
                        session.bye("this server is shutting down");
                        return wire.send(session, WRITE_TIMEOUT).await;
                    }
                    if has_left(wire, session, &mut is_half_closed).await? {
                        return Ok(());
                    }
                }
            }
            Step::Close => return Ok(()),
            Step::StartTls => {
                wire.start_tls(&state.tls, permit).await?;
                session.tls_started();
                session.set_scram(wire.scram(state).await);
            }
            Step::Compress => wire.start_compression(),
            // The rest of the compressed input that was read before.
            Step::Read if wire.has_input() => {
                tokio::task::yield_now().await;
                if exchange.is_ended() {
                    return end_session(wire, session).await;
                }
                wire.hand_over(session)?;
            }
            Step::Read => {
                let end = exchange.end_signal();
                let ended = async {
                    match &end {
                        Some(end) => end.ended().await,
                        None => std::future::pending().await,
                    }
                };
                let waiting = wait(state, wire, session, &mut events, login_deadline, permit);
                let woken = tokio::select! {
                    biased;
                    () = ended => Wakeup::Ended,
                    woken = waiting => woken,
                };
                match woken {
                    Wakeup::Received(0) => return Ok(()),
                    // Before each command, also before those that ask nothing.
                    Wakeup::Received(_) if exchange.is_ended() => {
                        return end_session(wire, session).await;
                    }
                    Wakeup::Ended => return end_session(wire, session).await,
                    Wakeup::Received(_) => {
                        wire.hand_over(session)?;
                        exchange.record_use().await;
                    }
                    Wakeup::Changed => session.folder_changed(),
                    Wakeup::KeepAlive => session.keep_alive(),
                    Wakeup::Evicted => {
                        session.bye("too many connections; try again later");
                        return wire.send(session, WRITE_TIMEOUT).await;
                    }
                    Wakeup::Shutdown => {
                        session.bye("this server is shutting down");
                        return wire.send(session, WRITE_TIMEOUT).await;
                    }
                    Wakeup::Failed(error) => return Err(error),
                }
            }
        }
    }
}

/// Tells the client that the owner has ended its session.
async fn end_session(wire: &mut Wire, session: &mut Session) -> Result<(), StreamError> {
    session.bye(ENDED);
    wire.send(session, WRITE_TIMEOUT).await
}

/// True if the client of a long SEARCH has closed the connection. A client may close its sending
/// half only and wait for the result. So the session sends a line: a connection that is closed on
/// the other side answers it with a reset.
async fn has_left(
    wire: &mut Wire,
    session: &mut Session,
    is_half_closed: &mut bool,
) -> Result<bool, StreamError> {
    if *is_half_closed {
        return Ok(wire.is_reset());
    }
    if session.input_len() >= PIPELINED_LEN_MAX {
        return Ok(false);
    }
    if wire.has_input() {
        wire.hand_over(session)?;
        return Ok(false);
    }
    match wire.fill(Duration::ZERO).await {
        Ok(0) => {
            *is_half_closed = true;
            session.keep_alive();
            wire.send(session, WRITE_TIMEOUT).await?;
        }
        Ok(_) => {
            wire.hand_over(session)?;
        }
        Err(StreamError::Timeout) => {}
        Err(error) => return Err(error),
    }
    Ok(false)
}

async fn wait(
    state: &MailState,
    wire: &mut Wire,
    session: &Session,
    events: &mut broadcast::Receiver<Event>,
    login_deadline: Instant,
    permit: &Permit,
) -> Wakeup {
    let watched = session.watched();
    let is_watched = |event: &Event| match watched {
        Watched::Nothing => false,
        Watched::Folder(folder) => *event == Event::Mailbox(folder.0),
        Watched::Everything => {
            matches!(event, Event::Mailbox(_) | Event::Subscriptions | Event::Annotations)
        }
    };
    let is_idle = session.is_idle();
    let timeout = if session.is_logged_in() {
        IDLE_TIMEOUT
    } else {
        login_deadline.saturating_duration_since(Instant::now())
    };
    let changed = async {
        loop {
            match events.recv().await {
                Ok(event) if is_watched(&event) => break,
                // Some events were missed; one of them may have been the folder's.
                Err(broadcast::error::RecvError::Lagged(_)) if watched != Watched::Nothing => break,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                _ => {}
            }
        }
        // One report has all changes: the events that wait would each cause another one.
        while watched == Watched::Everything
            && matches!(events.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_)))
        {}
    };
    tokio::select! {
            biased;
     () = state.drain.stopping() => Wakeup::Shutdown,
    () = permit.revoked() => Wakeup::Evicted,
    read = wire.fill(timeout) => match read {
    Ok(len) => Wakeup::Received(len),
    Err(error) => Wakeup::Failed(error),
            },
            () = changed => Wakeup::Changed,
            () = sleep(KEEP_ALIVE_INTERVAL), if is_idle => Wakeup::KeepAlive,
        }
}
