//! Settings of the section that no mail server can work with.

use freehold_core::mailbox::MESSAGE_LEN_MAX;

use super::MailConfig;
use crate::smtp::address::is_domain;

/// The least that a server must accept, in bytes (RFC 5321 4.5.3.1.7).
const MESSAGE_LEN_MIN: u64 = 64 * 1024;
/// A client that is silent for a shorter time must not be cut off, in seconds (RFC 5321 4.5.3.2.7).
const IDLE_SECS_MIN: u64 = 5 * 60;
const DAY_SECS: u64 = 24 * 60 * 60;
/// A client waits five minutes for the greeting (RFC 5321 4.5.3.2.1).
const GREETING_MS_MAX: u64 = 60 * 1000;
/// More would make each message wait for more strangers.
const BLOCK_LISTS_MAX: usize = 8;
const UNDO_SECONDS_MAX: u64 = 5 * 60;
const HOUR_MS: u64 = 60 * 60 * 1000;
const YEAR_HOURS: u64 = 365 * 24;
/// More connections than a process may have file descriptors for.
const CONNECTIONS_MAX: u64 = 1_000_000;

/// A setting that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailConfigError {
    /// A number is too small or too large.
    #[error("{value} is not between {min} and {max} {unit}; a good value is {good}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// The value.
        value: u64,
        /// The least value.
        min: u64,
        /// The greatest value.
        max: u64,
        /// The unit.
        unit: &'static str,
        /// The default.
        good: u64,
    },
    /// `hostname` is no name that other servers accept.
    #[error(
        "{0:?} is no domain name and no address literal; write one like \"mail.ruth.example\", or \"\" for the owner's domain"
    )]
    Hostname(String),
    /// A block list that is no domain name.
    #[error("{0:?} is no zone of a block list; write it like \"zen.spamhaus.org\"")]
    BlockList(String),
    /// There are too many block lists.
    #[error("there are {0} block lists; at most {BLOCK_LISTS_MAX} are asked")]
    TooManyBlockLists(usize),
    /// A sender that is no mechanism of an SPF record.
    #[error(
        "{0:?} is no mechanism of SPF; write it like \"include:provider.example\" or \"ip4:192.0.2.7\""
    )]
    SpfSender(String),
    /// The left side of a route.
    #[error("{0:?} is no domain; write routes like \"bob.example\" = \"mail.bob.example:25\"")]
    RouteDomain(String),
    /// The right side of a route.
    #[error(
        "{domain:?} = {server:?} names no server with a port; write it like \"mail.bob.example:25\" or \"[2001:db8::1]:25\""
    )]
    RouteServer {
        /// The domain.
        domain: String,
        /// The value.
        server: String,
    },
}

impl MailConfigError {
    /// The setting's name in the section; for a route the table's, then the domain.
    pub fn key(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::OutOfRange { key, .. } => (key, None),
            Self::Hostname(_) => ("hostname", None),
            Self::BlockList(_) | Self::TooManyBlockLists(_) => ("block_lists", None),
            Self::SpfSender(_) => ("spf_senders", None),
            Self::RouteDomain(domain) | Self::RouteServer { domain, .. } => {
                ("routes", Some(domain))
            }
        }
    }
}

impl MailConfig {
    /// Checks that every setting has a value that mail works with.
    ///
    /// # Errors
    /// The first one that has not.
    pub fn check(&self) -> Result<(), MailConfigError> {
        let is_host = |name: &str| name.is_ascii() && is_domain(name);
        if !self.hostname.is_empty() && !is_host(&self.hostname) {
            return Err(MailConfigError::Hostname(self.hostname.clone()));
        }
        let good = Self::default();
        let count = |connections: usize| u64::try_from(connections).unwrap_or(u64::MAX);
        let connections = |key, value, good| {
            in_range(key, count(value), (1, CONNECTIONS_MAX, "connections"), count(good))
        };
        in_range(
            "message_len_max",
            self.message_len_max,
            (MESSAGE_LEN_MIN, MESSAGE_LEN_MAX, "bytes (RFC 5321 4.5.3.1.7)"),
            good.message_len_max,
        )?;
        connections("smtp_connections_max", self.smtp_connections_max, good.smtp_connections_max)?;
        connections(
            "smtp_connections_per_address_max",
            self.smtp_connections_per_address_max,
            good.smtp_connections_per_address_max,
        )?;
        connections("imap_connections_max", self.imap_connections_max, good.imap_connections_max)?;
        connections(
            "imap_connections_per_address_max",
            self.imap_connections_per_address_max,
            good.imap_connections_per_address_max,
        )?;
        in_range(
            "greeting_delay_ms",
            self.greeting_delay_ms,
            (0, GREETING_MS_MAX, "milliseconds"),
            good.greeting_delay_ms,
        )?;
        in_range(
            "smtp_idle_timeout_secs",
            self.smtp_idle_timeout_secs,
            (IDLE_SECS_MIN, DAY_SECS, "seconds (RFC 5321 4.5.3.2.7)"),
            good.smtp_idle_timeout_secs,
        )?;
        in_range(
            "undo_seconds",
            self.undo_seconds,
            (0, UNDO_SECONDS_MAX, "seconds"),
            good.undo_seconds,
        )?;
        in_range(
            "retry_first_ms",
            self.retry_first_ms,
            (1, HOUR_MS, "milliseconds"),
            good.retry_first_ms,
        )?;
        in_range(
            "retry_hours_max",
            self.retry_hours_max,
            (1, YEAR_HOURS, "hours"),
            good.retry_hours_max,
        )?;
        if self.block_lists.len() > BLOCK_LISTS_MAX {
            return Err(MailConfigError::TooManyBlockLists(self.block_lists.len()));
        }
        if let Some(list) = self.block_lists.iter().find(|list| !is_host(list)) {
            return Err(MailConfigError::BlockList(list.clone()));
        }
        if let Some(sender) = self.spf_senders.iter().find(|sender| !is_mechanism(sender)) {
            return Err(MailConfigError::SpfSender(sender.clone()));
        }
        for (domain, server) in &self.routes {
            if !is_domain(domain) {
                return Err(MailConfigError::RouteDomain(domain.clone()));
            }
            if !is_server(server) {
                let (domain, server) = (domain.clone(), server.clone());
                return Err(MailConfigError::RouteServer { domain, server });
            }
        }
        Ok(())
    }
}

