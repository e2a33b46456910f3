//! SMTP: receives mail for the owner from other servers, and submissions from the owner's programs.
//!
//! | RFC | extension | state |
//! |---|---|---|
//! | 5321 | SMTP | whole; EXPN and TURN are not offered |
//! | 1870 | SIZE | whole |
//! | 2034, 3463, 5248 | enhanced status codes | whole |
//! | 2920 | PIPELINING | whole |
//! | 3030 | CHUNKING | whole; BINARYMIME not yet |
//! | 3207 | STARTTLS | whole |
//! | 3461, 6533 | DSN | whole; a report to a stranger only where a route is configured |
//! | 4616, 4954 | AUTH PLAIN | whole; AUTH LOGIN too, for old programs |
//! | 5802, 7677, 9266 | AUTH SCRAM-SHA-256 and -PLUS | whole; channel binding with TLS 1.3 |
//! | 6152 | 8BITMIME | whole |
//! | 6409 | submission | whole |
//! | 6531 | SMTPUTF8 | whole |
//! | 8314 | implicit TLS | whole |
//! | 9422 | LIMITS | RCPTMAX |
//! | 7208, 6376, 8601, 9989 | SPF, DKIM, results, DMARC | not yet |

pub mod address;
pub mod command;
mod connection;
pub mod envelope;
pub mod exchange;
pub(crate) mod guesses;
pub mod headers;
mod incoming;
mod rate;
mod receive;
mod refusals;
pub mod reply;
pub mod session;
mod submit;
pub mod text;
pub mod trace;

use std::sync::Arc;

use freehold_listen::Accepted;
use tokio::net::TcpListener;

use crate::state::{MailState, SMTP_LIMITS, acceptor};
use crate::stream::Stream;
use session::Role;

/// Sent to a client beyond the connection limit (RFC 5321 3.8).
const FULL: &[u8] = b"421 4.7.0 too many connections, try again later\r\n";

/// The properties of a port.
#[derive(Clone, Copy, Debug)]
struct Port {
    role: Role,
    implicit_tls: bool,
}

/// Serves SMTP on its three ports until mail stops. Other servers and the owner's programs have a
/// limiter each, so a flood of the one does not lock out the other.
pub(crate) fn listen(
    state: &MailState,
    smtp: TcpListener,
    submission: TcpListener,
    smtps: TcpListener,
) {
    let config = &state.config;
    let limiter =
        || state.limiter(config.smtp_connections_max, config.smtp_connections_per_address_max);
    let (servers, programs) = (limiter(), limiter());
    for (listener, limiter, role, implicit_tls) in [
        (smtp, servers, Role::Receive, false),
        (submission, programs.clone(), Role::Submit, false),
        (smtps, programs, Role::Submit, true),
    ] {
        let port = Port { role, implicit_tls };
        let full = if implicit_tls { &b""[..] } else { FULL };
        let acceptor = Arc::new(acceptor(config, limiter, SMTP_LIMITS, full));
        let (drain, served) = (state.drain.clone(), state.clone());
        let session = move |accepted| serve(served.clone(), accepted, port);
        state.spawn(async move { acceptor.run(&listener, drain, session).await });
    }
}

/// One connection from its first byte to its last.
async fn serve(state: MailState, accepted: Accepted, port: Port) {
    let permit = Arc::clone(&accepted.permit);
    let stream = if port.implicit_tls {
        Stream::tls(accepted, &state.tls).await
    } else {
        Ok(Stream::plain(accepted))
    };
    match stream {
        Ok(stream) => Box::pin(connection::serve(state, stream, port, &permit)).await,
        Err(error) => tracing::debug!(%error, "an SMTP client's TLS handshake failed"),
    }
}
