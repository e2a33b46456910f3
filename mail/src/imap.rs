//! IMAP: reading mail with any program.
//!
//! | RFC | what | here |
//! |---|---|---|
//! | 2177 | IDLE | whole |
//! | 2180 | several sessions in one folder | whole: messages gone are passed over, EXPUNGE waits |
//! | 2342 | NAMESPACE | whole: one person, one space |
//! | 2971 | ID | whole |
//! | 3501 | IMAP4rev1 | whole, but that no message is ever `\Recent` (RFC 9051 dropped it) |
//! | 3502 | MULTIAPPEND | not yet |
//! | 3516 | BINARY | not yet |
//! | 3691 | UNSELECT | whole |
//! | 4315 | UIDPLUS | whole |
//! | 4731 | ESEARCH | whole |
//! | 4959 | SASL-IR | whole |
//! | 5032 | WITHIN | whole |
//! | 5161 | ENABLE | whole |
//! | 5182 | SEARCHRES | not yet |
//! | 5256 | SORT, THREAD | not yet |
//! | 5258 | LIST-EXTENDED | whole |
//! | 5464 | METADATA | not yet |
//! | 5465 | NOTIFY | not yet |
//! | 5530 | response codes | whole, where they apply |
//! | 5819 | LIST-STATUS | whole |
//! | 6154 | SPECIAL-USE | part: the attributes; CREATE-SPECIAL-USE not yet |
//! | 6851 | MOVE | whole |
//! | 6855 | UTF8=ACCEPT | not yet |
//! | 7162 | CONDSTORE | whole; QRESYNC not yet |
//! | 7888 | LITERAL+ | whole |
//! | 7889 | APPENDLIMIT | whole |
//! | 8438 | STATUS=SIZE | whole |
//! | 8474 | OBJECTID | not yet |
//! | 8508 | REPLACE | not yet |
//! | 8970 | PREVIEW | not yet |
//! | 9051 | IMAP4rev2 | part: what it shares with the above |

mod answer;
mod command;
mod connection;
mod context;
mod cursor;
mod date;
mod flags;
mod framer;
mod glob;
mod mime;
mod outlines;
mod print;
mod selected;
mod sequence;
mod session;
mod utf7;

use std::sync::Arc;

use freehold_listen::Accepted;
use tokio::net::TcpListener;

use crate::state::{MailState, acceptor};
use crate::stream::Stream;
use context::{Context, Link, Privacy, Shared};
use outlines::Outlines;
use print::Printer;
use session::Session;

/// Sent to a client that the connection limiter refuses (RFC 3501 7.1.5).
const FULL: &[u8] = b"* BYE too many connections; try again later\r\n";

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// With the first byte (port 993).
    Implicit,
    /// When the client asks (port 143).
    StartTls,
}

/// Serves IMAP on `imap` (STARTTLS) and `imaps` (TLS from the first byte) until mail stops.
pub(crate) fn listen(state: &MailState, imap: TcpListener, imaps: TcpListener) {
    let config = &state.config;
    let message_len_max = config.message_len_max.min(freehold_core::mailbox::MESSAGE_LEN_MAX);
    let shared = Arc::new(Shared { message_len_max, outlines: Outlines::default() });
    let limiter =
        state.limiter(config.imap_connections_max, config.imap_connections_per_address_max);
    for (listener, tls, full) in
        [(imap, Tls::StartTls, FULL), (imaps, Tls::Implicit, b"".as_slice())]
    {
        let acceptor = Arc::new(acceptor(config, limiter.clone(), full));
        let (shared, served) = (Arc::clone(&shared), state.clone());
        let session = move |accepted| serve(served.clone(), Arc::clone(&shared), accepted, tls);
        let drain = state.drain.clone();
        state.spawn(async move { acceptor.run(&listener, drain, session).await });
    }
}

/// One connection from its first byte to its last.
async fn serve(state: MailState, shared: Arc<Shared>, accepted: Accepted, tls: Tls) {
    let permit = Arc::clone(&accepted.permit);
    let stream = match tls {
        Tls::StartTls => Stream::plain(accepted),
        Tls::Implicit => match Stream::tls(accepted, &state.tls).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "an IMAP client's TLS handshake failed");
                return;
            }
        },
    };
    let privacy = match (stream.is_tls(), stream.is_loopback()) {
        (true, _) => Privacy::Tls,
        (false, true) => Privacy::Loopback,
        (false, false) => Privacy::Open,
    };
    let link = Link { privacy, may_start_tls: !stream.is_tls(), from: stream.peer().ip() };
    let cx = Context {
        node: state.node.clone(),
        shared,
        out: Printer::default(),
        link,
        condstore: false,
    };
    connection::run(&state, stream, Session::new(cx), &permit).await;
}

#[cfg(test)]
mod tests;
