//! The DNS of the owner's domain, by command: the records it needs, those that DNS has, and
//! dynamic updates of the zone.

mod domain;
mod report;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use freehold_dns::{Domain, Resolver, UpdateError, ZoneServer, compare, parse_key_file};
use serde::{Deserialize, Serialize};
use tokio::net::lookup_host;

use super::Response;
use super::execute::{ControlContext, invalid};
use crate::exit;

/// The port of name servers.
const DNS_PORT: u16 = 53;
/// How long the comparison with DNS may take, all questions together.
const CHECK_TIMEOUT: Duration = Duration::from_secs(120);

/// A request about the DNS of the owner's domain. `addresses` are the machine's public ones; none
/// means those of the configuration, or those that the machine knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum DnsRequest {
    /// The records; as a zone file if `is_zone_file`.
    Show { addresses: Vec<IpAddr>, is_zone_file: bool },
    /// The records beside those that DNS has.
    Check { addresses: Vec<IpAddr> },
    /// Add the records to the zone.
    Write(ZoneUpdate),
}

/// A dynamic update of the zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ZoneUpdate {
    /// As for the other requests.
    pub(crate) addresses: Vec<IpAddr>,
    /// The primary name server: an address or a name, with or without a port.
    pub(crate) server: String,
    /// The zone; the owner's domain if missing.
    pub(crate) zone: Option<String>,
    /// The text of the key file.
    pub(crate) key: String,
    /// True to replace records that say something else.
    pub(crate) replaces: bool,
    /// True to change nothing.
    pub(crate) is_dry: bool,
}

/// Carries out a request.
pub(super) async fn run(context: &ControlContext, request: DnsRequest) -> Result<Response> {
    match request {
        DnsRequest::Show { addresses, is_zone_file } => {
            let domain = domain::of_node(context, addresses).await?;
            Ok(report::show(&domain, is_zone_file))
        }
        DnsRequest::Check { addresses } => {
            let domain = domain::of_node(context, addresses).await?;
            check(context, &domain).await
        }
        DnsRequest::Write(update) => write(context, update).await,
    }
}

async fn check(context: &ControlContext, domain: &Domain) -> Result<Response> {
    let resolver = Resolver::new(&context.mail.dns_servers).map_err(invalid)?;
    let comparison = async {
        let stale = freehold_dns::stale_addresses(&resolver, domain).await;
        (compare(&resolver, domain).await, stale.unwrap_or_default())
    };
    let (comparisons, stale) = tokio::time::timeout(CHECK_TIMEOUT, comparison)
        .await
        .map_err(|_| exit::with(exit::UNAVAILABLE, "DNS did not answer within two minutes"))?;
    Ok(report::check(domain, &comparisons, &stale))
}

async fn write(context: &ControlContext, update: ZoneUpdate) -> Result<Response> {
    let domain = domain::of_node(context, update.addresses).await?;
    if domain.addresses.is_empty() {
        let message = "the machine's public address is not known; name it by --address";
        return Err(exit::with(exit::USAGE, message));
    }
    let key = parse_key_file(&update.key).map_err(invalid)?;
    let zone = update.zone.unwrap_or_else(|| domain.name.clone());
    let zone = zone.trim_end_matches('.').to_ascii_lowercase();
    let server = ZoneServer { server: address_of(&update.server).await?, zone, key };
    let now_secs = context.node.clock.now().as_secs();
    let plan = server.plan(&domain, update.replaces, now_secs).await.map_err(failed)?;
    if !update.is_dry {
        server.apply(&plan, now_secs).await.map_err(failed)?;
    }
    Ok(report::written(&domain, &plan, update.is_dry))
}

fn failed(error: UpdateError) -> anyhow::Error {
    let code = match &error {
        UpdateError::Connection(..) | UpdateError::Answer(_) => exit::UNAVAILABLE,
        UpdateError::Refused(_) | UpdateError::Record(_) | UpdateError::OtherZone(..) => exit::DATA,
    };
    exit::with(code, error.to_string())
}

/// The address of a name server that is given by address or name.
async fn address_of(server: &str) -> Result<SocketAddr> {
    if let Ok(address) = server.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(ip) = server.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, DNS_PORT));
    }
    let with_port = match server.contains(':') {
        true => server.to_owned(),
        false => format!("{server}:{DNS_PORT}"),
    };
    let unknown = |cause: String| {
        let message = format!("the name server {server} has no address: {cause}");
        exit::with(exit::UNAVAILABLE, message)
    };
    let mut found = lookup_host(with_port).await.map_err(|error| unknown(error.to_string()))?;
    found.next().ok_or_else(|| unknown("DNS has none".to_owned()))
}
