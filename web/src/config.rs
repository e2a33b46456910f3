//! The `[web]` section of the configuration.

use std::net::IpAddr;

use freehold_core::profile::Profile;
use freehold_listen::Network;
use serde::{Deserialize, Serialize};

use crate::hosts;

/// How the site is reached and what it takes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// The site's own address as people type it, such as `https://ruth.example`; nothing means
    /// `http://<login>.localhost:<port>`, for a laptop.
    pub public_url: Option<String>,
    /// Whether the node itself speaks HTTPS, with its own certificate.
    pub tls: bool,
    /// The addresses of reverse proxies whose word is taken for who asks and over what
    /// (`X-Forwarded-For`, `X-Forwarded-Proto`).
    pub trusted_proxies: Vec<IpAddr>,
    /// The proxies that pass connections through with a PROXY protocol header (version 2). From
    /// these networks a connection must begin with the header, from elsewhere none is read.
    pub proxy_protocol_from: Vec<Network>,
    /// Other host names under which the site answers. `localhost` and `<login>.localhost` always
    /// do.
    pub names: Vec<String>,
    /// The largest photo taken in, in bytes.
    pub upload_len_max: u64,
    /// How many connections may be open at once.
    pub connections_max: usize,
    /// How many of them from one address (for IPv6: from one /64). Clients on this machine are held
    /// to the total alone.
    pub connections_per_address_max: usize,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            tls: false,
            trusted_proxies: Vec::new(),
            proxy_protocol_from: Vec::new(),
            names: Vec::new(),
            upload_len_max: 64 * 1024 * 1024,
            connections_max: 1024,
            connections_per_address_max: 64,
        }
    }
}

/// What does not fit together in the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebConfigError {
    /// The site's own address is none.
    #[error(
        "web.public_url must look like \"https://ruth.example\", with nothing after the name but a port"
    )]
    NotAUrl,
    /// The node speaks TLS, and the address says otherwise.
    #[error("web.tls is on, so web.public_url must begin with https://")]
    NotHttps,
    /// Proxies are trusted, and nobody says under which address.
    #[error(
        "web.trusted_proxies needs web.public_url: the address under which the proxy is reached"
    )]
    ProxyWithoutUrl,
    /// The address promises TLS, and nobody speaks it.
    #[error(
        "web.public_url begins with https://, so either web.tls must be on or web.trusted_proxies must name the proxy that speaks TLS"
    )]
    NobodySpeaksTls,
}

impl WebConfig {
    /// Whether the settings fit together.
    ///
    /// # Errors
    /// The first thing that does not, in words for whoever wrote it.
    pub fn check(&self) -> Result<(), WebConfigError> {
        let Some(url) = &self.public_url else {
            return if self.trusted_proxies.is_empty() {
                Ok(())
            } else {
                Err(WebConfigError::ProxyWithoutUrl)
            };
        };
        hosts::origin(url).ok_or(WebConfigError::NotAUrl)?;
        match (self.is_https(), self.tls, self.trusted_proxies.is_empty()) {
            (false, true, _) => Err(WebConfigError::NotHttps),
            (true, false, true) => Err(WebConfigError::NobodySpeaksTls),
            _ => Ok(()),
        }
    }

    /// The address of the site without a slash at its end; `port` is where it listens, which stands
    /// in a laptop's address.
    pub fn url(&self, owner: Option<&Profile>, port: u16) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        match (&self.public_url, owner) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            // Cookies ignore ports, so each owner gets a host name of their own.
            (None, Some(owner)) => format!("{scheme}://{}.localhost:{port}", owner.login),
            (None, None) => format!("{scheme}://localhost:{port}"),
        }
    }

    /// The host name people type, if the configuration gives one.
    pub fn public_host(&self) -> Option<String> {
        self.public_url.as_deref().map(hosts::of_url)
    }

    /// Whether the site's own address promises TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| hosts::strip_scheme(url, "https").is_some())
    }

    /// The trusted proxies, which are held to the total of connections alone.
    pub(crate) fn trusted_networks(&self) -> Vec<Network> {
        let proxies = self.trusted_proxies.iter().filter(|proxy| self.trusts(**proxy));
        proxies.map(|proxy| Network::from(*proxy)).collect()
    }

    /// Whether `X-Forwarded-For` and `X-Forwarded-Proto` from `address` are believed.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.public_url.is_some()
            && self
                .trusted_proxies
                .iter()
                .any(|proxy| proxy.to_canonical() == address.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_promise_what_nobody_keeps_are_refused() {
        let config = |url: &str, tls: bool, proxies: &[&str]| WebConfig {
            public_url: (!url.is_empty()).then(|| url.to_owned()),
            tls,
            trusted_proxies: proxies.iter().map(|proxy| proxy.parse().unwrap()).collect(),
            ..WebConfig::default()
        };
        let proxy = ["127.0.0.1"].as_slice();
        for (url, tls, proxies) in [
            ("", false, [].as_slice()),
            ("", true, &[]),
            ("http://ruth.example", false, &[]),
            ("https://ruth.example:8443/", true, &[]),
            ("HTTPS://ruth.example", false, proxy),
            ("http://ruth.example", false, proxy),
        ] {
            assert_eq!(config(url, tls, proxies).check(), Ok(()), "{url}");
        }
        assert_eq!(config("", false, proxy).check(), Err(WebConfigError::ProxyWithoutUrl));
        assert_eq!(config("http://ruth.example", true, &[]).check(), Err(WebConfigError::NotHttps));
        assert_eq!(
            config("https://ruth.example", false, &[]).check(),
            Err(WebConfigError::NobodySpeaksTls)
        );
        for url in [
            "ruth.example",
            "https://",
            "https://ruth.example/blog",
            "ftp://ruth.example",
            "https://ruth example",
            "https://a@b",
        ] {
            assert_eq!(config(url, true, &[]).check(), Err(WebConfigError::NotAUrl), "{url}");
        }
    }
}
