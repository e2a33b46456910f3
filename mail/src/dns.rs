//! DNS, asked through the resolvers of the configuration or of the machine.
//!
//! Answers are cached by their TTL. DNSSEC is left to the resolver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mail_auth::common::cache::NoCache;
use mail_auth::hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts,
};
use mail_auth::hickory_resolver::proto::rr::RData;
use mail_auth::hickory_resolver::system_conf::read_system_conf;
use mail_auth::{DnsError, Error, MX, MessageAuthenticator, RecordSet};

/// How long one resolver may take for one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a question is asked before it counts as unanswered.
const ATTEMPTS: usize = 2;
/// The most answers that are remembered.
const CACHED_MAX: u64 = 1024;

/// A mail server of a domain (MX, RFC 5321 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MailServer {
    /// The lowest is tried first.
    pub(crate) preference: u16,
    /// Its name without the final dot; empty for the root (RFC 7505).
    pub(crate) host: String,
}

/// The resolvers with their cache. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dns(MessageAuthenticator);

/// The resolvers of a running server, made when the first question is asked.
#[derive(Clone)]
pub(crate) struct LazyDns {
    servers: Vec<SocketAddr>,
    made: Arc<OnceLock<Option<Dns>>>,
}

impl LazyDns {
    /// As [`Dns::new`].
    pub(crate) fn new(servers: &[SocketAddr]) -> Self {
        Self { servers: servers.to_vec(), made: Arc::default() }
    }

    /// The resolvers; `None` if there are none.
    pub(crate) fn get(&self) -> Option<&Dns> {
        self.made.get_or_init(|| Dns::new(&self.servers)).as_ref()
    }
}

impl Dns {
    /// Asks `servers`; if there are none, those of `/etc/resolv.conf`, and without that file the
    /// one on this machine, as the C library does. `None`, with a line in the log, if no resolver
    /// can be made.
    pub(crate) fn new(servers: &[SocketAddr]) -> Option<Self> {
        let config = match servers {
            [] => of_the_machine(),
            _ => ResolverConfig::from_name_servers(servers.iter().map(server).collect()),
        };
        let mut options = ResolverOpts::default();
        options.timeout = QUESTION_TIMEOUT;
        options.attempts = ATTEMPTS;
        options.cache_size = CACHED_MAX;
        // Every name is complete: the machine's search domains are not tried.
        options.ndots = 0;
        match MessageAuthenticator::new(config, options) {
            Ok(authenticator) => Some(Self(authenticator)),
            Err(error) => {
                tracing::error!(%error, "DNS can't be asked: senders of mail are not checked");
                None
            }
        }
    }

    /// The checks of senders, which ask this DNS.
    pub(crate) fn authenticator(&self) -> &MessageAuthenticator {
        &self.0
    }

    /// The mail servers of `domain`.
    ///
    /// # Errors
    /// Those of DNS; a name without such a record is an error too.
    pub(crate) async fn mail_servers(&self, domain: &str) -> mail_auth::Result<Vec<MailServer>> {
        let none = None::<&NoCache<Box<str>, RecordSet<MX>>>;
        let records = self.0.mx_lookup(domain, none).await?;
        let each = records.rrset.iter().flat_map(|record| {
            record.exchanges.iter().map(|host| MailServer {
                preference: record.preference,
                host: host.trim_end_matches('.').to_owned(),
            })
        });
        Ok(each.collect())
    }

    /// The TXT records of `name`, each as one text; none if it has none.
    ///
    /// # Errors
    /// Those of DNS.
    pub(crate) async fn texts(&self, name: &str) -> mail_auth::Result<Vec<String>> {
        let fqdn = format!("{name}.");
        match self.0.resolver().txt_lookup(fqdn).await.map_err(Error::from) {
            Ok(lookup) => {
                let texts = lookup.answers().iter().filter_map(|record| match &record.data {
                    RData::TXT(text) => {
                        Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned())
                    }
                    _ => None,
                });
                Ok(texts.collect())
            }
            Err(Error::Dns(DnsError::RecordNotFound(_))) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The addresses of `host`, those of IPv4 first; none if it has none.
    ///
    /// # Errors
    /// Those of DNS, if neither kind of address was found.
    pub(crate) async fn addresses(&self, host: &str) -> mail_auth::Result<Vec<IpAddr>> {
        let (none_v4, none_v6) = (
            None::<&NoCache<Box<str>, RecordSet<Ipv4Addr>>>,
            None::<&NoCache<Box<str>, RecordSet<Ipv6Addr>>>,
        );
        let (v4, v6) =
            futures::join!(self.0.ipv4_lookup(host, none_v4), self.0.ipv6_lookup(host, none_v6));
        let (v4, v6) = (found(v4), found(v6));
        match (v4, v6) {
            (Err(error), Err(_)) => Err(error),
            (Err(error), Ok(v6)) if v6.is_empty() => Err(error),
            (Ok(v4), Err(error)) if v4.is_empty() => Err(error),
            (v4, v6) => Ok([v4.unwrap_or_default(), v6.unwrap_or_default()].concat()),
        }
    }
}

/// The addresses; none for a name without a record of the type.
fn found<A: Copy + Into<IpAddr>>(
    records: mail_auth::Result<RecordSet<A>>,
) -> mail_auth::Result<Vec<IpAddr>> {
    match records {
        Ok(records) => Ok(records.rrset.iter().map(|address| (*address).into()).collect()),
        Err(Error::Dns(DnsError::RecordNotFound(_))) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn of_the_machine() -> ResolverConfig {
    match read_system_conf() {
        Ok((config, _)) => ResolverConfig::from_name_servers(config.name_servers().to_vec()),
        Err(error) => {
            tracing::info!(%error, "DNS is asked at 127.0.0.1: resolv.conf can't be read");
            ResolverConfig::from_name_servers(vec![NameServerConfig::udp_and_tcp(IpAddr::V4(
                Ipv4Addr::LOCALHOST,
            ))])
        }
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}
