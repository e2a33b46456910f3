//! Questions to DNS, through resolvers or at one name server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::system_conf::read_system_conf;

use crate::{Data, Kind, wire};

/// How long one resolver may take for one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a question is asked before it counts as unanswered.
const ATTEMPTS: usize = 2;

/// DNS did not answer, or answered with an error; a name without such a record is no error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DNS did not answer for {name}: {cause}")]
pub struct LookupError {
    /// The name that was asked.
    pub name: String,
    /// The cause.
    pub cause: String,
}

/// The resolvers that are asked. Nothing is remembered: the answers are those of now.
pub struct Resolver(TokioResolver);

impl Resolver {
    /// Asks `servers`; if there are none, those of `/etc/resolv.conf`, and without that file the
    /// one on this machine, as the C library does.
    ///
    /// # Errors
    /// No resolver can be made.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, LookupError> {
        let config = match servers {
            [] => of_the_machine(),
            _ => ResolverConfig::from_name_servers(servers.iter().map(server).collect()),
        };
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = QUESTION_TIMEOUT;
        options.attempts = ATTEMPTS;
        options.cache_size = 0;
        options.ndots = 0;
        // The names of the machine's own file are not what others see.
        options.use_hosts_file = ResolveHosts::Never;
        match builder.build() {
            Ok(resolver) => Ok(Self(resolver)),
            Err(error) => Err(LookupError { name: ".".to_owned(), cause: error.to_string() }),
        }
    }

    /// The records of `name` of this kind; none if it has none. A CNAME is followed, and is in the
    /// answer only if it was asked for.
    ///
    /// # Errors
    /// DNS did not answer, or refused.
    pub async fn lookup(&self, name: &str, kind: Kind) -> Result<Vec<Data>, LookupError> {
        let failed = |cause: String| LookupError { name: name.to_owned(), cause };
        let asked = wire::name(name).map_err(|error| failed(error.to_string()))?;
        match self.0.lookup(asked, wire::record_type(kind)).await {
            Ok(lookup) => {
                let found = lookup.answers().iter();
                let data = found.filter_map(|record| wire::from_wire(&record.data));
                Ok(data.filter(|data| data.kind() == kind).collect())
            }
            // The resolver reports SERVFAIL and REFUSED as no records too.
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain) =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

fn of_the_machine() -> ResolverConfig {
    match read_system_conf() {
        Ok((config, _)) => ResolverConfig::from_name_servers(config.name_servers().to_vec()),
        Err(_) => {
            let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
            ResolverConfig::from_name_servers(vec![NameServerConfig::udp_and_tcp(local)])
        }
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(with_port);
    NameServerConfig::new(address.ip(), true, connections.to_vec())
}