fn in_range(
    key: &'static str,
    value: u64,
    (min, max, unit): (u64, u64, &'static str),
    good: u64,
) -> Result<(), MailConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(MailConfigError::OutOfRange { key, value, min, max, unit, good })
}

/// Whether the text is a mechanism with a value (RFC 7208 5).
fn is_mechanism(text: &str) -> bool {
    let mechanisms = ["include", "a", "mx", "ip4", "ip6", "exists"];
    let known = |(name, value): (&str, &str)| mechanisms.contains(&name) && !value.is_empty();
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
        && text.split_once(':').is_some_and(known)
}

/// Whether `server` is `host:port`: a name, an IPv4 address, or an IPv6 address in brackets.
fn is_server(server: &str) -> bool {
    let Some((host, port)) = server.rsplit_once(':') else { return false };
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.is_ascii() && !host.starts_with('[') && is_domain(host),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    is_host && is_port && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_out_of_range_is_refused() {
        let good = MailConfig::default;
        assert_eq!(good().check(), Ok(()));
        let refused = [
            MailConfig { message_len_max: 0, ..good() },
            MailConfig { message_len_max: 65_535, ..good() },
            MailConfig { message_len_max: MESSAGE_LEN_MAX + 1, ..good() },
            MailConfig { smtp_connections_max: 0, ..good() },
            MailConfig { smtp_connections_per_address_max: 0, ..good() },
            MailConfig { imap_connections_max: 0, ..good() },
            MailConfig { imap_connections_per_address_max: 0, ..good() },
            MailConfig { greeting_delay_ms: 300_000, ..good() },
            MailConfig { smtp_idle_timeout_secs: 299, ..good() },
            MailConfig { smtp_idle_timeout_secs: u64::MAX, ..good() },
            MailConfig { undo_seconds: 301, ..good() },
            MailConfig { retry_first_ms: 0, ..good() },
            MailConfig { retry_hours_max: 0, ..good() },
        ];
        for config in refused {
            let error = config.check().unwrap_err();
            assert!(matches!(error, MailConfigError::OutOfRange { .. }), "{error}");
        }
        let least = MailConfig { message_len_max: 65_536, smtp_idle_timeout_secs: 300, ..good() };
        assert_eq!(least.check(), Ok(()));
    }

    #[test]
    fn hostname_must_be_a_domain_or_literal() {
        let check =
            |name: &str| MailConfig { hostname: name.to_owned(), ..MailConfig::default() }.check();
        for name in ["", "mail.ruth.example", "localhost", "[192.0.2.1]", "[IPv6:2001:db8::1]"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in [
            "https://ruth.example",
            "ruth.example:25",
            "ruth example",
            "ruth..example",
            "m\u{fc}ller.example",
            "a\r\nQUIT",
        ] {
            assert_eq!(check(name), Err(MailConfigError::Hostname(name.to_owned())), "{name}");
        }
    }

    #[test]
    fn route_without_a_port_is_refused() {
        let check = |domain: &str, server: &str| {
            let routes = [(domain.to_owned(), server.to_owned())].into();
            MailConfig { routes, ..MailConfig::default() }.check()
        };
        for server in ["127.0.0.1:7125", "mail.bob.example:25", "[2001:db8::1]:25"] {
            assert_eq!(check("bob.localhost", server), Ok(()), "{server}");
        }
        for server in [
            "",
            "mail.bob.example",
            "mail.bob.example:",
            "mail.bob.example:0",
            "mail.bob.example:65536",
            "mail.bob.example:+25",
            "2001:db8::1",
            "smtp://mail.bob.example:25",
            ":25",
            "[mail.bob.example]:25",
        ] {
            let error = check("bob.localhost", server).unwrap_err();
            assert_eq!(error.key(), ("routes", Some("bob.localhost")), "{server}");
        }
        assert!(check("bob@bob.localhost", "127.0.0.1:25").is_err());
        assert!(check("*", "127.0.0.1:25").is_err());
    }
}
