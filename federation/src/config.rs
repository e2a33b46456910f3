//! The `[federation]` section of the configuration file.

use std::net::{Ipv4Addr, SocketAddr};

use freehold_core::profile::Profile;
use serde::{Deserialize, Serialize};

/// How this node meets its friends' nodes. The default works on a laptop and is reachable from that
/// laptop alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FederationConfig {
    /// Where to listen; each serves TCP and QUIC on the same port number. Port 0 takes a free one.
    /// The process sets it: all addresses stand in one section of the file, its own.
    #[serde(skip)]
    pub listen: Vec<SocketAddr>,
    /// Where the owner's site is; friends link to it. The process sets it, from the section of the
    /// web.
    #[serde(skip)]
    pub web: Option<WebAddress>,
    /// Speak TCP (with Noise and Yamux).
    pub tcp: bool,
    /// Speak QUIC.
    pub quic: bool,
    /// Addresses to give to friends besides those listened on, as multiaddrs:
    /// `/dns4/alice.example/tcp/7001`.
    pub external: Vec<String>,
    /// This node is behind a router: ping each friend every minute instead of every five, so that
    /// the router keeps the connections.
    pub behind_router: bool,
    /// At most this many connections from nodes that are not friends. The one who holds the most
    /// makes room for a new one.
    pub strangers_max: u32,
    /// MiB of photos taken from one friend in a day; what is more comes on the days after.
    pub photos_mib_per_friend_day: u32,
    /// Above this many bytes of memory used by the process, no new connection is taken.
    pub memory_bytes_max: usize,
}

impl Default for FederationConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 7001))],
            web: None,
            tcp: true,
            quic: true,
            external: Vec::new(),
            behind_router: false,
            strangers_max: 64,
            photos_mib_per_friend_day: 64,
            memory_bytes_max: 1 << 30,
        }
    }
}

/// Where a site is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebAddress {
    /// At this address, whoever asks.
    At(String),
    /// On this machine, under the owner's name as soon as there is one.
    Here {
        /// Whether it speaks HTTPS itself.
        is_https: bool,
        /// Where it listens.
        port: u16,
    },
}

impl WebAddress {
    /// The address without a slash at its end; `None` as long as nobody lives here.
    pub(crate) fn of(&self, owner: Option<&Profile>) -> Option<String> {
        match (self, owner) {
            (Self::At(url), _) => Some(url.trim_end_matches('/').to_owned()),
            // Cookies ignore ports, so each owner gets a host name of their own.
            (Self::Here { is_https, port }, Some(owner)) => {
                let scheme = if *is_https { "https" } else { "http" };
                Some(format!("{scheme}://{}.localhost:{port}", owner.login))
            }
            (Self::Here { .. }, None) => None,
        }
    }
}

impl FederationConfig {
    /// Whether every address listened on is this machine's own, out of reach for others.
    pub(crate) fn is_local(&self) -> bool {
        self.listen.iter().all(|address| address.ip().is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_listens_on_loopback_alone() {
        assert!(FederationConfig::default().is_local());
    }
}
