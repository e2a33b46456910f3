//! DNS, asked through the resolvers of the configuration or of the machine.
//!
//! Answers are cached by their TTL. DNSSEC is left to the resolver.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mail_auth::MessageAuthenticator;
use mail_auth::hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts,
};
use mail_auth::hickory_resolver::system_conf::read_system_conf;

/// How long one resolver may take for one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a question is asked before it counts as unanswered.
const ATTEMPTS: usize = 2;
/// The most answers that are remembered.
const CACHED_MAX: u64 = 1024;

/// The resolvers with their cache. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dns(MessageAuthenticator);

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
