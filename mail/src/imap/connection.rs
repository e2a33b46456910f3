//! The connection around a session: reads, writes, waits, and wakes it when its folder changes. All
//! IO of IMAP is here.

use std::time::Duration;

use freehold_core::events::Event;
use freehold_listen::Permit;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep};

use super::session::{Session, Step};
use crate::state::MailState;
use crate::stream::{Stream, StreamError};

/// How long a client may take to log in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may be silent after that. RFC 3501 5.4: at least 30 minutes.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(31 * 60);
/// How often an idle client is shown that we are still here: networks forget connections that are
/// silent for longer.
const STILL_HERE_EVERY: Duration = Duration::from_secs(4 * 60);
/// How long a client may take to accept what is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may take to hear that it was silent for too long.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// How much is gathered before it is sent, in bytes.
const SEND_LEN: usize = 32 * 1024;

/// Why the connection woke up.
enum Woken {
    Received(usize),
    Failed(StreamError),
    Changed,
    Tick,
    Needed,
    Shutdown,
}

/// Serves one connection to its end.
pub(crate) async fn run(
    state: &MailState,
    mut stream: Stream,
    mut session: Session,
    permit: &Permit,
) {
    // Listening begins before anything is read, so that no change falls between.
    let mut events = state.node.events.subscribe();
    match converse(state, &mut stream, &mut session, &mut events, permit).await {
        Ok(()) => {}
        Err(StreamError::Timeout) => {
            session.bye("silent for too long");
            // The client may be gone; nothing depends on its hearing this.
            let _ = stream.write(&session.take_output(), GOODBYE_TIMEOUT).await;
        }
        Err(error) => tracing::debug!(%error, "imap: connection ended"),
    }
    stream.close().await;
}

async fn converse(
    state: &MailState,
    stream: &mut Stream,
    session: &mut Session,
    events: &mut broadcast::Receiver<Event>,
    permit: &Permit,
) -> Result<(), StreamError> {
    let log_in_by = Instant::now() + LOGIN_TIMEOUT;
    loop {
        let step = session.step().await;
        if session.is_logged_in() {
            permit.authenticate();
        }
        let must_send = step != Step::More || session.output_len() >= SEND_LEN;
        if must_send && session.output_len() > 0 {
            stream.write(&session.take_output(), WRITE_TIMEOUT).await?;
        }
        match step {
            // Others get their turn between two slices.
            Step::More => tokio::task::yield_now().await,
            Step::Close => return Ok(()),
            Step::StartTls => {
                stream.start_tls(&state.tls, permit).await?;
                session.tls_started();
            }
            Step::Read => match wait(state, stream, session, events, log_in_by, permit).await {
                Woken::Received(0) => return Ok(()),
                Woken::Received(_) => {
                    session.receive(stream.input());
                    stream.consume(usize::MAX);
                }
                Woken::Changed => session.wake(),
                Woken::Tick => session.still_here(),
                woken @ (Woken::Shutdown | Woken::Needed) => {
                    let is_needed = matches!(woken, Woken::Needed);
                    session.bye(if is_needed {
                        "others need this place; try again later"
                    } else {
                        "this server is going down"
                    });
                    stream.write(&session.take_output(), WRITE_TIMEOUT).await?;
                    return Ok(());
                }
                Woken::Failed(error) => return Err(error),
            },
        }
    }
}

async fn wait(
    state: &MailState,
    stream: &mut Stream,
    session: &Session,
    events: &mut broadcast::Receiver<Event>,
    log_in_by: Instant,
    permit: &Permit,
) -> Woken {
    let watched = session.watches().map(|folder| Event::Mailbox(folder.0));
    let idle = session.is_idle();
    let patience = if session.is_logged_in() {
        SILENCE_TIMEOUT
    } else {
        log_in_by.saturating_duration_since(Instant::now())
    };
    let changed = async {
        loop {
            match events.recv().await {
                Ok(event) if Some(&event) == watched.as_ref() => return,
                // Some hints were missed: one of them may have been ours.
                Err(broadcast::error::RecvError::Lagged(_)) if watched.is_some() => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                _ => {}
            }
        }
    };
    tokio::select! {
        biased;
        () = state.drain.stopping() => Woken::Shutdown,
        () = permit.revoked() => Woken::Needed,
        read = stream.fill(patience) => match read {
            Ok(len) => Woken::Received(len),
            Err(error) => Woken::Failed(error),
        },
        () = changed => Woken::Changed,
        () = sleep(STILL_HERE_EVERY), if idle => Woken::Tick,
    }
}
