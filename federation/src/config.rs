//! The `[federation]` section of the configuration file.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// How this node meets its friends' nodes. The default works on a laptop and is reachable from that laptop alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FederationConfig {
    /// Where to listen; each serves TCP and QUIC on the same port number. Port 0 takes a free one. The process sets it: all
    /// addresses stand in one section of the file, its own.
    #[serde(skip)]
    pub listen: Vec<SocketAddr>,
    /// Speak TCP (with Noise and Yamux).
    pub tcp: bool,
    /// Speak QUIC.
    pub quic: bool,
    /// Addresses to give to friends besides those listened on, as multiaddrs: `/dns4/alice.example/tcp/7001`.
    pub external: Vec<String>,
    /// This node is at home behind a router: find out whether it can be reached, and punch through where it can't.
    pub behind_router: bool,
    /// Ask the router to forward the ports (UPnP).
    pub upnp: bool,
    /// Find friends on the local network by announcing this node there (mDNS).
    pub local_discovery: bool,
    /// At most this many connections from nodes that are not friends.
    pub strangers_max: u32,
    /// Above this many bytes of memory used by the process, no new connection is taken.
    pub memory_bytes_max: usize,
}

impl Default for FederationConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 7001))],
            tcp: true,
            quic: true,
            external: Vec::new(),
            behind_router: false,
            upnp: false,
            local_discovery: false,
            strangers_max: 64,
            memory_bytes_max: 1 << 30,
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
