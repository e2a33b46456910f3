//! The `[federation]` section of the configuration file.

mod check;

use std::net::{Ipv4Addr, SocketAddr};

use freehold_core::profile::Profile;
use serde::{Deserialize, Serialize};

pub use check::FederationConfigError;

/// How this node connects to friends' nodes. The default is reachable from this machine only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FederationConfig {
    /// The listen addresses; each serves TCP and QUIC on one port number. Port 0 means any free
    /// port. The process sets this from the file's section for all listen addresses.
    #[serde(skip)]
    pub listen: Vec<SocketAddr>,
    /// The address of the owner's site, to which friends link. The process sets this from the
    /// file's section for the web.
    #[serde(skip)]
    pub web: Option<WebAddress>,
    /// The domains that mail reaches by SMTP whatever DNS says. The process sets this from the
    /// file's section for mail.
    #[serde(skip)]
    pub mail_domains: Vec<String>,
    /// The longest message taken of a friend's node, in bytes. The process sets this from the
    /// file's section for mail.
    #[serde(skip)]
    pub mail_len_max: u64,
    /// Use TCP (with Noise and Yamux).
    pub tcp: bool,
    /// Use QUIC.
    pub quic: bool,
    /// Addresses for friends besides the listen addresses, as multiaddrs:
    /// `/dns4/alice.example/tcp/7001`.
    pub external: Vec<String>,
    /// This node is behind a router: it pings each friend every minute instead of every five, so
    /// that the router keeps the connections.
    pub behind_router: bool,
    /// The most connections from nodes that are not friends. A new one replaces one from the
    /// network that holds the most.
    pub strangers_max: u32,
    /// MiB of photos fetched from one friend per day; the rest is fetched on the next days.
    pub photos_mib_per_friend_day: u32,
    /// New connections are refused while the process uses more bytes of memory than this.
    pub memory_bytes_max: usize,
}

impl Default for FederationConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 7001))],
            web: None,
            mail_domains: Vec::new(),
            mail_len_max: 50 * 1024 * 1024,
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

/// The address of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebAddress {
    /// This URL.
    At(String),
    /// On this machine, under the owner's name once there is an owner.
    Here {
        /// True if the site itself uses HTTPS.
        is_https: bool,
        /// Its port.
        port: u16,
    },
}

impl WebAddress {
    /// The URL without a slash at its end; `None` as long as the node has no owner.
    pub(crate) fn url(&self, owner: Option<&Profile>) -> Option<String> {
        match (self, owner) {
            (Self::At(url), _) => Some(url.trim_end_matches('/').to_owned()),
            // Cookies ignore ports, so each owner gets an own host name.
            (Self::Here { is_https, port }, Some(owner)) => {
                let scheme = if *is_https { "https" } else { "http" };
                Some(format!("{scheme}://{}.localhost:{port}", owner.login))
            }
            (Self::Here { .. }, None) => None,
        }
    }
}

impl FederationConfig {
    /// True if every listen address is a loopback address, which other machines cannot reach.
    pub(crate) fn is_local(&self) -> bool {
        self.listen.iter().all(|address| address.ip().is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_config_listens_on_loopback_only() {
        assert!(FederationConfig::default().is_local());
    }
}
