//! IMAP4rev1 and IMAP4rev2: mail programs read the mailbox.
//!
//! | RFC | extension | state |
//! |---|---|---|
//! | 2177 | IDLE | whole |
//! | 2180 | several sessions in one folder | whole: skips expunged messages, delays EXPUNGE |
//! | 2342 | NAMESPACE | whole: one personal namespace |
//! | 2971 | ID | whole |
//! | 3501 | IMAP4rev1 | whole |
//! | 3502 | MULTIAPPEND | whole: at most 64 messages in one command |
//! | 3516 | BINARY | whole: base64 and quoted-printable; a NUL in a binary part is stored as base64 |
//! | 3691 | UNSELECT | whole |
//! | 4315 | UIDPLUS | whole |
//! | 4731 | ESEARCH | whole |
//! | 4959 | SASL-IR | whole |
//! | 4978 | COMPRESS=DEFLATE | whole |
//! | 5032 | WITHIN | whole |
//! | 5161 | ENABLE | whole |
//! | 5182 | SEARCHRES | whole |
//! | 5256 | SORT, THREAD | whole: ORDEREDSUBJECT and REFERENCES |
//! | 5258 | LIST-EXTENDED | whole |
//! | 5267 | CONTEXT=SEARCH, ESORT | part: ESORT |
//! | 5464 | METADATA | whole: values of up to 3,072 octets, 100 for each folder |
//! | 5465 | NOTIFY | whole, but AnnotationChange |
//! | 5530 | response codes | whole |
//! | 5802, 7677, 9266 | SCRAM-SHA-256 and -PLUS | whole; channel binding with TLS 1.3 |
//! | 5819 | LIST-STATUS | whole |
//! | 5957 | SORT=DISPLAY | whole |
//! | 6154 | SPECIAL-USE, CREATE-SPECIAL-USE | whole: each use has its folder from the start |
//! | 6851 | MOVE | whole |
//! | 6855 | UTF8=ACCEPT | whole |
//! | 7162 | CONDSTORE, QRESYNC | whole |
//! | 7888 | LITERAL+ | whole |
//! | 7889 | APPENDLIMIT | whole |
//! | 8438 | STATUS=SIZE | whole |
//! | 8474 | OBJECTID | whole |
//! | 8508 | REPLACE | whole |
//! | 8514 | SAVEDATE | whole |
//! | 8970 | PREVIEW | whole |
//! | 9051 | IMAP4rev2 | whole |
//! | 9208 | QUOTA | whole: one root, STORAGE and MESSAGE; SETQUOTA is refused |

mod command;
mod completion;
mod connection;
mod context;
pub(crate) mod cursor;
pub(crate) mod date;
mod deflate;
mod enabled;
mod exchange;
mod executor;
pub(crate) mod flags;
mod framer;
mod glob;
mod link;
mod listing;
mod metadata;
mod object_id;
mod section;
mod selected;
mod sequence;
mod session;
mod special_use;
mod structure_cache;
pub(crate) mod utf7;
mod vanished;
mod watch;
mod wire;

use std::sync::Arc;

use freehold_listen::Accepted;
use tokio::net::TcpListener;

use crate::sasl::ScramOffer;
use crate::state::{IMAP_LIMITS, MailState, acceptor};
use crate::stream::Stream;
use context::Shared;
use exchange::Exchange;
use link::{Link, Privacy};
use session::Session;

/// Sent to a client beyond the connection limit (RFC 3501 7.1.5).
const FULL: &[u8] = b"* BYE too many connections; try again later\r\n";

/// When TLS starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// At once (port 993).
    Implicit,
    /// At the STARTTLS command (port 143).
    StartTls,
}

/// Serves IMAP on `imap` (STARTTLS) and `imaps` (implicit TLS) until mail stops.
pub(crate) fn listen(state: &MailState, imap: TcpListener, imaps: TcpListener) {
    let config = &state.config;
    let message_len_max = config.message_len_max.min(freehold_core::mailbox::MESSAGE_LEN_MAX);
    let shared = Arc::new(Shared::new(message_len_max));
    let limiter =
        state.limiter(config.imap_connections_max, config.imap_connections_per_address_max);
    for (listener, tls, full) in
        [(imap, Tls::StartTls, FULL), (imaps, Tls::Implicit, b"".as_slice())]
    {
        let acceptor = Arc::new(acceptor(config, limiter.clone(), IMAP_LIMITS, full));
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
                tracing::debug!(%error, "imap: the TLS handshake failed");
                return;
            }
        },
    };
    let privacy = match (stream.is_tls(), stream.is_loopback()) {
        (true, _) => Privacy::Tls,
        (false, true) => Privacy::Loopback,
        (false, false) => Privacy::Cleartext,
    };
    let message_len_max = shared.message_len_max;
    let may_start_tls = !stream.is_tls();
    let scram = ScramOffer::on(&state, &stream).await;
    let link = Link { privacy, may_start_tls, scram, is_compressed: false, message_len_max };
    let exchange = Exchange::new(state.node.clone(), shared, stream.peer().ip());
    connection::run(&state, stream, Session::new(link), exchange, &permit).await;
}

#[cfg(test)]
mod tests;
