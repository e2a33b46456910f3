//! The log lines of one listener that a client can cause: PROXY headers that are missing or wrong,
//! and limits that are reached. Each cause has a rate of its own, so that a flood of connections
//! does not become a flood of lines, and hides no other cause.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use freehold_proto::clock::{Clock, Timestamp};

use crate::limiter::Limit;
use crate::proxy::{HeaderFault, ProxyError};

/// The pause between two warnings of one fault of PROXY headers, in milliseconds.
const HEADER_PAUSE_MS: u64 = 60 * 60 * 1000;
/// The pause between two lines about one limit, in milliseconds.
const LIMIT_PAUSE_MS: u64 = 60 * 1000;

/// A listener's limits as the configuration names them, for the log.
#[derive(Clone, Copy, Debug)]
pub struct LimitNames {
    /// The setting of the most connections in total.
    pub total: &'static str,
    /// The setting of the most connections from one network.
    pub per_net: &'static str,
}

/// At most one line per pause.
struct Pause {
    millis: u64,
    last: Mutex<Option<Timestamp>>,
}

impl Pause {
    fn of(millis: u64) -> Self {
        Self { millis, last: Mutex::default() }
    }

    /// Whether a line is due at `now`, which then counts as the last one. A clock that was set back
    /// does not silence the line.
    fn is_due(&self, now: Timestamp) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|at| now < at || now.millis_since(at) >= self.millis);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

/// The reports of one listener.
pub(super) struct Reports {
    listener: Option<SocketAddr>,
    names: Option<LimitNames>,
    clock: Clock,
    missing: Pause,
    version_1: Pause,
    malformed: Pause,
    total: Pause,
    per_net: Pause,
}

impl Reports {
    pub(super) fn new(
        listener: Option<SocketAddr>,
        names: Option<LimitNames>,
        clock: Clock,
    ) -> Self {
        Self {
            listener,
            names,
            clock,
            missing: Pause::of(HEADER_PAUSE_MS),
            version_1: Pause::of(HEADER_PAUSE_MS),
            malformed: Pause::of(HEADER_PAUSE_MS),
            total: Pause::of(LIMIT_PAUSE_MS),
            per_net: Pause::of(LIMIT_PAUSE_MS),
        }
    }

    /// Logs that a trusted proxy's connection was closed for its header: as a warning, since the
    /// proxy is probably set up wrongly and nobody gets through.
    pub(super) fn header(&self, peer: SocketAddr, error: &ProxyError) {
        let (pause, remedy) = match error.fault() {
            HeaderFault::Missing => (
                &self.missing,
                "a connection from an address in proxy_protocol_from had no PROXY protocol \
                 header and was closed; make the proxy send version 2 (HAProxy: send-proxy-v2), \
                 or take the address out of proxy_protocol_from",
            ),
            HeaderFault::Version1 => (
                &self.version_1,
                "a connection from an address in proxy_protocol_from had a PROXY protocol header \
                 of version 1 and was closed; make the proxy send version 2 (HAProxy: \
                 send-proxy-v2 in place of send-proxy)",
            ),
            HeaderFault::Malformed => (
                &self.malformed,
                "a connection from an address in proxy_protocol_from had a malformed PROXY \
                 protocol header and was closed",
            ),
        };
        let listener = self.listener.as_ref().map(tracing::field::display);
        if pause.is_due(self.clock.now()) {
            tracing::warn!(%peer, listener, %error, "{remedy}");
        } else {
            tracing::debug!(%peer, listener, %error, "{remedy}");
        }
    }

    /// Logs that a newcomer met a limit. `is_refused` if no other connection was closed for it.
    pub(super) fn limit(&self, peer: SocketAddr, limit: Limit, is_refused: bool) {
        let pause = match limit {
            Limit::Total => &self.total,
            Limit::PerNet => &self.per_net,
        };
        if !pause.is_due(self.clock.now()) {
            return;
        }
        let name = LimitName { limit, names: self.names };
        let listener = self.listener.as_ref().map(tracing::field::display);
        let effect = if is_refused { "refused" } else { "accepted in place of another" };
        tracing::warn!(
            client = %peer.ip(), listener,
            "the limit {name} was reached: a connection was {effect}"
        );
    }
}

struct LimitName {
    limit: Limit,
    names: Option<LimitNames>,
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.limit, self.names) {
            (Limit::Total, Some(names)) => names.total,
            (Limit::PerNet, Some(names)) => names.per_net,
            (Limit::Total, None) => "of all connections",
            (Limit::PerNet, None) => "of connections from one network",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_is_repeated_after_its_pause() {
        let pause = Pause::of(1000);
        let due: Vec<bool> =
            [5000, 5001, 5999, 6000, 6001, 100, 101].map(|at| pause.is_due(Timestamp(at))).into();
        assert_eq!(due, [true, false, false, true, false, true, false]);
    }
}
