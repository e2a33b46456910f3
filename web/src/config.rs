//! The `[web]` section of the configuration.

use serde::{Deserialize, Serialize};

/// How the site is reached and what it takes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// The site's own address as people type it, such as `https://ruth.example`; nothing means `http://<login>.localhost:<port>`,
    /// for a laptop.
    pub public_url: Option<String>,
    /// Other host names under which the site answers. `localhost` and `<login>.localhost` always do.
    pub names: Vec<String>,
    /// The largest photo taken in, in bytes.
    pub upload_len_max: u64,
    /// How many connections may be open at once.
    pub connections_max: usize,
    /// How many of them from one address (for IPv6: from one /64). Clients on this machine are held to the total alone.
    pub connections_per_address_max: usize,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            names: Vec::new(),
            upload_len_max: 64 * 1024 * 1024,
            connections_max: 1024,
            connections_per_address_max: 64,
        }
    }
}
