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
//! | 3461 | DSN | part: parameters are parsed, success reports not yet |
//! | 4616, 4954 | AUTH PLAIN | whole; AUTH LOGIN too, for old programs; SCRAM not yet |
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
pub mod headers;
mod incoming;
mod receive;
pub mod reply;
pub mod session;
mod submit;
pub mod text;
pub mod trace;

use freehold_core::crowd::Crowd;
use tokio::net::TcpListener;

use crate::house::House;
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

/// Listens on the three SMTP ports. Other servers and the owner's programs have separate connection
/// limits, so that neither can lock out the other.
pub(crate) fn listen(
    state: &House,
    smtp: TcpListener,
    submission: TcpListener,
    smtps: TcpListener,
) {
    let config = &state.config;
    let crowd = || Crowd::new(config.smtp_connections_max, config.smtp_connections_per_address_max);
    let (servers, programs) = (crowd(), crowd());
    for (listener, crowd, role, implicit_tls) in [
        (smtp, servers, Role::Receive, false),
        (submission, programs.clone(), Role::Submit, false),
        (smtps, programs, Role::Submit, true),
    ] {
        let port = Port { role, implicit_tls };
        let full = if implicit_tls { &b""[..] } else { FULL };
        state.listen(listener, crowd, full, move |state, socket, peer, place| async move {
            let stream = if port.implicit_tls {
                Stream::tls(socket, peer, &state.tls, &place).await
            } else {
                Ok(Stream::plain(socket, peer))
            };
            match stream {
                Ok(stream) => Box::pin(connection::serve(state, stream, port, &place)).await,
                Err(error) => tracing::debug!(%error, "smtp: the TLS handshake failed"),
            }
        });
    }
}
