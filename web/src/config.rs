//! The `[web]` section of the configuration.

use std::net::IpAddr;

use freehold_core::profile::Profile;
use freehold_listen::Network;
use serde::{Deserialize, Serialize};

use crate::hosts;

/// How the site is reached, and its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// The site's address as people type it, such as `https://ruth.example`. Without it the address
    /// is `http://<login>.localhost:<port>`, for a laptop.
    pub public_url: Option<String>,
    /// True if the node speaks HTTPS itself, with its own certificate.
    pub tls: bool,
    /// The addresses of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are
    /// believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// The proxies that pass connections through with a PROXY protocol header (version 2). From
    /// these networks a connection must begin with the header, from elsewhere none is read.
    pub proxy_protocol_from: Vec<Network>,
    /// Other host names under which the site answers. `localhost` and `<login>.localhost` always
    /// do.
    pub names: Vec<String>,
    /// The largest photo accepted, in bytes.
    pub upload_len_max: u64,
    /// The most open connections.
    pub connections_max: usize,
    /// The most open connections from one address (IPv6: one /64). Clients on this machine count
    /// towards the total only.
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

/// Settings of the section that contradict each other, or that no site works with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebConfigError {
    /// `public_url` is not the URL of a whole site.
    #[error("it must look like \"https://ruth.example\", with nothing after the name but a port")]
    NotAUrl,
    /// `tls` is on, and `public_url` is not `https`.
    #[error("HTTPS is on, so web.public_url must begin with https://")]
    NotHttps,
    /// `trusted_proxies` without `public_url`.
    #[error("a proxy needs web.public_url too: the address under which the proxy is reached")]
    ProxyWithoutUrl,
    /// `public_url` is `https`, and neither the node nor a proxy terminates TLS.
    #[error(
        "it begins with https://, so either web.tls must be on or web.trusted_proxies must name \
         the proxy that speaks TLS"
    )]
    NoTlsEndpoint,
    /// An entry of `names` is not a host name alone.
    #[error(
        "{0:?} is no host name; write the name alone, as browsers send it: \"www.ruth.example\", \
         without scheme, port, path or wildcard"
    )]
    Name(String),
    /// A limit that admits nothing.
    #[error("{value} is less than {min}; a good value is {good}")]
    TooSmall {
        /// The setting.
        key: &'static str,
        /// The value.
        value: u64,
        /// The least value.
        min: u64,
        /// The default.
        good: u64,
    },
}

impl WebConfigError {
    /// The setting's name in the section.
    pub fn key(&self) -> &'static str {
        match self {
            Self::NotAUrl | Self::NoTlsEndpoint => "public_url",
            Self::NotHttps => "tls",
            Self::ProxyWithoutUrl => "trusted_proxies",
            Self::Name(_) => "names",
            Self::TooSmall { key, .. } => key,
        }
    }
}

/// A smaller limit would refuse every photo, in bytes.
const UPLOAD_LEN_MIN: u64 = 1024 * 1024;

impl WebConfig {
    /// Checks that the settings fit together.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self) -> Result<(), WebConfigError> {
        let good = Self::default();
        let count = |connections: usize| u64::try_from(connections).unwrap_or(u64::MAX);
        for (key, value, min, good) in [
            ("upload_len_max", self.upload_len_max, UPLOAD_LEN_MIN, good.upload_len_max),
            ("connections_max", count(self.connections_max), 1, count(good.connections_max)),
            (
                "connections_per_address_max",
                count(self.connections_per_address_max),
                1,
                count(good.connections_per_address_max),
            ),
        ] {
            if value < min {
                return Err(WebConfigError::TooSmall { key, value, min, good });
            }
        }
        if let Some(name) = self.names.iter().find(|name| !hosts::is_host(name)) {
            return Err(WebConfigError::Name(name.clone()));
        }
        let Some(url) = &self.public_url else {
            return if self.trusted_proxies.is_empty() {
                Ok(())
            } else {
                Err(WebConfigError::ProxyWithoutUrl)
            };
        };
        let origin = hosts::origin(url).ok_or(WebConfigError::NotAUrl)?;
        if !hosts::is_host(&hosts::of_url(&origin)) || !hosts::has_valid_port(&origin) {
            return Err(WebConfigError::NotAUrl);
        }
        match (self.is_https(), self.tls, self.trusted_proxies.is_empty()) {
            (false, true, _) => Err(WebConfigError::NotHttps),
            (true, false, true) => Err(WebConfigError::NoTlsEndpoint),
            _ => Ok(()),
        }
    }

    /// The address of the site without a final slash; `port` is used if there is no `public_url`.
    pub fn url(&self, owner: Option<&Profile>, port: u16) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        match (&self.public_url, owner) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            // Cookies ignore ports, so each owner gets a host name of their own.
            (None, Some(owner)) => format!("{scheme}://{}.localhost:{port}", owner.login),
            (None, None) => format!("{scheme}://localhost:{port}"),
        }
    }

    /// The host of `public_url`.
    pub fn public_host(&self) -> Option<String> {
        self.public_url.as_deref().map(hosts::of_url)
    }

    /// True if `public_url` is `https`.
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
    fn contradicting_web_settings_are_refused() {
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
            Err(WebConfigError::NoTlsEndpoint)
        );
        for url in [
            "ruth.example",
            "https://",
            "https://ruth.example/blog",
            "ftp://ruth.example",
            "https://ruth example",
            "https://a@b",
            "https://ruth.example:99999",
            "https://ruth.example:",
            "https://ruth..example",
            "https://2001:db8::1",
        ] {
            assert_eq!(config(url, true, &[]).check(), Err(WebConfigError::NotAUrl), "{url}");
        }
        assert_eq!(config("https://[2001:db8::1]:8443", true, &[]).check(), Ok(()));
    }

    #[test]
    fn site_names_must_be_host_names_alone() {
        let check =
            |name: &str| WebConfig { names: vec![name.to_owned()], ..WebConfig::default() }.check();
        for name in ["www.ruth.example", "RUTH", "192.0.2.1", "[2001:db8::1]", "a_b.example"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in [
            "",
            "https://ruth.example",
            "ruth.example:8443",
            "ruth.example/blog",
            "*.ruth.example",
            "ruth.example.",
            "ruth..example",
            "2001:db8::1",
            "[ruth]",
            "m\u{fc}ller.example",
            "-ruth.example",
        ] {
            assert_eq!(check(name), Err(WebConfigError::Name(name.to_owned())), "{name}");
        }
    }

    #[test]
    fn limit_that_admits_nothing_is_refused() {
        let good = WebConfig::default;
        for config in [
            WebConfig { upload_len_max: 0, ..good() },
            WebConfig { connections_max: 0, ..good() },
            WebConfig { connections_per_address_max: 0, ..good() },
        ] {
            let error = config.check().unwrap_err();
            assert!(matches!(error, WebConfigError::TooSmall { value: 0, .. }), "{error}");
        }
    }
}
