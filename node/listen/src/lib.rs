//! Taking connections: accept loop, connection limits, slow clients, TLS and its reload, PROXY
//! protocol, drain, refusal during start-up.
//!
//! Web and mail share this crate; it knows neither HTTP nor SMTP nor IMAP. A connection passes
//! these steps: [`Acceptor::run`] accepts the socket; a PROXY header ([`proxy`]) replaces the
//! address where a trusted proxy connects; [`ConnectionLimiter`] grants a [`Permit`] or refuses;
//! [`Drain`] runs the session until the session ends or the stop timeout has passed.
//!
//! [`opportunistic_tls`] and [`verified_tls`] are the other end's side: TLS of a client that
//! verifies no server, and of one that does.

mod accept;
mod backoff;
mod drain;
mod limiter;
mod network;
mod opportunistic;
pub mod proxy;
mod slow_client;
mod startup;
mod tls;
mod verified;

pub use accept::{Accepted, Acceptor, Admission, LimitNames};
pub use drain::Drain;
pub use limiter::{ConnectionLimiter, IDLE_MS_MAX, Permit, STALL_MS_MAX, Serving};
pub use network::{Network, NetworkError};
pub use opportunistic::opportunistic_tls;
pub use slow_client::{DeadlineStream, STALL_BUDGET, StallBudget};
pub use startup::refuse_during_startup;
pub use tls::TlsConfig;
pub use verified::verified_tls;
